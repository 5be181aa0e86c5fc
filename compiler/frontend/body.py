"""One step of a loop to steps of the intermediate form: Elman layers and leaky integrators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vle.compiler.frontend.affine import Affine
from vle.compiler.frontend.loop import Loop
from vle.compiler.frontend.steps import Elementwise, Floats, Matrix, Nonlinear, Recurrence, Step
from vle.compiler.frontend.sums import ONE, ZERO, Sums
from vle.sim import Activation

IDENTITY = Activation("identity")


def body_steps(loop: Loop, width: int, where: str) -> list[Step]:
    """Read one step of a loop.

    Parameters
    ----------
    loop
        As found.
    width
        Of the step's input.
    where
        Label of the loop, for messages.

    Raises
    ------
    CompileError
        Where the step is not a chain of dense layers, Elman layers and leaky integrators.
    """
    sums = Sums(loop, width, where)
    return Lowering(sums).lower(sums.value(loop.output))


@dataclass
class Lowering:
    """From the sums of one step to steps, from the output back to the step's input."""

    sums: Sums

    def lower(self, value: Affine) -> list[Step]:
        """Return the steps that compute a value, from the step's input on."""
        if value.terms.keys() & self.sums.states.keys():
            return self.recurrence(value, IDENTITY, self.sums.where, "")
        if len(value.terms) != 1:
            names = ", ".join(sorted(value.terms)) or "nothing"
            raise self.sums.refuse(f"branches cannot be mapped: a value of the step joins {names}")
        (name, coefficient), *_ = value.terms.items()
        before = [] if name == self.sums.loop.x else self.rate(name)
        node = self.sums.where
        if coefficient.ndim == 2:
            bias = np.broadcast_to(value.constant, len(coefficient))
            return [*before, Matrix(node, coefficient, bias)]
        if np.all(coefficient == 1) and not np.any(value.constant):
            return before
        return [*before, Elementwise(node, coefficient, value.constant)]

    def rate(self, name: str) -> list[Step]:
        """Return the steps up to an activation."""
        rate = self.sums.rates[name]
        old = [n for n in rate.argument.terms if self.is_old_rate(n)]
        if rate.argument.terms.keys() & self.sums.states.keys() or old:
            return self.recurrence(rate.argument, rate.activation, rate.node, name)
        return [*self.lower(rate.argument), Nonlinear(rate.node, rate.activation)]

    def is_old_rate(self, name: str) -> bool:
        """Say whether a rate is a function of a state, as it was after the step before."""
        rate = self.sums.rates.get(name)
        if rate is None or len(rate.argument.terms) != 1:
            return False
        (base, coefficient), *_ = rate.argument.terms.items()
        whole = (
            coefficient.ndim < 2 and np.all(coefficient == 1) and not rate.argument.constant.any()
        )
        return base in self.sums.states and bool(whole)

    def recurrence(self, prosp: Affine, phi: Activation, node: str, own: str) -> list[Step]:
        """Return the steps up to a layer with states, `phi(prosp)`."""
        here = [name for name in prosp.terms if name in self.sums.states]
        rates = {name for name in here if self.is_rate(name, own, prosp)}
        potentials = [name for name in here if name not in rates]
        if len(potentials) > 1:
            raise self.sums.refuse(f"must have one potential, not {', '.join(potentials)}", node)
        alpha = rho = np.array(1.0)
        drive, start = prosp, None
        if potentials:
            alpha, rho, drive, start = self.integrator(potentials[0], prosp, node)
            rates |= {n for n in drive.terms if n in self.sums.states and n not in potentials}
        old = {n for n in drive.terms if self.is_old_rate(n)}
        for name in old:
            if self.sums.rates[name].activation != phi or not potentials or np.any(rho != alpha):
                raise self.sums.refuse("must hear its own rate of the step before", node)
        return self.layer(drive, phi, node, (rates, old), (alpha, rho, start))

    def is_rate(self, name: str, own: str, prosp: Affine) -> bool:
        """Say whether a state is made of the layer's own rate of the step before."""
        after = self.sums.value(self.sums.states[name].after)
        if own:
            return set(after.terms) == {own}
        return prosp.terms[name].ndim == 2 and after.equals(prosp)

    def integrator(
        self, state: str, prosp: Affine, node: str
    ) -> tuple[Floats, Floats, Affine, Floats | None]:
        """Read `u <- u + alpha (I - u)` and `prosp = s (u + rho (I - u))`.

        Returns
        -------
        `alpha`, `rho`, the current `s I`, and what the first step hears more for a start other
        than 0.
        """
        after = self.sums.value(self.sums.states[state].after)
        keep, seen = (v.terms.get(state, ZERO) for v in (after, prosp))
        if keep.ndim == 2 or seen.ndim == 2 or np.any(keep < 0) or np.any(keep >= 1):
            rule = "a potential must keep a part in 0..1 of itself in each step"
            raise self.sums.refuse(rule, node)
        alpha = 1 - keep
        current = after.without(state).scaled(1 / alpha, ZERO)
        gain = self.gain(current, prosp.without(state), node)
        scale = seen + gain
        rho = gain / scale
        close = np.abs(rho - alpha) < 1e-6
        rho = np.where(close, alpha, rho)
        if np.any(rho < alpha):
            raise self.sums.refuse("rates must be of potentials after their step, not before", node)
        first = np.asarray(self.sums.states[state].start, dtype=float)
        start = None
        if np.any(first):
            if not np.all(close):
                rule = "initial state must be 0 where rates look ahead"
                raise self.sums.refuse(rule, node)
            start = (1 - alpha) / alpha * scale * self.row(first, node)
        return alpha, rho, current.scaled(scale, ZERO), start

    def gain(self, current: Affine, seen: Affine, node: str) -> Floats:
        """Find `g` of `seen = g * current`, one per neuron."""
        sizes = [
            np.sum(np.atleast_2d(c.T).T ** 2, -1) if c.ndim == 2 else c**2
            for c in current.terms.values()
        ]
        products = [
            np.sum(c * seen.terms[n], -1) if c.ndim == 2 else c * seen.terms[n]
            for n, c in current.terms.items()
            if n in seen.terms and seen.terms[n].ndim == c.ndim
        ]
        power = np.asarray(sum(sizes))
        gain = np.asarray(sum(products) / np.where(power > 0, power, 1.0), dtype=float)
        gain = np.where(power > 0, gain, np.max(gain))
        if not current.scaled(gain, ZERO).equals(seen):
            raise self.sums.refuse("a rate must be a function of its own potential's sum", node)
        return gain

    def row(self, start: Floats, node: str) -> Floats:
        """Return an initial state that is the same for all sequences."""
        if start.size == 1:
            return start.reshape(())
        rows = start.reshape(-1, start.shape[-1])
        if not np.all(rows == rows[0]):
            raise self.sums.refuse("initial state must be the same for all sequences", node)
        return np.asarray(rows[0])

    def layer(
        self,
        drive: Affine,
        phi: Activation,
        node: str,
        heard: tuple[set[str], set[str]],
        constants: tuple[Floats, Floats, Floats | None],
    ) -> list[Step]:
        """Return the steps up to a layer that hears its own rates of the step before."""
        rates, old = heard
        alpha, rho, start = constants
        below = [name for name in drive.terms if name not in rates | old]
        if len(below) != 1:
            names = ", ".join(below) or "nothing from below"
            raise self.sums.refuse(f"a layer must hear one signal from below, not {names}", node)
        size = max(
            [np.size(c) if c.ndim < 2 else len(c) for c in drive.terms.values()]
            + [np.size(drive.constant), np.size(alpha)]
        )
        if size == 1 and drive.terms[below[0]].ndim < 2:
            size = self.sums.width if below[0] == self.sums.loop.x else 1
        weight = _square(drive.terms[below[0]], size)
        recurrent, bias = None, np.broadcast_to(drive.constant, size)
        for name in rates | old:
            matrix = _square(drive.terms[name], size)
            own, constant = self.own(name, size)
            first = matrix @ np.broadcast_to(self.first_rate(name, phi, node) - constant, size)
            if np.any(np.abs(first) > 1e-7 * np.abs(matrix).max()):
                start = first if start is None else start + first
            bias = bias + matrix @ np.broadcast_to(constant, size)
            recurrent = matrix @ own if recurrent is None else recurrent + matrix @ own
        step = Recurrence(node, weight, recurrent, bias, phi, alpha, rho, start)
        return [*self.lower(Affine({below[0]: ONE})), step]

    def own(self, name: str, size: int) -> tuple[Floats, Floats]:
        """Matrix and constant that make a state of the layer's rate of the step before."""
        if name not in self.sums.states:
            return np.eye(size), ZERO
        after = self.sums.value(self.sums.states[name].after)
        if len(after.terms) != 1 or next(iter(after.terms)) not in self.sums.rates:
            return np.eye(size), ZERO
        return _square(next(iter(after.terms.values())), size), after.constant

    def first_rate(self, name: str, phi: Activation, node: str) -> Floats:
        """Rate that a layer hears of itself in the first step."""
        if name in self.sums.states:
            return self.row(np.asarray(self.sums.states[name].start, dtype=float), node)
        (state,) = self.sums.rates[name].argument.terms
        first = self.row(np.asarray(self.sums.states[state].start, dtype=float), node)
        return np.asarray(phi(first))


def _square(coefficient: Floats, size: int) -> Floats:
    return coefficient if coefficient.ndim == 2 else np.diag(np.broadcast_to(coefficient, size))
