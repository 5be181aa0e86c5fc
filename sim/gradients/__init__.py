"""Gradients of the summed cost: exact in two independent ways, and by local rules.

`reverse_gradient` needs JAX and is imported only when it is asked for.
"""

from typing import Any

from vle.sim.gradients.adjoint import adjoint_gradient
from vle.sim.gradients.compare import Agreement, agreement, to_log_tau
from vle.sim.gradients.local import RULES, local_gradient

__all__ = [
    "RULES",
    "Agreement",
    "adjoint_gradient",
    "agreement",
    "local_gradient",
    "reverse_gradient",
    "to_log_tau",
]


def __getattr__(name: str) -> Any:
    if name == "reverse_gradient":
        from vle.sim.gradients.reverse import reverse_gradient  # noqa: PLC0415

        return reverse_gradient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
