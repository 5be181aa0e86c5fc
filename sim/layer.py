"""A layer as a user meets it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.sim.activations import Activation
from vle.sim.dynamics import LayerParameters

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of neurons, its synapses, its time constants.

    Parameters
    ----------
    weight
        ``(out, in)``.
    bias
        ``(out,)``.
    tau_m, tau_r
        Membrane and prospective time constants in seconds, ``(out,)`` or one for all.
    activation
        `Activation`, or its name.
    recurrent
        Weights from the layer to itself, ``(out, out)``; None: feedforward.
    backward
        Weights that carry the errors down, ``(in, out)``; None: the transpose of ``weight``.

    Raises
    ------
    ValueError
        For wrong shapes, for numbers that are not finite and time constants that are not positive.
    """

    weight: Floats
    bias: Floats
    tau_m: Floats
    tau_r: Floats
    activation: Activation
    recurrent: Floats | None = None
    backward: Floats | None = None

    def __post_init__(self) -> None:
        weight = _numbers("weight", self.weight)
        if weight.ndim != 2 or 0 in weight.shape:
            raise ValueError(f"weight must be of shape (out, in), not {weight.shape!r}")
        outputs, inputs = weight.shape
        shapes = {
            "bias": (outputs,),
            "tau_m": (outputs,),
            "tau_r": (outputs,),
            "recurrent": (outputs, outputs),
            "backward": (inputs, outputs),
        }
        object.__setattr__(self, "weight", weight)
        for name, shape in shapes.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _numbers(name, getattr(self, name), shape))
        for name in ("tau_m", "tau_r"):
            if np.any(getattr(self, name) <= 0):
                raise ValueError(
                    f"{name} must be positive, not {float(getattr(self, name).min())!r}"
                )
        if isinstance(self.activation, str):
            object.__setattr__(self, "activation", Activation(self.activation))
        if not isinstance(self.activation, Activation):
            raise ValueError(f"activation must be an Activation, not {self.activation!r}")

    @property
    def inputs(self) -> int:
        """Number of inputs, the layer's own rates not counted."""
        return int(self.weight.shape[1])

    @property
    def outputs(self) -> int:
        """Number of neurons."""
        return int(self.weight.shape[0])

    @property
    def parameters(self) -> LayerParameters:
        """The arrays, as `vle.sim.dynamics` takes them."""
        return LayerParameters(
            self.weight, self.bias, self.tau_m, self.tau_r, self.recurrent, self.backward
        )

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layer):
            return NotImplemented
        pairs = zip(self.parameters, other.parameters, strict=True)
        same = all(a is b or (a is not None and np.array_equal(a, b)) for a, b in pairs)
        return same and self.activation == other.activation


def _numbers(name: str, value: ArrayLike, shape: tuple[int, ...] | None = None) -> Floats:
    """Return a read-only copy in float64; one number fills a vector."""
    array = np.array(value, dtype=np.float64)
    if shape is not None:
        if array.ndim == 0 and len(shape) == 1:
            array = np.full(shape, array)
        if array.shape != shape:
            raise ValueError(f"{name} must be of shape {shape!r}, not {array.shape!r}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, not {float(array[~np.isfinite(array)][0])!r}")
    array.setflags(write=False)
    return array
