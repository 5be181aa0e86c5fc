"""The core against the integer model: every word, every step, every cycle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import random_chips
from core_bench import CoreBench
from expected import expected

from vle.compiler.circuit import timing
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.fixed import Fixed
from vle.compiler.network import NetworkSpec


def chip_of(sizes, engines, *, seed=0, **options) -> ChipSpec:
    network = random_chips.network(np.random.default_rng(seed), sizes, **options)
    return ChipSpec(network, Folding(tuple(EngineSpec(*engine) for engine in engines)))


def mixed_chip(seed: int) -> ChipSpec:
    """Layers of one engine that agree in no format."""
    rng = np.random.default_rng(seed)
    layers, x_format = [], Fixed(2, 9)
    for index, (inputs, outputs) in enumerate([(3, 4), (4, 5), (5, 3)]):
        layer = random_chips.layer(
            *(rng, f"layer{index}", inputs, outputs),
            x_format=x_format,
            recurrent=index == 1,
            rate_width=int(rng.integers(5, 17)),
            u_width=int(rng.integers(18, 33)),
            weight_width=int(rng.integers(2, 17)),
            scale_width=int(rng.integers(8, 19)),
            constant_width=int(rng.integers(8, 19)),
        )
        layers.append(layer)
        x_format = layer.rate_format
    return ChipSpec(NetworkSpec(tuple(layers)), Folding((EngineSpec(2, 3, (0, 1, 2)),)))


CHIPS = {
    "one of each": chip_of([1, 1], [(1, 1, (0,))]),
    "one of each, recurrent": chip_of([1, 1], [(1, 1, (0,))], recurrent=(0,)),
    "no multiples": chip_of([5, 7, 3], [(3, 4, (0,)), (2, 5, (1,))], seed=1),
    "shared": chip_of([3, 5, 4, 2], [(2, 3, (0, 1, 2))], seed=2),
    "backwards": chip_of([3, 5, 4, 2], [(2, 2, (2, 1, 0))], seed=3),
    "interleaved": chip_of([2, 6, 3, 5], [(4, 1, (0, 2)), (1, 4, (1,))], seed=4),
    "recurrent": chip_of([3, 8], [(3, 2, (0,))], recurrent=(0,), seed=5),
    "stacked recurrent": chip_of(
        [3, 5, 6, 2], [(2, 3, (0, 2)), (6, 4, (1,))], recurrent=(0, 1), seed=6
    ),
    "wide lanes": chip_of([6, 4, 3], [(9, 30, (0, 1))], recurrent=(1,), seed=7),
    "narrow words": chip_of(
        [4, 5, 3], [(2, 2, (0, 1))], rate_width=5, u_width=9, weight_width=2, seed=8
    ),
    "mixed words": mixed_chip(9),
    "mixed words again": mixed_chip(10),
}


@pytest.mark.parametrize("name", CHIPS)
def test_every_word_and_every_cycle(name):
    chip, steps = CHIPS[name], 7
    frames = random_chips.frames(np.random.default_rng(1), chip.network, steps)
    bench, want = CoreBench(chip), expected(chip.network, frames)

    async def scenario(ctx):
        await bench.send_all(ctx, frames)
        await bench.settle(ctx, steps)
        assert np.array_equal(await bench.saturation(ctx), want.saturation)
        assert await bench.count(ctx, "STEPS") == steps
        ctx.set(bench.core.clear_counters, 1)
        await ctx.tick()
        ctx.set(bench.core.clear_counters, 0)
        assert not (await bench.saturation(ctx)).any()

    bench.run(scenario)
    bench.compare(want)
    assert bench.frame_times() == timing.timing(chip).output_times(steps)


@pytest.mark.parametrize(("name", "first"), [("stacked recurrent", True), ("backwards", False)])
@pytest.mark.parametrize(("gaps", "stalls"), [(0.0, 0.9), (0.6, 0.3)])
def test_flags_and_rhythms(name, first, gaps, stalls):
    chip, steps = CHIPS[name], 9
    rng = np.random.default_rng(2)
    frames, start = random_chips.frames(rng, chip.network, steps), rng.random(steps) < 0.3
    start[0] = first
    bench = CoreBench(chip, gaps=gaps, stalls=stalls)

    async def scenario(ctx):
        await bench.send_all(ctx, frames, start)
        await bench.settle(ctx, steps)

    bench.run(scenario)
    bench.compare(expected(chip.network, frames, start))


def test_random_chips():
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        sizes = rng.integers(1, 8, rng.integers(2, 5)).tolist()
        recurrent = tuple(np.flatnonzero(rng.random(len(sizes) - 1) < 0.4).tolist())
        chip = random_chips.chip(rng, sizes, recurrent=recurrent)
        frames = random_chips.frames(rng, chip.network, 6)
        bench = CoreBench(chip)

        async def scenario(ctx, bench=bench, frames=frames):
            await bench.send_all(ctx, frames)
            await bench.settle(ctx, 6)

        bench.run(scenario)
        bench.compare(expected(chip.network, frames))
        assert bench.frame_times() == timing.timing(chip).output_times(6), (seed, chip.folding)


def test_clear_in_mid_frame():
    chip = CHIPS["stacked recurrent"]
    frames = random_chips.frames(np.random.default_rng(3), chip.network, 5)
    bench = CoreBench(chip)

    async def scenario(ctx):
        await bench.send_all(ctx, frames[::-1][:3], np.array([1, 0, 1]))
        await bench.send(ctx, frames[0][:2], last=False)
        await bench.clear(ctx)
        bench.words.clear()
        bench.rows.clear()
        await bench.send_all(ctx, frames)
        await bench.settle(ctx, 5)

    bench.run(scenario)
    bench.compare(expected(chip.network, frames))


def test_frames_of_wrong_length_are_dropped_whole():
    chip = CHIPS["no multiples"]
    frames = random_chips.frames(np.random.default_rng(4), chip.network, 4)
    bench, long = CoreBench(chip, gaps=0.2), np.arange(1, 14)

    async def scenario(ctx):
        for frame, wrong in zip(frames, (long[:2], long, long[:6], long[:1]), strict=True):
            await bench.send(ctx, wrong, start=True)
            await bench.send(ctx, frame)
        await bench.settle(ctx, 4)
        assert await bench.count(ctx, "FRAME_ERRORS") == 4
        assert await bench.count(ctx, "STEPS") == 4

    bench.run(scenario)
    bench.compare(expected(chip.network, frames))


@pytest.mark.parametrize(("name", "first"), [("stacked recurrent", True), ("shared", False)])
def test_state_saved_and_restored(name, first):
    """Steps on one chip, then on a fresh one that took over its state, are steps of the model."""
    chip, before = CHIPS[name], 2
    rng = np.random.default_rng(5)
    frames = random_chips.frames(rng, chip.network, 7)
    start = np.zeros(7, bool)
    start[[0, 4]] = first
    old, new, states = CoreBench(chip), CoreBench(chip), []
    want = expected(chip.network, frames[:before], start[:before])

    async def first_part(ctx):
        await old.send_all(ctx, frames[:before], start[:before])
        await old.settle(ctx, before)
        await old.halt(ctx)
        states.append(await old.save(ctx))

    async def second_part(ctx):
        await new.halt(ctx)
        await new.restore(ctx, states[0])
        await new.resume(ctx)
        await new.send_all(ctx, frames[before:], start[before:])
        await new.settle(ctx, len(frames) - before)

    old.run(first_part)
    for window, words in zip(old.state_windows, states[0][0], strict=True):
        layer = want.state.layers[window.layer]
        assert np.array_equal(words, (layer.u if window.kind == "u" else layer.r)[0]), window.name
    new.run(second_part)
    new.compare(expected(chip.network, frames[before:], start[before:], state=want.state))


def other_parameters(spec: NetworkSpec, rng: np.random.Generator) -> NetworkSpec:
    layers = []
    for layer in spec.layers:
        half = 1 << (layer.weight_width - 1)
        weight = rng.integers(-half, half, layer.weight.shape)
        rest = {k: rng.permutation(getattr(layer, k)) for k in ("scale", "bias", "alpha", "rho")}
        layers.append(replace(layer, weight=weight, **rest))
    return NetworkSpec(tuple(layers))


def test_parameters_changed_between_frames():
    chip = CHIPS["interleaved"]
    rng = np.random.default_rng(6)
    frames, other = random_chips.frames(rng, chip.network, 6), other_parameters(chip.network, rng)
    bench = CoreBench(chip)
    before = expected(chip.network, frames[:3])
    after = expected(other, frames[3:], state=before.state)

    async def scenario(ctx):
        await bench.send_all(ctx, frames[:3])
        assert (await bench.access(ctx, bench.map.windows[0].base))[1], "refused while running"
        await bench.settle(ctx, 3)
        bench.compare(before)
        bench.words.clear()
        bench.rows.clear()
        await bench.halt(ctx)
        for window in bench.map.windows:
            if window.kind in ("weight", "scale", "bias", "alpha", "rho"):
                old, new = (
                    getattr(n.layers[window.layer], window.kind) for n in (chip.network, other)
                )
                assert np.array_equal(await bench.read(ctx, window), old.ravel()), window.name
                await bench.write(ctx, window, new)
                assert np.array_equal(await bench.read(ctx, window), new.ravel()), window.name
        await bench.resume(ctx)
        await bench.send_all(ctx, frames[3:])
        await bench.settle(ctx, 3)

    bench.run(scenario)
    bench.compare(after)


def test_tables_changed_between_frames():
    """Two tables on one engine: others of the same sizes, loaded entry by entry."""
    rng = np.random.default_rng(7)
    layers, others = [], []
    for index, index_width in enumerate((3, 4)):
        old, new = (random_chips.table(rng, 24, 16, index_width) for _ in range(2))
        new = replace(new, shift=old.shift, tail_shift=old.tail_shift)
        sizes = (f"layer{index}", 2 + index, 3)
        layers.append(random_chips.layer(rng, *sizes, x_format=Fixed(2, 14), activation=old))
        others.append(replace(layers[-1], activation=new))
    chip = ChipSpec(NetworkSpec(tuple(layers)), Folding((EngineSpec(2, 2, (0, 1)),)))
    frames = random_chips.frames(rng, chip.network, 3)
    bench = CoreBench(chip)
    kinds = [(place, kind) for place in range(2) for kind in ("value", "delta")]

    async def holds(ctx, specs):
        for place, kind in kinds:
            got = await bench.read(ctx, bench.map.window(f"table_{kind}", place))
            assert got.tolist() == list(getattr(specs[place].activation, kind)), (place, kind)

    async def scenario(ctx):
        await bench.halt(ctx)
        await holds(ctx, layers)
        for place, kind in kinds:
            words = np.array(getattr(others[place].activation, kind))
            await bench.write(ctx, bench.map.window(f"table_{kind}", place), words)
        await holds(ctx, others)
        await bench.resume(ctx)
        await bench.send_all(ctx, frames)
        await bench.settle(ctx, 3)

    bench.run(scenario)
    bench.compare(expected(NetworkSpec(tuple(others)), frames))


def test_only_words_of_memories_answer():
    """At addresses between and beyond them, and on lanes that are none, an access is refused."""
    chip = chip_of([3, 5, 2], [(1, 3, (0,)), (3, 1, (1,))], recurrent=(0,), seed=11)
    bench = CoreBench(chip)
    words = {register.address for register in bench.map.registers}
    for window in bench.map.windows:
        addresses = range(window.base, window.base + window.count)
        words |= {a for a in addresses if a - window.base & 3 < window.lanes or window.lanes == 1}
    refused = []

    async def scenario(ctx):
        await bench.halt(ctx)
        for address in range(bench.map.core_base, 1 << bench.map.address_width):
            if (await bench.access(ctx, address))[1]:
                assert (await bench.access(ctx, address, -1))[1]
                refused.append(address)

    bench.run(scenario)
    assert set(refused) == set(range(bench.map.core_base, 1 << bench.map.address_width)) - words
    assert {w.lanes for w in bench.map.windows} == {1, 3}
