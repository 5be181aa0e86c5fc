"""Foldings worth a look: those that keep within the fewest clocks by the bound of each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vle.compiler.circuit.folding import EngineSpec, Folding
from vle.compiler.circuit.latency import STATE_LOOP
from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec

SUBSETS_UP_TO = 7  # layers: beyond, an engine serves neighbours only
MOST = 32  # candidates
SLACK = 1.15  # in clocks, beyond the fewest
TIE = 1e-6  # lanes per engine: fewer engines, or more, where all else is equal

Group = tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """A size of engine for a group of layers, and the clocks that it takes at least."""

    pe: int
    simd: int
    cycles: int

    @property
    def lanes(self) -> int:
        """Synapses worked on per clock."""
        return self.pe * self.simd


def candidates(network: NetworkSpec, lanes: int, per_engine: int) -> Iterator[Folding]:
    """Foldings of at most `lanes` lanes, `per_engine` taken off for each engine, best first."""
    options = {group: _shapes(network.layers, group, lanes) for group in _groups(network)}
    budgets = sorted({shape.cycles for shapes in options.values() for shape in shapes})
    floor = max(network.layers[0].inputs, network.layers[-1].outputs, STATE_LOOP)
    first = _first(budgets, lambda c: _cheapest(network, options, c, per_engine)[0] <= lanes)
    if first is None:
        return
    found: set[Folding] = set()
    for cycles in budgets[first:]:
        for tie in (TIE, -TIE):
            _, groups = _cheapest(network, options, cycles, per_engine + tie)
            for shapes in _variants(options, groups, max(cycles, floor)):
                folding = _folding(groups, shapes)
                if folding.lanes + per_engine * len(groups) <= lanes and folding not in found:
                    found.add(folding)
                    yield folding
        if len(found) >= MOST or cycles > SLACK * max(budgets[first], floor):
            return


def _folding(groups: list[Group], shapes: list[Shape]) -> Folding:
    pairs = zip(groups, shapes, strict=True)
    return Folding(tuple(EngineSpec(shape.pe, shape.simd, group) for group, shape in pairs))


def _variants(
    options: dict[Group, list[Shape]], groups: list[Group], cycles: int
) -> Iterator[list[Shape]]:
    """Shapes within the budget: the fewest lanes, and the shortest tails of recurrent loops."""
    within = [[s for s in options[g] if s.cycles <= cycles] for g in groups]
    yield [min(shapes, key=lambda s: (s.lanes, s.pe)) for shapes in within]
    yield [min(shapes, key=lambda s: (s.lanes, -s.pe)) for shapes in within]
    for slack in (1.05, 1.15, 1.3):
        few = [
            [s for s in shapes if s.lanes <= slack * min(t.lanes for t in shapes)]
            for shapes in within
        ]
        yield [min(shapes, key=lambda s: (s.pe, s.lanes)) for shapes in few]
        yield [min(shapes, key=lambda s: (s.cycles, s.lanes)) for shapes in few]


def _groups(network: NetworkSpec) -> list[Group]:
    """List the sets of layers that an engine may serve."""
    count = len(network.layers)
    if count <= SUBSETS_UP_TO:
        sizes = range(1, count + 1)
        return [group for size in sizes for group in combinations(range(count), size)]
    return [tuple(range(a, b)) for a in range(count) for b in range(a + 1, count + 1)]


def _shapes(layers: tuple[LayerSpec, ...], group: Group, lanes: int) -> list[Shape]:
    """Sizes worth having: no other needs at most as many lanes and fewer clocks; ties are kept."""
    served = [layers[index] for index in group]
    rows = _breaks([spec.outputs for spec in served], lanes)
    columns = _breaks([spec.columns for spec in served], lanes)
    fold = sum(
        -(-spec.outputs // rows)[:, None] * -(-spec.columns // columns)[None, :] for spec in served
    )
    cycles = np.maximum(fold, max(sum(spec.outputs for spec in served), STATE_LOOP))
    area = rows[:, None] * columns[None, :]
    order = np.lexsort((cycles.ravel(), area.ravel()))
    order = order[area.ravel()[order] <= lanes]
    clocks = cycles.ravel()[order]
    least = np.minimum.accumulate(clocks)
    worth = order[clocks <= least]
    return [
        Shape(int(rows[i // len(columns)]), int(columns[i % len(columns)]), int(cycles.flat[i]))
        for i in worth
    ]


def _breaks(sizes: list[int], most: int) -> NDArray[np.int64]:
    """Numbers at which some `ceil(size / n)` changes, up to `most`."""
    values = {1}
    for size in sizes:
        n = np.arange(1, min(size, most) + 1)
        values |= set((-(-size // np.unique(-(-size // n)))).tolist())
    return np.array(sorted(v for v in values if v <= most))


def _cheapest(
    network: NetworkSpec, options: dict[Group, list[Shape]], cycles: int, per_engine: float
) -> tuple[float, list[Group]]:
    """Fewest lanes with which every engine keeps within the clocks, over all ways to group."""
    cost = {
        group: min((s.lanes for s in shapes if s.cycles <= cycles), default=np.inf)
        for group, shapes in options.items()
    }
    best: dict[frozenset[int], tuple[float, list[Group]]] = {frozenset(): (0.0, [])}

    def solve(left: frozenset[int]) -> tuple[float, list[Group]]:
        if left not in best:
            lowest = min(left)
            answer: tuple[float, list[Group]] = (np.inf, [])
            for group, lanes in cost.items():
                if lanes < np.inf and group[0] == lowest and left.issuperset(group):
                    rest, groups = solve(left - set(group))
                    total = (
                        rest + lanes + per_engine + 1e-6
                    )  # fewer engines where all else is equal
                    if total < answer[0]:
                        answer = (total, [group, *groups])
            best[left] = answer
        return best[left]

    total, groups = solve(frozenset(range(len(network.layers))))
    return float(np.round(total)) if np.isfinite(total) else total, groups


def _first(values: list[int], good: Callable[[int], bool]) -> int | None:
    """Index of the smallest value that is good, where all above a good one are."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(values[middle]) else (middle + 1, high)
    return low if low < len(values) else None
