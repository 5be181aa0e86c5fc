"""A chain of layers as a torch module that learns by autograd or by local rules."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vle.sim import losses
from vle.sim.dynamics import LayerParameters, Settings
from vle.sim.gradients.local import RULES, local_gradient
from vle.sim.network import Network
from vle.sim.pytorch.layer import LatentLayer, run

EXACT = "exact"


class LatentNetwork(nn.Sequential):
    """Layers one after the other: `vle.sim.Network` with ``aligned=True``, for torch.

    ``model(x)`` takes ``(T, inputs)`` or ``(T, batch, inputs)`` and answers every frame in the step
    it comes in, as ``model.to_network().run(x)`` does.

    Parameters
    ----------
    layers
        From the bottom, with one ``dt``.
    loss
        ``squared_error``, or ``cross_entropy`` on linear outputs.

    Raises
    ------
    ValueError
        For layers that do not fit each other, and an unknown loss.
    """

    def __init__(self, *layers: LatentLayer, loss: str = "squared_error") -> None:
        super().__init__(*layers)
        self.loss = loss
        self.to_network()  # checks that the layers fit

    @classmethod
    def from_network(
        cls, network: Network, *, learn_tau: bool = False, dtype: torch.dtype | None = None
    ) -> LatentNetwork:
        """Return a network as a torch module, whose answers are aligned.

        Raises
        ------
        ValueError
            For a network with backward matrices, which this module has not.
        """
        if any(layer.backward is not None for layer in network.layers):
            raise ValueError("layers must be without backward matrices, which learn on their own")
        layers = (
            LatentLayer.from_layer(layer, network.dt, learn_tau=learn_tau, dtype=dtype)
            for layer in network.layers
        )
        return cls(*layers, loss=network.loss)

    def to_network(self, plasticity: str = "filtered") -> Network:
        """Return the network, in float64; `plasticity` is how it goes on learning."""
        layers = [module.to_layer() for module in self.layers]
        steps = {module.dt for module in self.layers}
        if len(steps) != 1:
            raise ValueError(f"dt must be one for all layers, not {sorted(steps)!r}")
        return Network(
            tuple(layers), steps.pop(), loss=self.loss, plasticity=plasticity, aligned=True
        )

    @property
    def layers(self) -> list[LatentLayer]:
        """The layers, from the bottom."""
        return list(self)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return the answers ``(T, ..., outputs)`` to a signal ``(T, ..., inputs)``."""
        return run(self.layers, x)

    def cost(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the cost, averaged over frames and sequences; targets as in `vle.sim.losses`."""
        return losses.cost(self.loss, self(x), y).mean()  # type: ignore[no-any-return]

    def backward(self, x: Tensor, y: Tensor, rule: str = EXACT) -> Tensor:
        """Add the gradient of `cost` to each parameter's ``grad``, and return the cost.

        Parameters
        ----------
        x, y
            Signal and targets.
        rule
            ``exact`` by autograd through time, or a local rule of `vle.sim.gradients.local`, which
            stores no history: errors then come down one layer per step.

        Raises
        ------
        ValueError
            For an unknown rule.
        """
        if rule not in (EXACT, *RULES):
            raise ValueError(f"rule must be one of {', '.join((EXACT, *RULES))}, not {rule!r}")
        if rule == EXACT:
            cost = self.cost(x, y)
            cost.backward()  # type: ignore[no-untyped-call]
            return cost.detach()
        with torch.no_grad():
            cost = self.cost(x, y)
            for module, gradient in zip(self.layers, self._local(x, y, rule), strict=True):
                _add(module, gradient, 1 / max(1, x[..., 0].numel()))
            return cost

    def _local(self, x: Tensor, y: Tensor, rule: str) -> tuple[LayerParameters, ...]:
        """Sum of the rule's gradients, on the CPU; targets wait as long as answers do."""
        count, x, y = len(self.layers), x.cpu(), y.cpu()
        absent = torch.nan if y.is_floating_point() else -1
        frames = torch.cat([x, x.new_zeros((count, *x.shape[1:]))])
        targets = torch.cat([y.new_full((count, *y.shape[1:]), absent), y])
        parameters = [
            LayerParameters(*(None if a is None else a.detach().cpu() for a in module.tensors))
            for module in self.layers
        ]
        activations = tuple(module.phi for module in self.layers)
        settings = Settings(activations, self.layers[0].dt, self.loss)
        return local_gradient(parameters, settings, frames, targets, rule)

    def fit(
        self,
        x: Tensor,
        y: Tensor,
        *,
        steps: int = 200,
        rate: float = 0.01,
        rule: str = EXACT,
    ) -> list[float]:
        """Take steps of Adam down the gradient of all of the data; return the costs before each."""
        optimizer = torch.optim.Adam(self.parameters(), lr=rate)
        costs = []
        for _ in range(steps):
            optimizer.zero_grad()
            costs.append(float(self.backward(x, y, rule)))
            optimizer.step()
        return costs


def _add(module: LatentLayer, gradient: LayerParameters, scale: float) -> None:
    """Add a gradient to those of a layer's parameters, time constants as logarithms."""
    pairs: Iterable[tuple[Tensor | None, Tensor]] = (
        (module.weight, gradient.weight),
        (module.bias, gradient.bias),
        (module.recurrent, gradient.recurrent),
        (module.log_m, gradient.tau_m * module.tau_m.cpu()),
        (module.log_r, gradient.tau_r * module.tau_r.cpu()),
    )
    for parameter, value in pairs:
        if parameter is not None and parameter.requires_grad:
            new, old = (scale * value).to(parameter), parameter.grad
            parameter.grad = new if old is None else old + new
