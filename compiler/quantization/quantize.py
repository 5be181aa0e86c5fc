"""From the float network to the integer model, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vle.compiler.fixed import Fixed, Raw
from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec
from vle.compiler.notes import Note, joined
from vle.compiler.quantization import rounding
from vle.compiler.quantization.approximate import Approximation, approximate, is_tabulated
from vle.compiler.quantization.bounds import span_of
from vle.compiler.quantization.formats import Widths, input_format, potential_format, rate_format
from vle.compiler.quantization.moments import Moments
from vle.compiler.quantization.ranges import LayerRanges
from vle.compiler.quantization.weights import Columns, round_weights
from vle.errors import CompileError
from vle.sim import Layer, Network

Float = NDArray[np.float64]
CONSTANT_ERROR = 0.01  # largest relative error of alpha and rho
CONSTANT_NOTED = 0.001  # beyond that one is noted
CHANNEL_BITS = 7  # of the input that every channel should use


@dataclass(frozen=True)
class Quantized:
    """An integer network and what became of the float one.

    Parameters
    ----------
    network
        The integer model.
    approximations
        The circuit of each layer's activation with its error bound.
    notes
        What was clipped, widened or approximated, as `layer: what`.
    """

    network: NetworkSpec
    approximations: tuple[Approximation, ...]
    notes: tuple[str, ...]


def quantize(
    network: Network,
    ranges: tuple[LayerRanges, ...],
    widths: Widths,
    moments: tuple[Moments, ...] | None = None,
    like: NetworkSpec | None = None,
) -> Quantized:
    """Choose formats, round parameters, and list what that changed.

    Parameters
    ----------
    network
        The float network.
    ranges
        Of each layer.
    widths
        Bits of every kind of word, and the headroom.
    moments
        Of what the neurons of each layer hear; None rounds every weight to the nearest.
    like
        An integer network of the same layers whose formats and scales to take over, rather than
        those of the ranges.

    Raises
    ------
    CompileError
        Where a parameter cannot be held, or would vanish.
    """
    x_format = like.layers[0].x_format if like else input_format(ranges[0].x, widths)
    specs, approximations = [], []
    notes: list[tuple[int, Note]] = []
    for index, layer in enumerate(network.layers):
        job = _Job(
            f"layer {index}",
            layer,
            network.dt,
            _widths_of(like.layers[index]) if like else widths,
            x_format,
            ranges[index],
            like.layers[index] if like else None,
        )
        spec, approximation, said = job.run(None if moments is None else moments[index])
        specs.append(spec)
        approximations.append(approximation)
        notes += [(index, note) for note in said]
        x_format = spec.rate_format
    return Quantized(
        NetworkSpec(tuple(specs)),
        tuple(approximations),
        _coarse(specs[0], ranges[0]) + joined(notes),
    )


def _coarse(first: LayerSpec, ranges: LayerRanges) -> tuple[str, ...]:
    """Name the channels that are small beside the one that the input's format is for."""
    largest = np.maximum(np.abs(ranges.x.low), np.abs(ranges.x.high))
    bits = np.log2(np.maximum(largest / first.x_format.step, 0.5)) + 1
    coarse = [int(channel) for channel in np.flatnonzero((bits < CHANNEL_BITS) & (largest > 0))]
    if not coarse:
        return ()
    named = ", ".join(map(str, coarse[:8])) + ", ..." * (len(coarse) > 8)
    return (
        f"inputs {named} use less than {CHANNEL_BITS} of {first.x_format.width} bits: one format "
        f"serves all channels, so scale them alike",
    )


def _widths_of(spec: LayerSpec) -> Widths:
    return Widths(
        spec.weight_width,
        spec.rate_format.width,
        spec.u_format.width,
        spec.scale_width,
        spec.constant_width,
    )


