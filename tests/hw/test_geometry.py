"""Foldings, addresses and timing, before anything is simulated."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import random_chips

from vle.compiler.activation import PiecewiseLinear
from vle.compiler.circuit import timing
from vle.compiler.circuit.eventgraph import EventGraph, group_queue_depth
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.latency import least_first, tree_stages
from vle.compiler.circuit.registers import lane_bits, register_map
from vle.compiler.fixed import Fixed
from vle.compiler.network import NetworkSpec


def chip_of(sizes, engines, **options) -> ChipSpec:
    network = random_chips.network(np.random.default_rng(0), sizes, **options)
    return ChipSpec(network, Folding(tuple(EngineSpec(*engine) for engine in engines)))


def one_table(rate_width: int) -> ChipSpec:
    rng = np.random.default_rng(0)
    steep = random_chips.table(rng, 24, rate_width, 3)
    options = {"rate_width": rate_width, "activation": steep}
    layer = random_chips.layer(rng, "layer0", 2, 2, x_format=Fixed(2, 14), **options)
    return ChipSpec(NetworkSpec((layer,)), Folding((EngineSpec(1, 1, (0,)),)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EngineSpec(0, 1, (0,)), "pe must be 1 or more, not 0"),
        (lambda: EngineSpec(1, -2, (0,)), "simd must be 1 or more, not -2"),
        (lambda: EngineSpec(1, 1, ()), "engine must serve a layer"),
        (lambda: Folding((EngineSpec(1, 1, (0, 2)),)), "exactly once each"),
        (lambda: Folding((EngineSpec(1, 1, (0,)), EngineSpec(1, 1, (0,)))), "exactly once each"),
        (lambda: chip_of([2, 2], [(1, 1, (0, 1))]), "folding must serve 1 layers, not 2"),
        (lambda: one_table(rate_width=32), "layer0: steps of its table must fit 32 bits"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_lie_in_tiles():
    chip = chip_of([5, 7, 3], [(3, 4, (1, 0))])
    engine = chip.engines[0]
    words, mask = engine.weight_memory(), (1 << engine.weight_width) - 1
    assert len(words) == engine.fold == 1 * 2 + 3 * 2
    for piece in engine.passes:
        padded = np.zeros((piece.groups * 3, piece.tiles * 4), np.int64)
        padded[: piece.spec.outputs, : piece.spec.columns] = piece.spec.weight
        for (row, column), weight in np.ndenumerate(padded):
            address = piece.weight_base + row // 3 * piece.tiles + column // 4
            lane = row % 3 * 4 + column % 4
            assert words[address] >> lane * engine.weight_width & mask == weight & mask


def test_tree_has_four_words_per_stage():
    assert [tree_stages(n) for n in (1, 2, 4, 5, 16, 17, 64, 65)] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert [least_first(n) for n in (1, 2, 3, 4, 5, 8, 9, 12, 13, 16, 17)] == [
        *(2, 2, 3, 4, 2, 2, 3, 3, 4, 4, 2)
    ]
    assert [tree_stages(n, 2) for n in (1, 2, 3, 8, 9, 32, 33)] == [0, 1, 2, 2, 3, 3, 4]


def test_period_is_the_largest_cycle_ratio():
    graph = EventGraph()
    a, b = graph.event(), graph.event()
    graph.after(a, a, 5, 1)
    graph.after(b, a, 3)
    graph.after(a, b, 20, 3)  # 23 clocks for 3 steps
    graph.after(b, b, 2, 1)
    assert graph.period() == Fraction(23, 3)
    assert graph.sustains(Fraction(23, 3))
    assert not graph.sustains(Fraction(23, 3) - Fraction(1, 1000))
    times = [now[b] for now in graph.times(31)]
    assert times[30] - times[0] == 230


def test_period_is_what_the_events_do_in_the_long_run():
    """Against the events themselves, far from the start, for chips of all kinds."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 30, rng.integers(2, 6)).tolist()
        recurrent = tuple(np.flatnonzero(rng.random(len(sizes) - 1) < 0.4).tolist())
        chip = random_chips.chip(rng, sizes, recurrent=recurrent)
        period, late = timing.steady_cycles(chip), 300
        cycle = 60 * period.denominator
        times = timing.timing(chip).output_times(late + cycle + 1)
        assert times[late + cycle] - times[late] == cycle * period, seed


