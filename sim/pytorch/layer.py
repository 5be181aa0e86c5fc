"""One layer as a torch module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from vle.sim.activations import Activation
from vle.sim.dynamics import LayerParameters, LayerState, Settings, step_layer
from vle.sim.layer import Layer
from vle.sim.pytorch.activation import NativeActivation


class LatentLayer(nn.Module):
    """A layer of leaky integrators that look ahead, on whole signals.

    The equations are those of `vle.sim.dynamics`, in Euler steps of ``dt`` from ``u = 0`` ::

        tau_m du/dt = -u + W x + R r + b     r = phi(u + tau_r du/dt)

    A `torch.nn.Sequential` of such layers is a `vle.sim.Network` that is aligned.

    Parameters
    ----------
    inputs, outputs
        Widths.
    dt
        Length of a step, seconds.
    tau_m, tau_r
        Time constants in seconds, one or one per neuron, at least ``dt``; `tau_r` None: ``dt``,
        which makes a plain leaky integrator.
    activation
        `Activation`, or its name.
    recurrent
        Whether the layer hears its own rates of the step before.
    learn_tau
        Whether time constants are parameters; they learn as logarithms.
    dtype
        Of the parameters; None: torch's default.

    Raises
    ------
    ValueError
        As `vle.sim.Layer`, and for time constants shorter than ``dt``.
    """

    tau_m_start: Tensor
    tau_r_start: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        dt: float,
        tau_m: ArrayLike,
        tau_r: ArrayLike | None = None,
        activation: str | Activation = "tanh",
        recurrent: bool = False,
        learn_tau: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        scale = math.sqrt(1 / max(1, inputs))
        weight = scale * torch.randn(outputs, inputs, dtype=dtype)
        loop = torch.randn(outputs, outputs, dtype=dtype) * (0.5 / math.sqrt(max(1, outputs)))
        self._fill(
            Layer(
                weight.numpy(),
                np.zeros(outputs),
                np.asarray(tau_m),
                np.asarray(dt if tau_r is None else tau_r),
                Activation(activation) if isinstance(activation, str) else activation,
                loop.numpy() if recurrent else None,
            ),
            dt,
            learn_tau,
            dtype,
        )

    @classmethod
    def from_layer(
        cls, layer: Layer, dt: float, *, learn_tau: bool = False, dtype: torch.dtype | None = None
    ) -> LatentLayer:
        """Return a module with the parameters of a layer."""
        module = cls.__new__(cls)
        nn.Module.__init__(module)
        module._fill(layer, dt, learn_tau, dtype)
        return module

    def _fill(self, layer: Layer, dt: float, learn_tau: bool, dtype: torch.dtype | None) -> None:
        smallest = min(layer.tau_m.min(), layer.tau_r.min())
        if not 0 < dt <= smallest:
            raise ValueError(
                f"dt must be positive and at most the smallest time constant {smallest}, not {dt!r}"
            )

        def tensor(array: Any) -> Tensor:
            return torch.tensor(array, dtype=dtype or torch.get_default_dtype())

        self.dt, self.phi = float(dt), layer.activation
        self.weight = nn.Parameter(tensor(layer.weight))
        self.bias = nn.Parameter(tensor(layer.bias))
        self.recurrent = None
        if layer.recurrent is not None:
            self.recurrent = nn.Parameter(tensor(layer.recurrent))
        self.log_m = self.log_r = None
        self._given = (layer.tau_m, layer.tau_r)  # in double precision
        for name, tau in zip("mr", self._given, strict=True):
            self.register_buffer(f"tau_{name}_start", tensor(tau))
            if learn_tau:  # the logarithm of how much longer it has become
                setattr(self, f"log_{name}", nn.Parameter(torch.zeros_like(tensor(tau))))

    @property
    def tau_m(self) -> Tensor:
        """Membrane time constants, seconds."""
        return self._tau(self.tau_m_start, self.log_m)

    @property
    def tau_r(self) -> Tensor:
        """Prospective time constants, seconds."""
        return self._tau(self.tau_r_start, self.log_r)

    def _tau(self, start: Tensor, log: Tensor | None) -> Tensor:
        return start if log is None else torch.clamp(start * torch.exp(log), min=self.dt)

    @property
    def tensors(self) -> LayerParameters:
        """The parameters, as `vle.sim.dynamics` takes them."""
        return LayerParameters(self.weight, self.bias, self.tau_m, self.tau_r, self.recurrent)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rates ``(T, ..., outputs)`` to a signal ``(T, ..., inputs)``."""
        return run([self], x)

    def to_layer(self) -> Layer:
        """Return the layer, in float64."""

        def array(tensor: Tensor) -> Any:
            return tensor.detach().cpu().double().numpy()

        def exact(tau: Tensor, given: Any) -> Any:
            """Undo the rounding of time constants that did not learn, or learned down to dt."""
            numbers = array(tau)
            for known in (given, np.float64(self.dt)):
                same = array(torch.tensor(known, dtype=tau.dtype)) == numbers
                numbers = np.where(same, known, numbers)
            return np.maximum(numbers, self.dt)

        taus = [exact(*pair) for pair in zip((self.tau_m, self.tau_r), self._given, strict=True)]
        loop = None if self.recurrent is None else array(self.recurrent)
        return Layer(array(self.weight), array(self.bias), taus[0], taus[1], self.phi, loop)

    def extra_repr(self) -> str:
        """Say what the layer is."""
        outputs, inputs = self.weight.shape
        loop = ", recurrent" * (self.recurrent is not None)
        return f"{inputs}, {outputs}, {self.phi.name}, dt={self.dt:g}{loop}"


def run(layers: Sequence[LatentLayer], x: Tensor) -> Tensor:
    """Run layers on a signal; each hears the rates below of the same step.

    Parameters
    ----------
    layers
        From the bottom.
    x
        ``(T, ..., inputs)``.

    Returns
    -------
    ``(T, ..., outputs)``.

    Raises
    ------
    ValueError
        For a signal of the wrong shape.
    """
    inputs = layers[0].weight.shape[1]
    if x.ndim < 2 or x.shape[-1] != inputs or not len(x):
        raise ValueError(f"x must be of shape (T, ..., {inputs}), not {tuple(x.shape)!r}")
    parameters = [layer.tensors for layer in layers]
    phis = [NativeActivation(p.name, p.alpha, p.beta) for p in (layer.phi for layer in layers)]
    settings = [Settings((phi,), layer.dt) for phi, layer in zip(phis, layers, strict=True)]
    zeros = [torch.zeros_like(layer.bias) for layer in layers]
    states = [LayerState(zero, zero, zero) for zero in zeros]  # one for all sequences, at first
    out = []
    for frame in x.unbind(0):
        r = frame
        for k, phi in enumerate(phis):
            states[k], _ = step_layer(parameters[k], states[k], r, None, settings[k], phi=phi)
            r = states[k].r
        out.append(r)
    return torch.stack(out)
