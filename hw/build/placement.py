"""Where cells want to stand: a placement of short wires, whose macros stand on sites.

Quadratic placement [1]_ with the bound-to-bound model of wires [2]_: the wire length of each net,
`max(x) - min(x)` over its pins, is a sum of squares with weights of the last solution. Solutions are
in turn spread, until no place is overfull, and pulled to where they were spread to, ever harder.
Macros are pulled to sites of their own, no two to the same: an assignment of least displacement.
Wires of long paths pull more than others [3]_, the more the nearer their path comes to the longest.

.. [1] Kim, Lee, Markov: SimPL, an effective placement algorithm. IEEE TCAD 31(1), 2012.
.. [2] Spindler, Schlichtmann, Johannes: Kraftwerk2, a fast force-directed quadratic placement
   approach using an accurate net model. IEEE TCAD 27(8), 2008.
.. [3] Marquardt, Betz, Rose: Timing-driven placement for FPGAs. ACM/SIGDA FPGA, 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import cg, eigsh

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

ROUNDS, PULL, HARDER = 80, 0.01, 1.09  # of spreading; the first pull, and its growth per round
MACRO_PULL = 4.0  # of macros, against that of other cells
NEAREST = 0.5  # tiles: wires are not taken for shorter
LEAF, FEW = 3.0, 3  # side in tiles, and cells, of a place that is not divided any more
REFINED = 2  # assignments of all macros by the wires they cause
TIMED, EVERY = 8, 4  # the first round in which paths count, and how often they are measured
URGENT, SHARPER = 4.0, 8  # weight of a wire of the longest path; power of others' share of it
SLACK = 0.02  # of that weight: less is left out
TURNED = ((0, 1, 1), (1, 0, 1), (0, 1, -1), (1, 0, -1))  # axes of the first placement; way of y


@dataclass(frozen=True)
class Macros:
    """Cells of one kind, and the sites that they may take.

    Parameters
    ----------
    cells
        Their indices.
    sites
        Places, `(sites, 2)`, in tiles.
    """

    cells: Ints
    sites: Floats


class Paths(Protocol):
    """What is known of the clock: wires by the cells at their `ends`, `(2, wires)`."""

    ends: Ints

    def lengths(self, where: Floats) -> Floats:
        """Return the longest path over each wire, cells at `where`, `(2, cells)`."""


@dataclass(frozen=True)
class Problem:
    """What is to be placed.

    Parameters
    ----------
    areas
        Of each cell, in tiles; 0 for macros.
    nets
        Cells of each net, two or more.
    macros
        By kind; all that are not 0 in area are free.
    size
        Width and height, in tiles.
    density
        Of a place that is full.
    paths
        What decides on the clock; None: wires alone count.
    """

    areas: Floats
    nets: Sequence[Ints]
    macros: Sequence[Macros]
    size: tuple[float, float]
    density: float = 0.6
    paths: Paths | None = None


def place(problem: Problem) -> list[Ints]:
    """Return the site of each macro, by kind: the best of several beginnings."""
    solver = _Solver(problem)
    found = [solver.place(first) for first in solver.beginnings()]
    return min(found, key=lambda pair: pair[0])[1]


class _Solver:
    """Solves, spreads and assigns; positions are `(2, cells)`."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.count = problem, len(problem.areas)
        self.degree = np.array([len(net) for net in problem.nets])
        self.pins = np.concatenate(problem.nets)
        self.first = np.concatenate([[0], np.cumsum(self.degree)[:-1]])
        self.net = np.repeat(np.arange(len(self.degree)), self.degree)
        self.is_macro = np.zeros(self.count, bool)
        for macros in problem.macros:
            self.is_macro[macros.cells] = True
        self.free = np.flatnonzero(~self.is_macro)
        self.urgent, self.urgency = np.zeros((2, 0), np.intp), np.zeros(0)

    def beginnings(self) -> list[Floats]:
        """Spread the slowest two modes of the network over the least square that holds it."""
        weight = 1 / (self.degree * (self.degree - 1))
        shape = (len(self.degree), self.count)
        pins = coo_matrix((np.ones(len(self.pins)), (self.net, self.pins)), shape).tocsr()
        near = (pins.T @ diags(weight) @ pins).tocsr()
        scale = 1 / np.sqrt(np.asarray(near.sum(1)).ravel() + 1e-9)
        begin = np.cos(np.arange(self.count))  # the same in every run
        values, modes = eigsh(diags(scale) @ near @ diags(scale), k=3, tol=1e-3, v0=begin)
        modes = (modes[:, np.argsort(-values)[1:]] * scale[:, None]).T
        ranks = modes.argsort(1).argsort(1) / self.count - 0.5
        size = np.array(self.problem.size)
        side = np.sqrt(self.problem.areas.sum() / self.problem.density)
        span = np.minimum(side, 0.9 * size)[:, None]
        middle = np.mean([macros.sites.mean(0) for macros in self.problem.macros], axis=0)
        return [
            middle[:, None] + span * ranks[[a, b]] * np.array([[1], [way]]) for a, b, way in TURNED
        ]

    def place(self, where: Floats) -> tuple[float, list[Ints]]:
        """Return the wire length, times that of the longest path, and each macro's site by kind."""
        pull, weight = PULL, np.sqrt(np.maximum(1, self.problem.areas))
        weight[self.is_macro] *= MACRO_PULL
        history = np.zeros(1)
        for round_ in range(ROUNDS):
            target = self._legal(where)
            if round_ >= TIMED and round_ % EVERY == 0:
                history = self._hurry(target, history)
            pull *= HARDER
            anchor = pull * weight / np.maximum(abs(where - target), 1)
            where = np.array(
                [self._solve(*axis) for axis in zip(where, target, anchor, strict=True)]
            )
        target = self._legal(where)
        for _ in range(REFINED):
            taken = self._assign_by_wires(target)
        paths = self.problem.paths
        longest = 1.0 if paths is None else paths.lengths(target).max()
        return sum(self._length(axis) for axis in target) * longest, taken

    def _hurry(self, where: Floats, before: Floats) -> Floats:
        """Weigh the wires of long paths, as much as before by half; return the weights of all."""
        paths = self.problem.paths
        if paths is None:
            return before
        lengths = paths.lengths(where)
        weight = (before + URGENT * (lengths / lengths.max()) ** SHARPER) / 2
        apart = paths.ends[0] != paths.ends[1]
        kept = apart & (weight > SLACK * URGENT)
        self.urgent, self.urgency = paths.ends[:, kept], weight[kept]
        return weight

    def _ends(self, axis: Floats) -> tuple[Ints, Ints]:
        """Return the pins of each net that stand first and last."""
        order = np.lexsort((axis[self.pins], self.net))
        return order[self.first], order[self.first + self.degree - 1]

    def _length(self, axis: Floats) -> float:
        low, high = self._ends(axis)
        return float((axis[self.pins[high]] - axis[self.pins[low]]).sum())

    def _solve(self, axis: Floats, target: Floats, anchor: Floats) -> Floats:
        """Minimise wires and pulls along an axis, nets as at `axis`."""
        low, high = self._ends(axis)
        inner = np.ones(len(self.pins), bool)
        inner[low] = inner[high] = False
        pins, net = self.pins[inner], self.net[inner]
        a = np.concatenate([pins, pins, self.pins[high]])
        b = np.concatenate([self.pins[high][net], self.pins[low][net], self.pins[low]])
        others = np.concatenate([self.degree[net], self.degree[net], self.degree]) - 1
        weight = np.concatenate([1 / others, self.urgency])
        a, b = np.concatenate([a, self.urgent[0]]), np.concatenate([b, self.urgent[1]])
        weight /= np.maximum(abs(axis[a] - axis[b]), NEAREST)
        pairs = (np.concatenate([a, b]), np.concatenate([b, a]))
        wires = coo_matrix((np.tile(-weight, 2), pairs), (self.count, self.count)).tocsr()
        own = anchor - np.asarray(wires.sum(1)).ravel()
        matrix, steps = wires + diags(own), diags(1 / own)
        return np.asarray(cg(matrix, anchor * target, axis, rtol=1e-4, maxiter=200, M=steps)[0])

    def _legal(self, where: Floats) -> Floats:
        """Return places near `where`: nothing overfull, macros on sites."""
        legal = self._spread(where)
        for macros in self.problem.macros:
            apart = abs(where[:, macros.cells, None] - macros.sites.T[:, None, :]).sum(0)
            legal[:, macros.cells] = macros.sites[linear_sum_assignment(apart)[1]].T
        return legal

    def _spread(self, where: Floats) -> Floats:
        """Halve places again and again; what a half cannot hold goes to the other one."""
        found, areas = where.copy(), self.problem.areas
        todo = [(self.free, np.ones(2), np.array(self.problem.size) - 1)]
        while todo:
            cells, low, high = todo.pop()
            span = high - low
            k = int(span[1] > span[0])
            if len(cells) < FEW or span[k] < LEAF:
                found[:, cells] = np.clip(found[:, cells], low[:, None], high[:, None])
                continue
            axis, middle = found[k], (low[k] + high[k]) / 2
            cells = cells[np.argsort(axis[cells], kind="stable")]
            filled = np.cumsum(areas[cells])
            room = self.problem.density * span[0] * span[1] / 2
            cut = _cut(filled, int(np.searchsorted(axis[cells], middle)), room)
            left, right = cells[:cut], cells[cut:]
            if len(left) and axis[left].max() > middle:
                axis[left] = _fitted(axis[left], max(axis[left].min(), low[k]), middle)
            if len(right) and axis[right].min() < middle:
                axis[right] = _fitted(axis[right], middle, min(axis[right].max(), high[k]))
            edge = (
                np.where(np.arange(2) == k, middle, low),
                np.where(np.arange(2) == k, middle, high),
            )
            todo += [(left, low, edge[1]), (right, edge[0], high)]
        return found

    def _assign_by_wires(self, where: Floats) -> list[Ints]:
        """Assign the sites again, by the wires that each macro causes there; moves them."""
        taken = []
        for macros in self.problem.macros:
            cost = np.zeros((len(macros.cells), len(macros.sites)))
            for row, cell in enumerate(macros.cells):
                near, weight = self._urgent_of(cell)
                for axis, sites in zip(where, macros.sites.T, strict=True):
                    cost[row] += abs(axis[near] - sites[:, None]) @ weight
                    low, high = self._others(axis, cell)
                    cost[row] += (np.maximum(low - sites[:, None], 0)).sum(1)
                    cost[row] += (np.maximum(sites[:, None] - high, 0)).sum(1)
            taken.append(linear_sum_assignment(cost)[1])
            where[:, macros.cells] = macros.sites[taken[-1]].T
        return taken

    def _urgent_of(self, cell: int) -> tuple[Ints, Floats]:
        """Return what an urgent wire joins to a cell, and the wires' weights."""
        one, other = self.urgent
        mine = (one == cell) | (other == cell)
        return np.where(one == cell, other, one)[mine], self.urgency[mine]

    def _others(self, axis: Floats, cell: int) -> tuple[Floats, Floats]:
        """Return where each net of a cell begins and ends without it."""
        nets = [self.problem.nets[net] for net in self.net[self.pins == cell]]
        rest = [axis[net[net != cell]] for net in nets]
        return np.array([r.min() for r in rest]), np.array([r.max() for r in rest])


def _cut(filled: Floats, wanted: int, room: float) -> int:
    """Return how many cells go left: `wanted`, unless a half with `room` cannot hold them."""
    whole, left = filled[-1], filled[wanted - 1] if wanted else 0.0
    if whole > 2 * room:
        return int(np.searchsorted(filled, whole / 2))
    if left > room:
        return int(np.searchsorted(filled, room))
    if whole - left > room:
        return int(np.searchsorted(filled, whole - room))
    return wanted


def _fitted(places: Floats, low: float, high: float) -> Floats:
    """Return places scaled to a range."""
    span = max(places.max() - places.min(), 1e-9)
    return low + (places - places.min()) / span * (max(high, low) - low)
