"""Probes: each word once per step with its number, under any pauses; what is lost is counted."""

from __future__ import annotations

import random

import numpy as np
import pytest
import random_chips
from bounded import simulate
from handshake import Held

from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.registers import register_map
from vle.host.registers import BYTES, RegisterMap
from vle.hw.probes import DEPTH, Kind, Probes

STEPS = 30
SIZES = [3, 7, 5, 4]


@pytest.fixture(scope="module")
def chip() -> ChipSpec:
    network = random_chips.network(
        np.random.default_rng(1), SIZES, recurrent=(1,), weight_width=(8, 5, 16)
    )
    return ChipSpec(network, Folding((EngineSpec(3, 2, (2, 0)), EngineSpec(2, 5, (1,)))))


def at(kind: Kind, layer: int, neuron: int) -> int:
    return kind.value << 28 | layer << 20 | neuron


def weight_at(chip: ChipSpec, layer: int, row: int, column: int) -> int:
    """Selector of a weight, by the address at which the driver finds it."""
    window = RegisterMap.of_json(register_map(chip).json).windows["weight", layer]
    shape = (SIZES[layer + 1], SIZES[layer] + SIZES[layer + 1] * (layer == 1))
    return Kind.WEIGHT.value << 28 | int(window.matrix(*shape)[row, column]) // BYTES


class Run:
    """Random words of all taps, in the order in which engines have them, and what was seen."""

    def __init__(self, chip: ChipSpec, seed: int) -> None:
        self.chip, self.rng = chip, np.random.default_rng(seed)
        self.words = {}  # (kind, layer, place) -> words per step; of a weight: place (row, column)
        self.exponents = {}

    def draw(self, width: int) -> int:
        return int(self.rng.integers(-(1 << width - 1), 1 << width - 1))

    def keep(self, kind: Kind, layer: int, place, word: int) -> int:
        self.words.setdefault((kind, layer, place), []).append(word)
        return word

    def rows(self, engine, step: int):
        """What the taps of an engine show in one step: `(tap, fields)` after one another."""
        for piece in engine.passes:
            layer, exponent = piece.layer, self.draw(8)
            self.exponents.setdefault(layer, []).append(exponent)
            for neuron in range(piece.spec.outputs):
                u, r = (self.keep(k, layer, neuron, self.draw(32)) for k in (Kind.U, Kind.R))
                v, e = (self.keep(k, layer, neuron, self.draw(24)) for k in (Kind.V, Kind.E))
                where = {"layer": layer, "neuron": neuron}
                yield "neuron", {**where, "u": u, "r": r}
                yield "error", {**where, "v": v, "e": e, "exponent": exponent}
            for word in range(piece.fold):
                lanes, packed = [self.draw(engine.weight_width) for _ in range(engine.lanes)], 0
                for lane, weight in enumerate(lanes):
                    row = word // piece.tiles * piece.pe + lane // piece.simd
                    column = word % piece.tiles * piece.simd + lane % piece.simd
                    self.keep(Kind.WEIGHT, layer, (row, column), weight)
                    packed |= (weight & (1 << engine.weight_width) - 1) << (
                        engine.weight_width * lane
                    )
                yield "weight", {"address": piece.weight_base + word, "word": packed}


async def show(ctx, block: Probes, run: Run, gaps: float, chance: random.Random):
    """Both engines side by side, a row of each tap per clock or none."""
    for step in range(STEPS):
        rows = [list(run.rows(engine, step)) for engine in run.chip.engines]
        while any(rows):
            for index, left in enumerate(rows):
                taps = (block.neuron[index], block.error[index], getattr(block, f"weight{index}"))
                for tap in taps:
                    ctx.set(tap.valid, 0)
                if left and chance.random() >= gaps:
                    name, fields = left.pop(0)
                    tap = dict(zip(("neuron", "error", "weight"), taps, strict=True))[name]
                    ctx.set(tap.valid, 1)
                    for field, value in fields.items():
                        ctx.set(getattr(tap, field), value)
            await ctx.tick()
    for index in range(len(run.chip.engines)):
        ctx.set(block.neuron[index].valid, 0)
        ctx.set(block.error[index].valid, 0)
        ctx.set(getattr(block, f"weight{index}").valid, 0)
    await ctx.tick().repeat(3 * DEPTH + 10)


def probed(chip, selectors, *, gaps=0.0, stalls=0.0, deaf=0):
    """Run; return what was shown, what came out per probe `(step, word, exponent)`, and lost.

    `deaf`: clocks before the reader takes anything.
    """
    block, run, chance = Probes(chip, len(selectors)), Run(chip, 3), random.Random(4)
    seen = [[] for _ in selectors]

    async def scenario(ctx):
        for k, selector in enumerate(selectors):
            ctx.set(block.select[k], selector)
            ctx.set(block.select_write[k], 1)
        await ctx.tick()
        for k in range(len(selectors)):
            ctx.set(block.select_write[k], 0)
        await show(ctx, block, run, gaps, chance)
        run.lost = ctx.get(block.lost)

    async def reader(ctx):
        held, ready, clock = Held("probes"), 0, 0
        o = block.o
        while True:
            ctx.set(o.ready, ready)
            _, _, valid, word = await ctx.tick().sample(o.valid, o.payload)
            held.see(valid, ready, word.word, word.exponent, word.probe, word.step)
            if valid and ready:
                seen[word.probe].append((word.step, word.word, word.exponent))
            clock += 1
            ready = int(clock > deaf and chance.random() >= stalls)

    simulate(block, scenario, background=[reader], cycles=40_000)
    return run, seen


