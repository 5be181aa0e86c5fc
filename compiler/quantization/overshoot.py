"""Whether rounded weights can carry signals beyond formats chosen for the weights as they were."""

from __future__ import annotations

from dataclasses import replace

from vle.compiler.network import NetworkSpec
from vle.compiler.notes import Note, joined
from vle.compiler.quantization.bounds import real_weight
from vle.compiler.quantization.ranges import Range, bound
from vle.sim import Network


def overshoot_notes(network: Network, spec: NetworkSpec, inputs: Range) -> tuple[str, ...]:
    """Name the layers whose words can saturate on inputs within their range.

    Intervals again, now of the weights and biases on the chip.
    """
    layers = []
    for layer, words in zip(network.layers, spec.layers, strict=True):
        matrix = real_weight(words)
        loop = matrix[:, words.inputs :] if words.recurrent else None
        bias = words.u_format.real(words.bias)
        layers.append(replace(layer, weight=matrix[:, : words.inputs], bias=bias, recurrent=loop))
    ranges = bound(replace(network, layers=tuple(layers)), inputs)
    if ranges is None:
        return ()
    notes = []
    for index, (words, seen) in enumerate(zip(spec.layers, ranges, strict=True)):
        potential = max(seen.current.magnitude, seen.u.magnitude, seen.prosp.magnitude)
        over = potential > words.u_format.real(words.u_format.high)
        if (
            over
            or seen.r.magnitude
            > words.rate_format.real(words.rate_format.high) + words.rate_format.step
        ):
            text = "as its weights are rounded, words can saturate within the input range"
            notes.append((index, Note(text)))
    return joined(notes)
