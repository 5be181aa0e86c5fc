"""From wide weights to narrow ones, always where a bit less costs the least error."""

from __future__ import annotations

from collections.abc import Sequence

from vle.compiler.quantization.choice import Choice
from vle.compiler.search.sensitivity import FULL, Sensitivity

LEAST = 2  # bits of a weight
Group = tuple[int, ...]  # layers that share a memory, so that the widest of them decides


def narrowing(
    sensitivity: Sensitivity, sizes: Sequence[int], groups: Sequence[Group], start: Choice
) -> list[Choice]:
    """Return choices from `FULL` bits everywhere to `LEAST`, each a bit less in one group.

    Where powers of errors add up and shrink by the same factor per bit, no other choice with so
    little error has fewer bits (marginal analysis of a separable convex sum).

    Parameters
    ----------
    sensitivity
        Of each layer.
    sizes
        Weights of each layer.
    groups
        Layers that are narrowed together.
    start
        The first choice, of `FULL` bits.

    References
    ----------
    Fox 1966, "Discrete optimization via marginal analysis", Management Science 13.
    """
    path, bits = [start], dict.fromkeys(groups, FULL)
    while True:
        open_ = [group for group in groups if bits[group] > LEAST]
        if not open_:
            return path
        group = min(open_, key=lambda g: (_cost(sensitivity, sizes, g, bits[g]), g))
        bits[group] -= 1
        path.append(path[-1].at(group, bits[group]))


def _cost(sensitivity: Sensitivity, sizes: Sequence[int], group: Group, bits: int) -> float:
    """Power of the error that one bit less in a group adds, per bit of memory that it saves."""
    now, then = (sum(sensitivity.power(layer, b) for layer in group) for b in (bits, bits - 1))
    return max(then - now, 0.0) / sum(sizes[layer] for layer in group) if then > now else 0.0