def test_queue_is_no_deeper_than_needed():
    """Groups that come faster than their rows leave, then slower: the queue evens it out."""
    mixed = [(2, 8)] * 8 + [(14, 8)] * 8
    depth = group_queue_depth(mixed, 7)
    assert 4 < depth < 12
    assert group_queue_depth([(8, 8)] * 16, 7) <= 3


# sizes, recurrent, engines, cycles per step at most
FIGURES = {
    "MLP, 8 lanes": ([40, 64, 64, 10], (), [(1, 8, (0, 1, 2))], 912),
    "MLP, 8 lanes as 4 x 2": ([40, 64, 64, 10], (), [(4, 2, (0, 1, 2))], 928),
    "MLP, 64 lanes, one engine": ([40, 64, 64, 10], (), [(8, 8, (0, 1, 2))], 138),
    "MLP, 64 lanes, three": (
        [40, 64, 64, 10],
        (),
        [(11, 2, (0,)), (6, 6, (1,)), (1, 6, (2,))],
        121,
    ),
    "6 x 53, 48 lanes": (
        [1] + [53] * 6 + [10],
        (),
        [(1, 9, (0, 1)), *[(1, 9, (k,)) for k in range(2, 6)], (1, 3, (6,))],
        371,
    ),
    "recurrent, 48 lanes": ([40, 100, 2], (0,), [(4, 12, (0, 1))], 320),
    "recurrent, 2 engines": ([40, 100, 2], (0,), [(1, 47, (0,)), (1, 1, (1,))], 320),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name):
    sizes, recurrent, engines, most = FIGURES[name]
    chip = chip_of(sizes, engines, recurrent=recurrent)
    steady = timing.steady_cycles(chip)
    assert chip.bound <= steady <= most
    cycles = timing.breakdown(chip)
    assert cycles.cycles_per_step == steady
    assert all(e.synapses + e.stalls == steady for e in cycles.engines)


# network, engines, as the table of docs/circuit.md names them: which layers the engines serve
DOCUMENTED = {
    ("40-64-64-10", "1 x 8"): [(0, 1, 2)],
    ("40-64-64-10", "8 x 8"): [(0, 1, 2)],
    ("40-64-64-10", "11 x 2, 6 x 6, 1 x 6"): [(0,), (1,), (2,)],
    ("1-53-53-53-53-53-53-10", "4 x 12"): [tuple(range(7))],
    ("1-53-53-53-53-53-53-10", "1 x 9, 1 x 9, 1 x 9, 1 x 9, 1 x 9, 1 x 3"): [
        *((0, 1), (2,), (3,), (4,)),
        *((5,), (6,)),
    ],
    ("40-100-2", "4 x 12"): [(0, 1)],
    ("40-100-2", "1 x 47, 1 x 1"): [(0,), (1,)],
}


def documented_chip(network: str, engines: str, circuit) -> ChipSpec:
    """One row's chip, all layers with this activation."""
    name, _, recurrent = network.partition(", ")
    rng, sizes, layers = np.random.default_rng(0), [int(size) for size in name.split("-")], []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        options = {"activation": circuit, "recurrent": bool(recurrent) and index == 0}
        layers.append(
            random_chips.layer(rng, f"l{index}", inputs, outputs, x_format=Fixed(2, 14), **options)
        )
    arrays = [tuple(map(int, array.split(" x "))) for array in engines.split(", ")]
    served = DOCUMENTED[name, engines]
    plan = [EngineSpec(*array, which) for array, which in zip(arrays, served, strict=True)]
    return ChipSpec(NetworkSpec(tuple(layers)), Folding(tuple(plan)))


