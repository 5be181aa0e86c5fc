"""Last pass: leaky integrators to layers, level by level from the input."""

from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from vle.compiler.frontend.nir.signals import WEIGHTS, Signal, System
from vle.errors import CompileError
from vle.sim import Activation, Layer, Network

IDENTITY = Activation("identity")
ROUNDING = 1e-6  # of time constants that a file holds in single precision


def build_network(system: System, dt: float) -> tuple[Network, tuple[str, ...]]:
    """Make layers of leaky integrators that look one step ahead, and notes on what was added.

    An integrator is one level above all that it hears; integrators that hear each other, or
    themselves, share a level and do so through recurrent weights, one step later. Signals that are
    heard further up than one level are handed on by neurons without memory.

    Raises
    ------
    CompileError
        If a time constant is shorter than a step; the message names the node.
    """
    for integrator in system.integrators.values():
        if integrator.tau.min() < dt * (1 - ROUNDING):
            rule = f"time constants must be at least the step of {dt:g}"
            raise CompileError(f"{rule}, not {integrator.tau.min():g}", node=integrator.node)
    builder = _Builder(system, dt)
    layers = builder.layers()
    return Network(layers, dt, aligned=True), tuple(builder.notes)


class _Builder:
    """Where each source is heard, and the layers that follow from it."""

    def __init__(self, system: System, dt: float) -> None:
        self.system, self.dt = system, dt
        self.names = list(system.integrators)
        self.loops = _loops(system, self.names)
        self.level = _levels(system, self.names, self.loops)
        self.notes: list[str] = []
        self.top = max(self.level.values())
        if not self._is_top(system.output):
            self.top += 1

    def layers(self) -> tuple[Layer, ...]:
        """Build the layers from the bottom."""
        below = {self.system.entry: slice(0, self.system.inputs)}
        layers = []
        for level in range(1, self.top + 1):
            rows = self._rows(level)
            layers.append(self._layer(level, below, rows))
            below = rows
        self._note_loops()
        return tuple(layers)

    def _rows(self, level: int) -> dict[str, slice]:
        """Neurons of a level: its integrators, then what is handed on; the output on top."""
        names = [name for name in self.names if self.level[name] == level]
        needed = {
            source
            for name, integrator in self.system.integrators.items()
            if self.level[name] > level
            for source in integrator.drive.parts
        }
        if self._reads_out(level):
            return {"": slice(0, self.system.output.width)}
        needed |= set(self.system.output.parts)
        handed = [name for name in self.level if name in needed and self.level[name] < level]
        rows, start = {}, 0
        for name in (*names, *handed):
            rows[name] = slice(start, start + self._width(name))
            start = rows[name].stop
        for name in handed:
            self.notes.append(f"layer {level - 1} hands {name} on by {self._width(name)} neurons")
        return rows

    def _layer(self, level: int, below: dict[str, slice], rows: dict[str, slice]) -> Layer:
        """Fill the matrices of one level."""
        outputs, inputs = (max(s.stop for s in where.values()) for where in (rows, below))
        if outputs * max(inputs, outputs) > WEIGHTS:
            rule = f"layer {level - 1} must have at most {WEIGHTS} weights"
            raise CompileError(f"{rule}, not {outputs} x {max(inputs, outputs)}")
        weight, recurrent = np.zeros((outputs, inputs)), np.zeros((outputs, outputs))
        bias, tau = np.zeros(outputs), np.full(outputs, self.dt)
        for name, where in rows.items():
            drive = self._drive(level, name)
            bias[where] = drive.offset
            if self.level.get(name) == level:
                tau[where] = np.maximum(self.system.integrators[name].tau, self.dt)
            for source in drive.parts:
                if source in rows and self.level[source] == level and name:
                    recurrent[where, rows[source]] = drive.dense(source)
                else:
                    weight[where, below[source]] = drive.dense(source)
        own = recurrent if recurrent.any() else None
        try:
            return Layer(weight, bias, tau, np.full(outputs, self.dt), IDENTITY, own)
        except ValueError as error:
            nodes = ", ".join(filter(None, rows)) or "the output"
            raise CompileError(f"layer {level - 1}, of {nodes}: {error}") from error

    def _drive(self, level: int, name: str) -> Signal:
        """Return what the neurons of a source hear on a level."""
        if not name:
            return self.system.output
        if self.level[name] == level:
            return self.system.integrators[name].drive
        return Signal({name: None}, np.zeros(self._width(name)))

    def _width(self, name: str) -> int:
        if name == self.system.entry:
            return self.system.inputs
        return len(self.system.integrators[name].tau)

    def _reads_out(self, level: int) -> bool:
        return level > max(self.level.values())

    def _is_top(self, output: Signal) -> bool:
        """Whether the output is just the integrators of the highest level."""
        top = [name for name in self.names if self.level[name] == self.top]
        same = list(output.parts) == top and len(top) == 1 and output.parts[top[0]] is None
        return same and not output.offset.any()

    def _note_loops(self) -> None:
        for loop in sorted({tuple(sorted(loop)) for loop in self.loops.values() if len(loop) > 1}):
            where = f"layer {self.level[loop[0]] - 1}"
            self.notes.append(f"{', '.join(loop)} hear each other one step later, in {where}")


def _loops(system: System, names: list[str]) -> dict[str, frozenset[str]]:
    """All that each integrator hears and is heard by, itself included."""
    index = {name: i for i, name in enumerate(names)}
    reach: NDArray[np.bool_] = np.zeros((len(names), len(names)), dtype=np.bool_)
    for name, integrator in system.integrators.items():
        for source in integrator.drive.parts:
            if source in index:
                reach[index[name], index[source]] = True
    for via in range(len(names)):  # Warshall
        reach |= reach[:, via, None] & reach[via]
    both = reach & reach.T
    return {
        name: frozenset([name, *(other for other in names if both[i, index[other]])])
        for name, i in index.items()
    }


def _levels(system: System, names: list[str], loops: dict[str, frozenset[str]]) -> dict[str, int]:
    """Level of each source: 0 for the input, above all that it hears for an integrator."""
    heard: dict[frozenset[str], set[frozenset[str]]] = {loops[name]: set() for name in names}
    for name, integrator in system.integrators.items():
        sources = [s for s in integrator.drive.parts if s in loops]
        heard[loops[name]] |= {loops[s] for s in sources} - {loops[name]}
    level = {system.entry: 0}
    for loop in TopologicalSorter(heard).static_order():
        lower = [level[next(iter(other))] for other in heard[loop]]
        level |= dict.fromkeys(loop, 1 + max(lower, default=0))
    return level