@dataclass(frozen=True)
class _Job:
    """The quantisation of one layer."""

    name: str
    layer: Layer
    dt: float
    widths: Widths
    x_format: Fixed
    ranges: LayerRanges
    like: LayerSpec | None

    def run(self, moments: Moments | None) -> tuple[LayerSpec, Approximation, list[Note]]:
        layer, widths = self.layer, self.widths
        u_format, fmt, notes = self.formats()
        phi = self.approximation(u_format, fmt)
        columns = Columns.of(layer, self.x_format, u_format, fmt)
        grid = self.grid(columns)
        rounded, lost = round_weights(self.name, columns, grid, moments)
        bias, clipped = self.bias(u_format, rounded.bias_shift)
        alpha, alpha_shift = self.constant("alpha", self.dt / layer.tau_m)
        rho, rho_shift = self.constant("rho", layer.tau_r / layer.tau_m)
        # tau_r >= dt shall hold for the words as well: rho' >= alpha'.
        least = np.ceil(np.ldexp(alpha.astype(np.float64), rho_shift - alpha_shift))
        rho = np.maximum(rho, np.minimum(least.astype(np.int64), (1 << widths.constant) - 1))
        off = [
            *self.off("alpha", self.dt / layer.tau_m, alpha, alpha_shift),
            *self.off("rho", layer.tau_r / layer.tau_m, rho, rho_shift),
        ]
        try:
            spec = LayerSpec(
                name=self.name,
                weight=rounded.weight,
                scale=rounded.scale,
                bias=bias,
                alpha=alpha,
                rho=rho,
                scale_shift=grid.shift,
                alpha_shift=alpha_shift,
                rho_shift=rho_shift,
                activation=phi.circuit,
                recurrent=layer.recurrent is not None,
                weight_width=widths.weight,
                scale_width=widths.scale,
                constant_width=widths.constant,
                x_format=self.x_format,
                u_format=u_format,
                rate_format=fmt,
            )
        except ValueError as error:
            raise CompileError(str(error)) from error
        return spec, phi, [*notes, *phi.notes, *lost, *clipped, *off, *self.rest(u_format, fmt)]

    def approximation(self, u_format: Fixed, fmt: Fixed) -> Approximation:
        """Choose the circuit of the activation."""
        phi = self.layer.activation
        try:
            found = approximate(phi, u_format, fmt)
        except ValueError as error:
            raise CompileError(f"{self.name}: {error}") from error
        if is_tabulated(phi) and found.error > span_of(self.layer):
            raise CompileError(
                f"{self.name}: potentials must be finer for {phi.name}: steps of "
                f"{u_format.step:g} leave nothing of its range of {span_of(self.layer):g}"
            )
        return found

    def grid(self, columns: Columns) -> rounding.Grid:
        """Values that the weights may take."""
        if self.like is not None:
            limit = (1 << (self.widths.weight - 1)) - 1
            return rounding.Grid(self.like.scale, self.like.scale_shift, limit)
        if self.widths.weight_range is not None:
            largest = self.widths.weight_range * float(columns.unit.max())
            return rounding.Grid.of_one(largest, len(columns.target), self.widths.weight)
        return rounding.Grid.of(columns.target, self.widths.weight, self.widths.scale)

    def formats(self) -> tuple[Fixed, Fixed, list[Note]]:
        """Return the formats of potentials and rates.

        Potentials are made coarser where a scale would have to be larger than its word.
        """
        if self.like is not None:
            return self.like.u_format, self.like.rate_format, []
        u_format = potential_format(self.layer, self.ranges, self.widths)
        fmt = rate_format(self.layer, self.ranges, u_format, self.widths)
        missing = -self.grid(Columns.of(self.layer, self.x_format, u_format, fmt)).shift
        if missing <= 0:
            return u_format, fmt, []
        u_format = Fixed(u_format.i_bits + missing, u_format.f_bits - missing)
        fmt = rate_format(self.layer, self.ranges, u_format, self.widths)
        text = "potentials made coarser by as many bits, since scales of weights have no more"
        return u_format, fmt, [Note(text, str(missing))]

    def bias(self, u_format: Fixed, shift: Float) -> tuple[Raw, list[Note]]:
        """Words of the bias, with what the rounding of the weights adds to it."""
        exact = np.floor(np.ldexp(self.layer.bias, u_format.f_bits) + shift + 0.5)
        kept = np.clip(exact, u_format.low, u_format.high).astype(np.int64)
        count = int(np.count_nonzero(kept != exact))
        return kept, [Note("biases clipped to the potential's format", str(count))] if count else []

    def rest(self, u_format: Fixed, fmt: Fixed) -> list[Note]:
        """Say how far off potentials can rest, since steps of less than half a word are lost."""
        slowest = self.layer.tau_m.max()
        rest = u_format.step / 2 * slowest / self.dt if slowest > self.dt else 0.0
        if rest <= fmt.step:
            return []
        text = "with long time constants, potentials can come to rest this far from their value"
        return [Note(f"{text}, in rate steps", f"{rest / fmt.step:.1f}")]

    def constant(self, what: str, value: Float) -> tuple[Raw, int]:
        """Words of `alpha` or `rho` at the finest binary point that holds the largest."""
        if what == "alpha" and value.max() > 1:
            raise CompileError(
                f"{self.name}: dt must be at most tau_m, not {value.max():g} times it"
            )
        width = self.widths.constant
        shift = width - 1 - int(np.ceil(np.log2(value.max())))
        if np.floor(np.ldexp(value.max(), shift) + 0.5) >= 1 << width:
            shift -= 1
        shift = min(shift, 62) if self.like is None else self.like.shifts[f"{what}_shift"]
        if shift < 0 or np.ldexp(value.max(), shift) + 0.5 >= 1 << width:
            raise CompileError(f"{self.name}: {what} up to {value.max():g} needs over {width} bits")
        return np.floor(np.ldexp(value, shift) + 0.5).astype(np.int64), shift

    def off(self, what: str, value: Float, raw: Raw, shift: int) -> list[Note]:
        """Refuse words of `alpha` or `rho` too far from their values, and say where they are near.

        Raises
        ------
        CompileError
            For a relative error above `CONSTANT_ERROR`.
        """
        off = np.abs(np.ldexp(raw.astype(np.float64), -shift) / value - 1)
        if off.max() > CONSTANT_ERROR:
            neuron = int(off.argmax())
            raise CompileError(
                f"{self.name}: {what} of neuron {neuron} must be represented within "
                f"{CONSTANT_ERROR:.0%}: {value[neuron]:.3g} beside {value.max():.3g} in "
                f"{self.widths.constant} bits is off by {off.max():.1%} (time constants too far "
                f"apart)"
            )
        if off.max() <= CONSTANT_NOTED:
            return []
        return [Note(f"{what} is off by more than {CONSTANT_NOTED:.1%}", f"{off.max():.2%}")]
