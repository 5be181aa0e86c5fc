"""The bench of a top that learns: targets, errors and weights of every step, probes, wrong lengths.

Runs inside the simulator, as `bench`.
"""

from __future__ import annotations

import os
from dataclasses import replace

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp
from learner import LAYERS, NET, Bench
from learning_in_simulation import Course, Wanted, wanted

from vle.compiler.learning.chip_words import registers_of
from vle.compiler.learning.network import LearnState
from vle.compiler.learning.rate import Rate
from vle.host.registers import BYTES

FRAMES, TARGETS = int(os.environ["VLE_FRAMES"]), LAYERS[-1].outputs
WATCHDOG = {"timeout_time": 100 + 4 * FRAMES, "timeout_unit": "us"}  # at 2 ns a cycle
CLAMPED = ("error", "signal", "weight", "bias", "trace")
U, R, V, E, EXPONENT, WEIGHT = range(1, 7)  # kinds of probes


@cocotb.test(**WATCHDOG)
@cocotb.parametrize(gaps=[0.0, 0.3], stalls=[0.0, 0.3])
async def test_every_word_of_every_step(dut, gaps, stalls):
    bench = await Bench.reset(dut, gaps=gaps, stalls=stalls)
    want = await bench.compare(bench.course(FRAMES))
    for k in range(len(LAYERS)):
        counts = [await bench.registers.read(f"CLAMPED[{k}][{name}]") for name in CLAMPED]
        assert counts == want.clamped[k].tolist()
    assert await bench.registers.read("TARGET_ERRORS") == 0
    assert any(
        (a.weight != b.weight).any()
        for a, b in zip(NET.reset().learning, bench.state.learning, strict=True)
    )


@cocotb.test(**WATCHDOG)
@cocotb.parametrize(first=["frames", "targets"])
async def test_one_stream_is_far_ahead(dut, first):
    """What comes early waits; nothing is lost, and nothing depends on it."""
    bench = await Bench.reset(dut)
    course = bench.course(FRAMES)
    late = bench.targets if first == "frames" else bench.driver
    late.source.pause = True
    bench.send(course)
    await ClockCycles(dut.clk, 600)
    late.source.pause = False
    await bench.check(course)


# kind, layer, row and column of what is watched
CHOSEN = (
    (U, 0, LAYERS[0].outputs - 1, 0),
    (E, 1, LAYERS[1].outputs - 1, 0),
    (V, 0, 1, 0),
    (WEIGHT, 0, 1, 2),
)


async def watch(bench: Bench, chosen) -> None:
    """Write the selectors."""
    windows = bench.registers.map.windows
    for k, (kind, layer, row, column) in enumerate(chosen):
        word = kind << 28 | layer << 20 | row
        if kind == WEIGHT:
            matrix = windows["weight", layer].matrix(LAYERS[layer].outputs, LAYERS[layer].columns)
            word = kind << 28 | int(matrix[row, column]) // BYTES
        await bench.registers.poke(bench.registers.map.address[f"PROBE[{k}]"], word)


def shown(before: LearnState, want: Wanted, course: Course) -> dict:
    """What the probes must show: word and exponent by probe and step."""
    found, weights = {}, []
    for t in range(len(course)):
        part = {name: getattr(course, name)[t : t + 1] for name in vars(course)}
        before = wanted(NET, before, Course(**part)).state
        weights.append([learned.weight for learned in before.learning])
    for k, (kind, layer, row, column) in enumerate(CHOSEN):
        for t in range(len(course)):
            words = {U: want.u, R: want.r, V: want.v, E: want.e}
            word = weights[t][layer][row, column] if kind == WEIGHT else words[kind][layer][t, row]
            exponent = int(want.exponent[layer][t]) if kind in (V, E) else None
            found[k, t] = (int(word), exponent)
    return found


@cocotb.test(**WATCHDOG)
@cocotb.parametrize(probe_stalls=[0.0, 0.9])
async def test_probes_show_words_and_change_nothing(dut, probe_stalls):
    bench = await Bench.reset(dut, gaps=0.1, stalls=0.1, probe_stalls=probe_stalls)
    await watch(bench, CHOSEN)
    before, course = bench.state, bench.course(FRAMES)
    want = await bench.compare(course)
    await ClockCycles(dut.clk, 3000 if probe_stalls else 100)
    seen, must = bench.probes.take(), shown(before, want, course)
    for probe, step, word, exponent in seen:
        right, of = must.pop((probe, step))
        assert word == right, (CHOSEN[probe], step)
        assert of is None or exponent == of, (CHOSEN[probe], step)
    assert await bench.registers.read("PROBE_LOST") == len(must)
    assert (len(must) > 0) == (probe_stalls > 0)
    assert seen
    assert bench.handshakes.words["m_axis_probe_t"] == len(seen)
    await watch(bench, [(0, 0, 0, 0)] * 4)


@cocotb.test(**WATCHDOG)
async def test_targets_of_wrong_length_are_dropped(dut):
    bench = await Bench.reset(dut, gaps=0.1)
    course = replace(bench.course(6), has_target=np.ones(6, bool))
    wrong = 0
    for t, frame in enumerate(course.frames):
        for length in {TARGETS - 1, TARGETS + 1, 2 * TARGETS + 3} - {0}:
            bench.targets.send(bench.numbers.integers(-9, 9, length))
            wrong += 1
        bench.targets.send(course.targets[t], user=int(course.is_error[t]))
        user = course.start[t] | 2 | course.freeze[t] << 2
        bench.driver.send(frame, user=int(user))
    await bench.check(course)
    assert await bench.registers.read("TARGET_ERRORS") == wrong


@cocotb.test(**WATCHDOG)
async def test_reset_in_mid_target(dut):
    """Frames and a piece of a target are gone; parameters are loaded anew, and it learns again."""
    bench = await Bench.reset(dut)
    bench.send(bench.course(4))
    await ClockCycles(dut.clk, 40 + bench.rng.randrange(40))
    bench.driver.source.clear(), bench.targets.source.clear()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    bench.monitor.sink.clear(), bench.probes.sink.clear()
    dut.rst.value = 0
    await ClockCycles(dut.clk, 3)
    bench.states.take(), bench.errors.take()
    await bench.registers.halt()
    await bench.load()
    await bench.registers.resume()
    await bench.compare(bench.course(FRAMES // 2))


@cocotb.test(**WATCHDOG)
async def test_rates_are_registers(dut):
    """They are as compiled, can be changed, and 0 stops a layer."""
    bench = await Bench.reset(dut)
    address, want = bench.registers.map.address, registers_of(bench.state)
    for name in (name for name in want if "RATE" in name):
        assert await bench.registers.read(name) == want[name]
    learning = tuple(s._replace(rate=Rate()) for s in bench.state.learning)
    bench.state = replace(bench.state, learning=learning)
    for k in range(len(LAYERS)):
        await bench.registers.poke(address[f"RATE[{k}]"], 0)
        assert await bench.registers.read(f"RATE[{k}]") == 0
    await bench.compare(bench.course(8))
    for k in range(len(LAYERS)):
        await bench.registers.poke(address[f"RATE[{k}]"], want[f"RATE[{k}]"])
    for name in ("CLAMPED[0][weight]", "PROBE_LOST", "TARGET_ERRORS"):
        answer = await bench.registers.master.write(address[name], bytes(4))
        assert answer.resp == AxiResp.SLVERR, name
    for name in ("EXPONENT[0]", "NOISE[1]"):  # only while the chip is halted
        assert (await bench.registers.master.read(address[name], 4)).resp == AxiResp.SLVERR
