"""The activations by torch's own functions: what exporters know by name, and quicker to train."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from vle.sim.activations import Activation


class NativeActivation(Activation):
    """An activation whose derivative is left to autograd."""

    def with_derivative(self, x: Tensor) -> tuple[Tensor, None]:
        """Return ``phi(x)`` and None."""
        return _FUNCTIONS[self.name](x, self.alpha or 0.0, self.beta or 0.0), None


def _hard_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    """By the function that torch has, of slope 1/6 and 1/2 at 0."""
    y = 6 * alpha * x
    return functional.hardsigmoid(y if beta == 0.5 else y + 6 * (beta - 0.5))


_FUNCTIONS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "identity": lambda x, alpha, beta: x,
    "relu": lambda x, alpha, beta: torch.relu(x),
    "leaky_relu": lambda x, alpha, beta: functional.leaky_relu(x, alpha),
    "tanh": lambda x, alpha, beta: torch.tanh(x),
    "sigmoid": lambda x, alpha, beta: torch.sigmoid(x),
    "softplus": lambda x, alpha, beta: functional.softplus(x, threshold=100.0),
    "hard_tanh": lambda x, alpha, beta: torch.clamp(x, -1.0, 1.0),
    "hard_sigmoid": _hard_sigmoid,
}