def expected(run, kind, layer, place):
    return list(enumerate(run.words[kind, layer, place]))


@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.0), (0.4, 0.3)])
def test_each_word_of_each_step(chip, gaps, stalls):
    places = [
        *(
            (kind, layer, SIZES[layer + 1] - 1 - layer)
            for kind in (Kind.U, Kind.R)
            for layer in (0, 2)
        ),
        *((kind, layer, layer) for kind in (Kind.V, Kind.E) for layer in (0, 1)),
    ]
    weights = [(0, 6, 2), (1, 4, 11), (2, 0, 0), (2, 3, 4)]
    selectors = [at(*place) for place in places]
    selectors += [weight_at(chip, *weight) for weight in weights]
    selectors += [at(Kind.EXPONENT, 2, 0), at(Kind.OFF, 1, 0), at(Kind.U, 3, 0), at(Kind.U, 0, 7)]
    run, seen = probed(chip, selectors, gaps=gaps, stalls=stalls)
    assert run.lost == 0
    for place, rows in zip(places, seen, strict=False):
        assert [row[:2] for row in rows] == expected(run, *place), place
        if place[0] in (Kind.V, Kind.E):
            assert [row[2] for row in rows] == run.exponents[place[1]]
    for (layer, *place), rows in zip(weights, seen[len(places) :], strict=False):
        assert [row[:2] for row in rows] == expected(run, Kind.WEIGHT, layer, tuple(place)), place
    exponents, *nothing = seen[-4:]
    assert [row[:2] for row in exponents] == list(enumerate(run.exponents[2]))
    assert not any(nothing)


def test_what_is_lost_is_counted_and_numbers_go_on(chip):
    """A reader that comes late misses words in the middle, and knows which."""
    places = [(Kind.U, layer, 0) for layer in range(3)]
    run, seen = probed(chip, [at(*place) for place in places], deaf=600)
    for place, rows in zip(places, seen, strict=True):
        words = dict(expected(run, *place))
        assert {row[0]: row[1] for row in rows}.items() <= words.items()
        steps = [row[0] for row in rows]
        assert steps == sorted(set(steps))
    got = sum(map(len, seen))
    assert got < 3 * STEPS
    assert run.lost == 3 * STEPS - got
    assert max(row[0] for row in seen[0]) == STEPS - 1


def test_numbers_begin_anew_with_a_selector(chip):
    block = Probes(chip, 1)
    got = []

    async def step(ctx, word):
        tap = block.neuron[0]
        for name, value in (("valid", 1), ("layer", 0), ("neuron", 3), ("u", word), ("r", -word)):
            ctx.set(getattr(tap, name), value)
        await ctx.tick()
        ctx.set(tap.valid, 0)
        await ctx.tick().repeat(6)

    async def scenario(ctx):
        ctx.set(block.o.ready, 1)
        for kind in (Kind.U, Kind.R):
            ctx.set(block.select[0], at(kind, 0, 3))
            ctx.set(block.select_write[0], 1)
            await ctx.tick()
            ctx.set(block.select_write[0], 0)
            for word in (5, 6):
                await step(ctx, word)

    async def reader(ctx):
        async for _, _, valid, word in ctx.tick().sample(block.o.valid, block.o.payload):
            if valid:
                got.append((word.step, word.word))

    simulate(block, scenario, background=[reader])
    assert got == [(0, 5), (1, 6), (0, -5), (1, -6)]


def test_no_word_comes_under_another_selector(chip):
    """Selectors change while words pass in every clock: each word is of the kind asked for."""
    block, kinds, got = Probes(chip, 1), (Kind.U, Kind.V, Kind.R, Kind.E, Kind.WEIGHT), []
    weight = weight_at(chip, 0, 6, 2)
    address, lane = divmod(weight & 0xFFF, 8)
    word = {kind: kind.value + 10 for kind in kinds}

    async def scenario(ctx):
        ctx.set(block.o.ready, 1)
        for tap, shown in ((block.neuron[0], "ur"), (block.error[0], "ve")):
            ctx.set(tap.valid, 1)
            ctx.set(tap.neuron, 3)
            for name in shown:
                ctx.set(getattr(tap, name), word[Kind[name.upper()]])
        width = chip.engines[0].weight_width
        ctx.set(block.weight0.valid, 1)
        ctx.set(block.weight0.address, address % chip.engines[0].fold)
        ctx.set(block.weight0.word, word[Kind.WEIGHT] << width * lane)
        for kind in (*kinds, *reversed(kinds)):
            ctx.set(block.select[0], weight if kind == Kind.WEIGHT else at(kind, 0, 3))
            ctx.set(block.select_write[0], 1)
            await ctx.tick()
            ctx.set(block.select_write[0], 0)
            await ctx.tick().repeat(20)
        ctx.set(block.select[0], 0)
        await ctx.tick().repeat(10)

    async def reader(ctx):
        async for _, _, valid, seen in ctx.tick().sample(block.o.valid, block.o.payload):
            if valid:
                got.append((seen.step, seen.word))

    simulate(block, scenario, background=[reader])
    begins = [place for place, (step, _) in enumerate(got) if step == 0]
    runs = [got[a:b] for a, b in zip(begins, [*begins[1:], len(got)], strict=True)]
    assert len(runs) == 2 * len(kinds)
    for kind, run in zip((*kinds, *reversed(kinds)), runs, strict=True):
        assert [step for step, _ in run] == list(range(len(run)))
        assert len(run) > 10
        assert {seen for _, seen in run} == {word[kind]}
