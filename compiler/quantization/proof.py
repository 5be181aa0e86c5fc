"""How large sums can become: a bound per neuron, whatever the order of its sum.

That none overflows holds by construction: an accumulator is as wide as the widest layer of its
engine needs for any weights that can be loaded. `prove` checks that the circuit has that width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vle.compiler.activation import ActivationSpec, PiecewiseLinear
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.fixed import Raw, width_of
from vle.compiler.layer import LayerSpec
from vle.compiler.quantization.ranges import Range


@dataclass(frozen=True)
class AccumulatorProof:
    """`|any partial sum of neuron i| <= bounds[i] < 2**(width - 1)`.

    Parameters
    ----------
    layer
        Its name.
    width
        Bits of the accumulator on the chip.
    bounds
        Whatever the input frames hold, `(outputs,)`.
    reached
        Where inputs keep within the stated range, and rates within what the activation circuits
        can answer, `(outputs,)`; None without a stated range.

    Raises
    ------
    ValueError
        If the accumulator is too narrow.
    """

    layer: str
    width: int
    bounds: Raw
    reached: Raw | None

    def __post_init__(self) -> None:
        if int(self.bounds.max()) >= 1 << (self.width - 1):
            raise ValueError(
                f"{self.layer}: accumulators must hold {int(self.bounds.max())}, which "
                f"{self.width} bits do not"
            )

    @property
    def slack(self) -> int:
        """Bits that the accumulator has beyond what the worst sum needs."""
        return self.width - width_of(int(self.bounds.max()))


def prove(chip: ChipSpec, inputs: Range | None = None) -> tuple[AccumulatorProof, ...]:
    """Bound every accumulator of a chip.

    Parameters
    ----------
    chip
        The circuit; an engine's accumulators are as wide as its widest layer needs for any weights
        that can be loaded.
    inputs
        Stated range of the inputs in real units.
    """
    layers, proofs = chip.network.layers, []
    reach = None if inputs is None else _raw_reach(layers[0], inputs)
    for index, layer in enumerate(layers):
        reached = None if reach is None else _sums(layer, reach, rate_reach(layer.activation))
        width = chip.engine_of(index)[0].acc_width
        proofs.append(AccumulatorProof(layer.name, width, layer.acc_bounds, reached))
        if reach is not None:
            reach = np.full(layer.outputs, rate_reach(layer.activation))
    return tuple(proofs)


def rate_reach(circuit: ActivationSpec) -> int:
    """Return the largest magnitude that an activation circuit can answer."""
    if isinstance(circuit, PiecewiseLinear):
        return max(abs(circuit.low), abs(circuit.high))
    ends = [value + delta for value, delta in zip(circuit.value, circuit.delta, strict=True)]
    largest = max(map(abs, (*circuit.value, *ends)))
    return (
        largest if circuit.tail_shift is None else max(largest, (1 << circuit.rate_width - 1) - 1)
    )


def _raw_reach(layer: LayerSpec, inputs: Range) -> Raw:
    ends = np.stack([layer.x_format.quantize(end) for end in inputs])
    return np.asarray(np.abs(ends).max(axis=0))


def _sums(layer: LayerSpec, x: Raw, own: int) -> Raw:
    columns = np.concatenate([x, np.full(layer.columns - layer.inputs, own)])
    return np.asarray(np.abs(layer.weight) @ columns)
