"""One layer as integers: its parameters, its formats, and one exact step."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vle.compiler.activation import WORK_WIDTH, ActivationSpec
from vle.compiler.fixed import Fixed, Raw, round_shift, saturate, width_of

BLOCK = 128  # sequences multiplied at once: more would make BLAS start threads that cost more


class Saturation(NamedTuple):
    """How many words were clamped, per narrowing."""

    current: int = 0
    prosp: int = 0
    rate: int = 0

    def plus(self, other: Saturation) -> Saturation:
        """Return the counts of both."""
        return Saturation(*(a + b for a, b in zip(self, other, strict=True)))


class Constants(NamedTuple):
    """Words per neuron that its step is made of, shape `(outputs,)`."""

    bias: Raw
    alpha: Raw
    rho: Raw


class Neurons(NamedTuple):
    """What one step of a layer's neurons gives; arrays of shape `(batch, outputs)`."""

    u: Raw
    r: Raw
    d: Raw
    ahead: Raw  # rnd(rho * d)
    prosp: Raw
    saturation: Saturation


@dataclass(frozen=True, eq=False)
class LayerSpec:
    """Parameters of one layer in fixed point; `step` is what the circuit must equal.

    One step, for neuron `i` with potential `u`, inputs `x` (the layer's input, then its own rates
    of the step before where it is recurrent), `rnd` rounding half up, `sat` saturating to the width
    of `u` or of the rate::

        acc     = sum_j weight[i, j] * x[j]                               (exact)
        current = sat(rnd(acc * scale[i] / 2**scale_shift) + bias[i])
        d       = current - u                                             (exact)
        prosp   = sat(u + rnd(rho[i] * d / 2**rho_shift))
        u       = u + rnd(alpha[i] * d / 2**alpha_shift)    (alpha <= 1: cannot overflow)
        r       = activation(prosp)

    Parameters
    ----------
    name
        Shown in reports and errors.
    weight
        Raw weights, shape `(outputs, inputs)`, or `(outputs, inputs + outputs)` where recurrent.
    scale, bias, alpha, rho
        Raw words per neuron, shape `(outputs,)`; all but `bias` unsigned.
    scale_shift, alpha_shift, rho_shift
        Their binary points.
    activation
        The activation circuit.
    recurrent
        Whether the layer hears its own rates of the step before.
    weight_width, scale_width, constant_width
        Bits of a weight, of a scale, and of `alpha` and `rho`.
    x_format, u_format, rate_format
        Formats of input, potential (also of `bias`, `current`, `prosp`) and rate.
    """

    name: str
    weight: Raw = field(repr=False)
    scale: Raw = field(repr=False)
    bias: Raw = field(repr=False)
    alpha: Raw = field(repr=False)
    rho: Raw = field(repr=False)
    scale_shift: int
    alpha_shift: int
    rho_shift: int
    activation: ActivationSpec = field(repr=False)
    recurrent: bool
    weight_width: int
    scale_width: int
    constant_width: int
    x_format: Fixed
    u_format: Fixed
    rate_format: Fixed

    def __post_init__(self) -> None:
        n, columns = self.weight.shape
        if columns < (n + 1 if self.recurrent else 1):
            raise ValueError(f"{self.name}: weight must have a column per input, not {columns}")
        for what, raw, low, high in (
            ("weight", self.weight, -(1 << (self.weight_width - 1)), 1 << (self.weight_width - 1)),
            ("scale", self.scale, 0, 1 << self.scale_width),
            ("bias", self.bias, self.u_format.low, self.u_format.high + 1),
            ("alpha", self.alpha, 0, min(1 << self.constant_width, (1 << self.alpha_shift) + 1)),
            ("rho", self.rho, 0, 1 << self.constant_width),
        ):
            if what != "weight" and raw.shape != (n,):
                raise ValueError(f"{self.name}: {what} must be of shape ({n},), not {raw.shape}")
            if raw.dtype != np.int64 or raw.min() < low or raw.max() >= high:
                raise ValueError(f"{self.name}: {what} must be integers in {low}..{high - 1}")
            object.__setattr__(self, what, raw.copy())
            getattr(self, what).setflags(write=False)
        for what, shift in self.shifts.items():
            if not 0 <= shift <= 62:
                raise ValueError(f"{self.name}: {what} must be in 0..62, not {shift}")
        self._check_reach()

    def _check_reach(self) -> None:
        """Refuse what `step` could not compute exactly in 64 bits, as the circuit does."""
        exact = min(53, WORK_WIDTH - self.scale_width)  # in float64, and times the scale
        moved = self.constant_width + self.u_format.width + 1
        for what, width, limit in (
            ("accumulator", self.acc_width, exact),
            ("alpha or rho times a difference of potentials", moved, WORK_WIDTH),
        ):
            if width > limit:
                raise ValueError(f"{self.name}: {what} must fit {limit} bits, not {width}")
        try:
            self.activation.check(self.u_format, self.rate_format)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LayerSpec):
            return NotImplemented
        names = [f.name for f in fields(self)]
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    def __hash__(self) -> int:
        return hash((self.name, self.weight.shape, self.weight.tobytes(), self.bias.tobytes()))

    @property
    def shifts(self) -> dict[str, int]:
        """Binary points of the words per neuron."""
        return {name: getattr(self, name) for name in ("scale_shift", "alpha_shift", "rho_shift")}

    @property
    def inputs(self) -> int:
        """Columns that come from below."""
        return self.columns - (self.outputs if self.recurrent else 0)

    @property
    def outputs(self) -> int:
        """Neurons."""
        return int(self.weight.shape[0])

    @property
    def columns(self) -> int:
        """Columns of the matrix, recurrent ones included."""
        return int(self.weight.shape[1])

    @property
    def acc_bounds(self) -> Raw:
        """Largest magnitude that any partial sum of each neuron can reach, shape `(outputs,)`.

        Whatever the order of summation, `|sum| <= sum_j |weight| * max |x|`, and `max |x|` is the
        end of the format: nothing that a frame can hold breaks it.
        """
        x, r = -self.x_format.low, -self.rate_format.low
        reach = np.full(self.columns, x)
        reach[self.inputs :] = r
        return np.asarray(np.abs(self.weight) @ reach, dtype=np.int64)

    @property
    def acc_width(self) -> int:
        """Bits of an accumulator that no sum of this layer can overflow."""
        return width_of(int(self.acc_bounds.max()))

    def accumulate(self, x: Raw) -> Raw:
        """`x @ weight.T` for `x` of shape `(batch, columns)`, exactly.

        Products run in float64, where integers are exact below `2**53`, which `acc_width` ensures.
        """
        result = np.empty((len(x), self.outputs), dtype=np.int64)
        for first in range(0, len(x), BLOCK):
            rows = slice(first, first + BLOCK)
            result[rows] = x[rows].astype(np.float64) @ self._transposed
        return result

    @cached_property
    def _transposed(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.weight.T, dtype=np.float64)

    def step(self, x: Raw, u: Raw) -> tuple[Raw, Raw, Saturation]:
        """One step of all neurons.

        Parameters
        ----------
        x
            Raw inputs, own rates appended where recurrent, shape `(batch, columns)`.
        u
            Raw potentials, shape `(batch, outputs)`.

        Returns
        -------
        u, r, saturation
            Potentials and rates after the step, and what was clamped.
        """
        got = self.neurons(self.accumulate(x), u, Constants(self.bias, self.alpha, self.rho))
        return got.u, got.r, got.saturation

    def neurons(self, acc: Raw, u: Raw, words: Constants) -> Neurons:
        """Step the neurons from the sums of their inputs, `acc` of shape `(batch, outputs)`."""
        drive = round_shift(acc * self.scale, self.scale_shift) + words.bias
        current, current_count = saturate(drive, self.u_format.width)
        d = current - u
        ahead = round_shift(words.rho * d, self.rho_shift)
        prosp, prosp_count = saturate(u + ahead, self.u_format.width)
        u = u + round_shift(words.alpha * d, self.alpha_shift)
        r, rate_count = self.activation.run(prosp)
        counts = Saturation(current_count, prosp_count, rate_count)
        return Neurons(u, r, d, ahead, prosp, counts)
