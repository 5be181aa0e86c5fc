"""Values of one step as sums: matrices times what the step hears, and a constant."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """`sum_b coefficient_b b + constant`.

    Parameters
    ----------
    terms
        By the name of what is heard: a matrix `(out, in)`, or a number or a vector `(out,)` that
        scales element by element.
    constant
        A number or a vector `(out,)`.
    """

    terms: dict[str, Floats] = field(default_factory=dict)
    constant: Floats = field(default_factory=lambda: np.zeros(()))

    def scaled(self, scale: Floats, shift: Floats) -> Affine:
        """Return `scale * self + shift`, element by element."""
        scale, shift = np.asarray(scale, dtype=float), np.asarray(shift, dtype=float)
        terms = {
            name: (np.atleast_1d(scale)[:, None] * c if c.ndim == 2 else scale * c)
            for name, c in self.terms.items()
        }
        return Affine(terms, scale * self.constant + shift)

    def through(self, weight: Floats, bias: Floats) -> Affine:
        """Return `weight @ self + bias`."""
        terms = {n: (weight @ c if c.ndim == 2 else weight * c) for n, c in self.terms.items()}
        constant = weight @ np.broadcast_to(self.constant, weight.shape[1])
        return Affine(terms, constant + bias)

    def plus(self, other: Affine) -> Affine:
        """Return the sum of both."""
        terms = dict(self.terms)
        for name, c in other.terms.items():
            terms[name] = _sum(terms[name], c) if name in terms else c
        kept = {name: c for name, c in terms.items() if np.any(c)}
        return Affine(kept, self.constant + other.constant)

    def only(self, *names: str) -> Affine:
        """Return the terms of some names, without the constant."""
        return Affine({name: c for name, c in self.terms.items() if name in names})

    def without(self, *names: str) -> Affine:
        """Return this without the terms of some names."""
        return Affine({n: c for n, c in self.terms.items() if n not in names}, self.constant)

    def equals(self, other: Affine) -> bool:
        """Say whether both are the same but for rounding in single precision."""
        rest = self.plus(other.scaled(np.array(-1.0), np.array(0.0)))
        size = 1 + max((np.abs(c).max() for c in self.terms.values()), default=0.0)
        found = [*rest.terms.values(), rest.constant]
        return all(np.abs(c).max() <= 1e-6 * size for c in found)


def _sum(a: Floats, b: Floats) -> Floats:
    """Sum of two coefficients; a vector beside a matrix is its diagonal."""
    if a.ndim == 2 or b.ndim == 2:
        size = len(a) if a.ndim == 2 else len(b)
        a, b = (c if c.ndim == 2 else np.diag(np.broadcast_to(c, size)) for c in (a, b))
    return np.asarray(a + b)
