"""Events that repeat every step and wait for one another: their times, and how often they can be.

A circuit that only ever waits until *all* of several things have happened is a linear system over
(max, +): `time[i](t) = max over its edges of time[source](t - tokens) + delay`. Its steady period
is the largest ratio of delay to tokens over all cycles.

References
----------
F. Baccelli, G. Cohen, G. J. Olsder, J.-P. Quadrat, *Synchronization and Linearity*, 1992, ch. 2, 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from vle.compiler.circuit import latency


@dataclass
class EventGraph:
    """Events in an order in which those of one step can be computed.

    Parameters
    ----------
    edges
        Per event `(source, delay, tokens)`: it happens at least `delay` clocks after the source of
        `tokens` steps before.
    """

    edges: list[list[tuple[int, int, int]]] = field(default_factory=list)

    def event(self) -> int:
        """Add an event; return its number."""
        self.edges.append([])
        return len(self.edges) - 1

    def after(self, event: int, source: int, delay: int, tokens: int = 0) -> None:
        """Add an edge."""
        self.edges[event].append((source, delay, tokens))

    def times(self, steps: int) -> list[list[int]]:
        """First times of all events from a start at 0 with nothing before, per step."""
        history: list[list[int]] = []
        for step in range(steps):
            now: list[int] = []
            history.append(now)
            for edges in self.edges:
                known = (
                    history[step - tokens][source] + delay
                    for source, delay, tokens in edges
                    if tokens <= step
                )
                now.append(max(known, default=0))
        return history

    def period(self, least: Fraction = Fraction(0)) -> Fraction:
        """Clocks per step in the long run, at least `least`: the largest cycle ratio.

        As long as some cycle beats the ratio so far, its ratio is the next one (Burns' iteration).
        """
        ratio = least
        while (cycle := self._better_cycle(ratio)) is not None:
            ratio = cycle
        return ratio

    def sustains(self, ratio: Fraction) -> bool:
        """Whether a step every `ratio` clocks is possible."""
        return self._better_cycle(ratio) is None

    def _better_cycle(self, ratio: Fraction) -> Fraction | None:
        """Ratio of some cycle above `ratio`, by longest paths (Bellman and Ford)."""
        p, q = ratio.numerator, ratio.denominator
        weighted = [[(s, q * d - p * k) for s, d, k in edges] for edges in self.edges]
        potential, parent = [0] * len(weighted), [-1] * len(weighted)
        changed = True
        while changed:
            changed = False
            for event, edges in enumerate(weighted):
                best = potential[event]
                for place, (source, weight) in enumerate(edges):
                    if potential[source] + weight > best:
                        best, parent[event] = potential[source] + weight, place
                        changed = True
                potential[event] = best
            found = self._cycle(parent) if changed else None
            if found is not None:
                return found
        return None

    def _cycle(self, parent: Sequence[int]) -> Fraction | None:
        """Ratio of a cycle of the parents' edges, if they have one."""
        seen = [-1] * len(parent)
        for root in range(len(parent)):
            event = root
            while seen[event] < 0 and parent[event] >= 0:
                seen[event] = root
                event = self.edges[event][parent[event]][0]
            if parent[event] >= 0 and seen[event] == root:
                return self._ratio(parent, event)
        return None

    def _ratio(self, parent: Sequence[int], begin: int) -> Fraction:
        delays = tokens = 0
        event = begin
        while True:
            event, delay, token = self.edges[event][parent[event]]
            delays, tokens = delays + delay, tokens + token
            if event == begin:
                return Fraction(delays, tokens)


@dataclass(frozen=True)
class GroupEvents:
    """Events of an engine's groups of rows: first tile issued, first row at the neurons."""

    issue: tuple[int, ...]
    enter: tuple[int, ...]


def add_groups(
    graph: EventGraph,
    groups: Sequence[tuple[int, int]],
    stages: int,
    depth: int,
    state_loop: int = latency.STATE_LOOP,
) -> GroupEvents:
    """Add the events of one engine.

    Parameters
    ----------
    graph
        Takes them.
    groups
        `(tiles, rows)` of each group of a step, in the order of work.
    stages
        From the last tile's issue to the first row at the neurons.
    depth
        Groups that may be under way between the two events.
    state_loop
        Clocks that a neuron's state takes to be back in memory.
    """
    count = len(groups)
    events = [(graph.event(), graph.event()) for _ in groups]
    neurons = sum(rows for _, rows in groups)
    for place, (tiles, rows) in enumerate(groups):
        issue, enter = events[place]
        following, wrap = (place + 1) % count, int(place + 1 == count)
        alone = count == 1  # a pass is known to be gone a clock after it began
        graph.after(events[following][0], issue, max(tiles, 2) if alone else tiles, wrap)
        graph.after(enter, issue, tiles - 1 + stages)
        pause = max(1, state_loop + 1 - neurons) if wrap else 1
        graph.after(events[following][1], enter, rows - 1 + pause, wrap)
        back = place - depth
        graph.after(issue, events[back % count][1], latency.LOOKED_AHEAD, -(back // count))
    return GroupEvents(*(tuple(kind) for kind in zip(*events, strict=True)))


def group_queue_depth(
    groups: Sequence[tuple[int, int]], stages: int, state_loop: int = latency.STATE_LOOP
) -> int:
    """Fewest groups under way with which an engine never waits for its neurons in vain.

    That is, with which it sustains `max(sum of tiles, sum of rows)` clocks per step.
    """
    tiles, rows = (sum(kind) for kind in zip(*groups, strict=True))
    period = Fraction(max(tiles, rows, state_loop))

    def sustains(depth: int) -> bool:
        graph = EventGraph()
        add_groups(graph, groups, stages, depth, state_loop)
        return graph.sustains(period)

    high = next(d for d in _doubling() if sustains(d))
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sustains(middle) else (middle, high)
    return high


def _doubling() -> Iterator[int]:
    depth = 1
    while True:
        yield depth
        depth *= 2