def test_documented_figures():
    """Each row of the table, with tables as with relu."""
    text = (Path(__file__).parents[2] / "docs" / "circuit.md").read_text()
    begin = text.index("| network | lanes |")
    text = text[begin : text.index("\n\n", begin)].replace("five 1 x 9", "1 x 9" + 4 * ", 1 x 9")
    rows = text.splitlines()[2:]
    assert len(rows) == len(DOCUMENTED)
    rng = np.random.default_rng(0)
    table = random_chips.table(rng, 24, 16, 5)
    relu = PiecewiseLinear(0, 4, 8, 0, 0, (1 << 15) - 1, False, True)
    sooner = []
    for row in rows:
        network, lanes, engines, *figures = (cell.strip() for cell in row.strip("|").split("|"))
        chip = documented_chip(network, engines, table)
        assert chip.folding.lanes <= int(lanes), row
        least = max(engine.bound for engine in chip.engines)
        steady, latency = timing.steady_cycles(chip), timing.latency(chip)
        assert [str(least), str(steady), str(latency)] == figures, row
        other = documented_chip(network, engines, relu)
        sooner.append((steady - timing.steady_cycles(other), latency - timing.latency(other)))
    assert sooner == [(0, 3)] * 6 + [(3, 3)]


@pytest.mark.parametrize("seed", range(12))
def test_large_layers_are_near_the_bound(seed):
    """Feedforward layers of 32 x 32 and up: at most 1.10 times what the busiest engine needs."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(32, 70, rng.integers(2, 5)).tolist()
    chip = random_chips.chip(rng, sizes, most=16)
    assert timing.steady_cycles(chip) <= Fraction(110, 100) * chip.bound


def test_addresses_do_not_overlap():
    chip = chip_of([5, 7, 6, 3], [(3, 4, (0, 2)), (2, 5, (1,))], recurrent=(1,))
    registers = register_map(chip)
    taken: dict[int, str] = {register.address: register.name for register in registers.registers}
    for window in registers.windows:
        for address in range(window.base, window.base + window.count):
            assert address not in taken, (window.name, taken[address])
            assert registers.core_base < address < 1 << registers.address_width
            taken[address] = window.name
    assert len({window.name for window in registers.windows}) == len(registers.windows)
    weight = registers.window("weight", 1)
    assert weight.count == chip.engines[1].fold << lane_bits(10)
    assert json.loads(json.dumps(registers.json))["hash"] == registers.hash


def test_windows_take_the_words_that_their_layer_takes():
    """A narrow layer and a wide one on one engine: the ends of a window are those of the spec."""
    rng = np.random.default_rng(1)
    wide = {"weight_width": 12, "scale_width": 18, "constant_width": 18, "u_width": 30}
    narrow = {"weight_width": 5, "scale_width": 9, "constant_width": 10, "u_width": 20}
    first = random_chips.layer(rng, "layer0", 2, 3, x_format=Fixed(2, 14), **wide)
    second = random_chips.layer(rng, "layer1", 3, 2, x_format=first.rate_format, **narrow)
    network = NetworkSpec((first, second))
    registers = register_map(ChipSpec(network, Folding((EngineSpec(2, 2, (0, 1)),))))
    for layer, spec in enumerate(network.layers):
        for kind in ("weight", "scale", "bias", "alpha", "rho"):
            window = registers.window(kind, layer)
            words = np.full_like(getattr(spec, kind), 0)
            words.flat[0] = window.high
            replace(spec, **{kind: words})
            words.flat[0] += 1
            with pytest.raises(ValueError, match=kind):
                replace(spec, **{kind: words})
            assert window.high < 1 << window.width - window.signed
        assert registers.window("u", layer).high == spec.u_format.high
        assert registers.window("alpha", layer).high == 1 << spec.alpha_shift
    assert all(window["high"] > 0 for window in registers.json["windows"])
