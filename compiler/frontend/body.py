"""One step of a loop to steps of the intermediate form: Elman layers and leaky integrators."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto

from vle.compiler.frontend.affine import Affine
from vle.compiler.frontend.chain import node_operation
from vle.compiler.frontend.elementwise import find_activation
from vle.compiler.frontend.frame import Axis, Frame
from vle.compiler.frontend.graph import attributes_of, domain_of, label
from vle.compiler.frontend.loop import Loop, State
from vle.compiler.frontend.registry import find
from vle.compiler.frontend.steps import (
    Elementwise,
    Floats,
    Matrix,
    Nonlinear,
    Recurrence,
    Step,
)
from vle.errors import CompileError
from vle.sim import Activation

IDENTITY = Activation("identity")
THROUGH = ("Cast", "Dropout", "Identity", "Squeeze", "Unsqueeze")
ONE, ZERO = np.array(1.0), np.array(0.0)


@dataclass(frozen=True)
class _Rate:
    """An activation in the step: its function, what goes into it, and its node."""

    activation: Activation
    argument: Affine
    node: str


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
    body = _Body(loop, width, where)
    return body.lower(body.value(loop.output))


@dataclass
class _Body:
    loop: Loop
    width: int
    where: str
    values: dict[str, Affine] = field(default_factory=dict)
    rates: dict[str, _Rate] = field(default_factory=dict)
    widths: dict[str, int | None] = field(default_factory=dict)

    @property
    def states(self) -> dict[str, State]:
        return {state.name: state for state in self.loop.states}

    def refuse(self, rule: str, node: str = "") -> CompileError:
        return CompileError(rule, node=node or self.where)

    # From nodes to sums.

    def value(self, name: str) -> Affine:
        """Return a value as a sum of inputs, states and rates."""
        if name not in self.values:
            self.values[name] = self._value(name)
        return self.values[name]

    def _value(self, name: str) -> Affine:
        graph = self.loop.graph
        if name == self.loop.x or name in self.states:
            return Affine({name: ONE})
        if name in graph.constants:
            return Affine({}, self._vector(name))
        node = graph.producers.get(name)
        if node is None or name not in graph.signals:
            raise self.refuse(f"{name!r} must depend on the step's input")
        data = graph.data(node)
        if node.op_type in THROUGH and not domain_of(node):
            return self.value(node.input[0])
        if len(data) == 1:
            return self._single(name, node)
        found = find_activation(graph, name)
        if found:
            return self._through(self.value(found.source), name, found.steps)
        return self._several(node)

    def _vector(self, name: str) -> Floats:
        array = np.asarray(self.loop.graph.constants[name], dtype=float)
        if array.size > 1 and array.size != array.shape[-1]:
            raise self.refuse(f"constant {name!r} must be the same for all sequences")
        return array.reshape(array.shape[-1:] if array.size > 1 else ())

    def _several(self, node: NodeProto) -> Affine:
        """Take a node with several signals: sums, and vectors beside each other."""
        operands = [self.value(name) for name in node.input if name]
        if node.op_type in ("Add", "Sum"):
            whole = operands[0]
            for operand in operands[1:]:
                whole = whole.plus(operand)
            return whole
        if node.op_type == "Sub":
            return operands[0].plus(operands[1].scaled(-ONE, ZERO))
        if node.op_type == "Concat" and attributes_of(node)["axis"] in (-1, 1, 2):
            return self._beside(node, operands)
        names = ", ".join(node.input[index] for index in self.loop.graph.data(node))
        raise self.refuse(f"cannot be mapped: it joins {names}", label(node))

    def _beside(self, node: NodeProto, operands: list[Affine]) -> Affine:
        widths = [self.width_of(name) for name in node.input]
        if None in widths:
            raise self.refuse("must join vectors of fixed length", label(node))
        sizes = [width or 0 for width in widths]
        starts = np.cumsum([0, *sizes])
        whole = Affine({}, np.zeros(starts[-1]))
        for start, size, operand in zip(starts, sizes, operands, strict=False):
            whole = whole.plus(operand.through(np.eye(starts[-1], size, -start), ZERO))
        return whole

    def _single(self, name: str, node: NodeProto) -> Affine:
        """Take a node as its own reader does."""
        operation = node_operation(self.loop.graph, name)
        if operation.steps:
            return self._through(self.value(operation.source), name, operation.steps)
        width = self.width_of(operation.source)
        frame = Frame((Axis("batch"), Axis(width)))
        reading = find(operation).read(operation, frame, (None, width))
        if reading.frame.ended or reading.note:
            raise self.refuse("must not be within a loop", label(node))
        return self._through(self.value(operation.source), name, reading.steps)

    def _through(self, value: Affine, name: str, steps: tuple[Step, ...]) -> Affine:
        for index, step in enumerate(steps):
            if isinstance(step, Matrix):
                value = value.through(step.weight, step.bias)
            elif isinstance(step, Elementwise):
                value = value.scaled(step.scale, step.shift)
            elif isinstance(step, Nonlinear):
                rate = f"{name}/{index}"
                self.rates[rate] = _Rate(step.activation, value, step.node)
                value = Affine({rate: ONE})
            else:
                raise self.refuse("loops must not be nested", step.node)
        return value

    def width_of(self, name: str) -> int | None:
        """Length of a value, where a matrix or a constant on the way to it tells."""
        if name not in self.widths:
            self.widths[name] = None  # of a state that is asked for again on the way
            self.widths[name] = self._width(name)
        return self.widths[name]

    def _width(self, name: str) -> int | None:
        graph = self.loop.graph
        if name == self.loop.x:
            return self.width
        if name in self.states:
            return self.width_of(self.states[name].after)
        if name in graph.constants:
            array = graph.constants[name]
            return int(array.shape[-1]) if array.ndim and array.shape[-1] > 1 else None
        node = graph.producers[name]
        if node.op_type in ("Gemm", "MatMul") and node.input[1] in graph.constants:
            rows = bool(attributes_of(node).get("transB", 0))
            shape = graph.constants[node.input[1]].shape
            return int(shape[-2 if rows else -1]) if len(shape) > 1 else None
        widths = [self.width_of(n) for n in node.input if n]
        if node.op_type == "Concat":
            return None if None in widths else sum(w or 0 for w in widths)
        return next((width for width in widths if width), None)

    # From sums to steps.

    def lower(self, value: Affine) -> list[Step]:
        """Return the steps that compute a value, from the step's input on."""
        if value.terms.keys() & self.states.keys():
            return self.recurrence(value, IDENTITY, self.where, "")
        if len(value.terms) != 1:
            names = ", ".join(sorted(value.terms)) or "nothing"
            raise self.refuse(f"branches cannot be mapped: a value of the step joins {names}")
        (name, coefficient), *_ = value.terms.items()
        before = [] if name == self.loop.x else self.rate(name)
        node = self.where
        if coefficient.ndim == 2:
            bias = np.broadcast_to(value.constant, len(coefficient))
            return [*before, Matrix(node, coefficient, bias)]
        if np.all(coefficient == 1) and not np.any(value.constant):
            return before
        return [*before, Elementwise(node, coefficient, value.constant)]

    def rate(self, name: str) -> list[Step]:
        rate = self.rates[name]
        old = [n for n in rate.argument.terms if self.is_old_rate(n)]
        if rate.argument.terms.keys() & self.states.keys() or old:
            return self.recurrence(rate.argument, rate.activation, rate.node, name)
        return [*self.lower(rate.argument), Nonlinear(rate.node, rate.activation)]

    def is_old_rate(self, name: str) -> bool:
        """Say whether a rate is a function of a state, as it was after the step before."""
        rate = self.rates.get(name)
        if rate is None or len(rate.argument.terms) != 1:
            return False
        (base, coefficient), *_ = rate.argument.terms.items()
        whole = (
            coefficient.ndim < 2 and np.all(coefficient == 1) and not rate.argument.constant.any()
        )
        return base in self.states and bool(whole)

    def recurrence(self, prosp: Affine, phi: Activation, node: str, own: str) -> list[Step]:
        """Return the steps up to a layer with states, `phi(prosp)`."""
        here = [name for name in prosp.terms if name in self.states]
        rates = {name for name in here if self.is_rate(name, own, prosp)}
        potentials = [name for name in here if name not in rates]
        if len(potentials) > 1:
            raise self.refuse(f"must have one potential, not {', '.join(potentials)}", node)
        alpha = rho = np.array(1.0)
        drive, start = prosp, None
        if potentials:
            alpha, rho, drive, start = self.integrator(potentials[0], prosp, node)
            rates |= {n for n in drive.terms if n in self.states and n not in potentials}
        old = {n for n in drive.terms if self.is_old_rate(n)}
        for name in old:
            if self.rates[name].activation != phi or not potentials or np.any(rho != alpha):
                raise self.refuse("must hear its own rate of the step before", node)
        return self.layer(drive, phi, node, (rates, old), (alpha, rho, start))

    def is_rate(self, name: str, own: str, prosp: Affine) -> bool:
        """Say whether a state is made of the layer's own rate of the step before."""
        after = self.value(self.states[name].after)
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
        after = self.value(self.states[state].after)
        keep, seen = (v.terms.get(state, ZERO) for v in (after, prosp))
        if keep.ndim == 2 or seen.ndim == 2 or np.any(keep < 0) or np.any(keep >= 1):
            rule = "a potential must keep a part in 0..1 of itself in each step"
            raise self.refuse(rule, node)
        alpha = 1 - keep
        current = after.without(state).scaled(1 / alpha, ZERO)
        gain = self.gain(current, prosp.without(state), node)
        scale = seen + gain
        rho = gain / scale
        close = np.abs(rho - alpha) < 1e-6
        rho = np.where(close, alpha, rho)
        if np.any(rho < alpha):
            raise self.refuse("rates must be of the potential after its step, not before", node)
        first = np.asarray(self.states[state].start, dtype=float)
        start = None
        if np.any(first):
            if not np.all(close):
                rule = "initial state must be 0 where rates look ahead"
                raise self.refuse(rule, node)
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
            raise self.refuse("a rate must be a function of its own potential's sum", node)
        return gain

    def row(self, start: Floats, node: str) -> Floats:
        """Return an initial state that is the same for all sequences."""
        if start.size == 1:
            return start.reshape(())
        rows = start.reshape(-1, start.shape[-1])
        if not np.all(rows == rows[0]):
            raise self.refuse("initial state must be the same for all sequences", node)
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
            raise self.refuse(f"a layer must hear one signal from below, not {names}", node)
        size = max(
            [np.size(c) if c.ndim < 2 else len(c) for c in drive.terms.values()]
            + [np.size(drive.constant), np.size(alpha)]
        )
        if size == 1 and drive.terms[below[0]].ndim < 2:
            size = self.width if below[0] == self.loop.x else 1
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
        if name not in self.states:
            return np.eye(size), ZERO
        after = self.value(self.states[name].after)
        if len(after.terms) != 1 or next(iter(after.terms)) not in self.rates:
            return np.eye(size), ZERO
        return _square(next(iter(after.terms.values())), size), after.constant

    def first_rate(self, name: str, phi: Activation, node: str) -> Floats:
        """Rate that a layer hears of itself in the first step."""
        if name in self.states:
            return self.row(np.asarray(self.states[name].start, dtype=float), node)
        (state,) = self.rates[name].argument.terms
        first = self.row(np.asarray(self.states[state].start, dtype=float), node)
        return np.asarray(phi(first))


def _square(coefficient: Floats, size: int) -> Floats:
    return coefficient if coefficient.ndim == 2 else np.diag(np.broadcast_to(coefficient, size))
