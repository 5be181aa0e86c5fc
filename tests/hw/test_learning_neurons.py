"""Neurons that learn against the integer model: rates, derivatives, biases, time constants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import random_chips
from bounded import simulate
from learners import engine_of, learners

from vle.compiler.activation import PiecewiseLinear, Table
from vle.compiler.circuit.windows import SENSE_KINDS
from vle.compiler.layer import Constants
from vle.compiler.learning import noise, time_constants, updates
from vle.compiler.learning.spec import Points
from vle.compiler.learning.time_constants import Logs, Sensitivity
from vle.hw.exp2 import STAGES, Exp2
from vle.hw.neurons import NeuronPipeline

LEAKY = PiecewiseLinear(-(1 << 17), (1 << 17) - 1, 25, -3, -(1 << 15), (1 << 15) - 1, True, True)
RELU = PiecewiseLinear(0, 4, 8, 0, 0, (1 << 15) - 1, False, True)
HARD = PiecewiseLinear(1, 1, 0, 100, -700, 800, False, False)
TANH = random_chips.table(np.random.default_rng(3), 24, 16, 5)
SOFTPLUS = Table(12, tuple(range(0, 4096, 512)), (512,) * 8, 16, tail_shift=3)


def words(rng, width: int, count: int) -> np.ndarray:
    """Words of all sizes and the ends of the format."""
    bits = int(rng.integers(2, width + 1))
    raw = rng.integers(-(1 << bits - 1), 1 << bits - 1, count)
    raw[rng.integers(0, 6, count) == 0] = (1 << width - 1) - 1
    raw[rng.integers(0, 6, count) == 0] = -(1 << width - 1)
    return raw


def passes(rng, engine, steps: int):
    """Draw the passes of some steps, each with its inputs and what is to come out."""
    u = [np.zeros((1, piece.spec.outputs), np.int64) for piece in engine.passes]
    bias = [piece.spec.bias for piece in engine.passes]
    masters = [Logs(piece.learning.log_m, piece.learning.log_r) for piece in engine.passes]
    senses = [_nothing(piece) for piece in engine.passes]
    for step in range(steps):
        for k, piece in enumerate(engine.passes):
            layer, learning, n = piece.spec, piece.learning, piece.spec.outputs
            start, held = bool(rng.integers(5) == 0), bool(rng.integers(5) == 0)
            zero_u = start or step == 0
            acc = words(rng, engine.acc_width if rng.integers(2) else layer.acc_width - 1, n)
            acc = np.clip(acc, -(1 << 40), 1 << 40)
            constants = Constants(bias[k], layer.alpha, layer.rho)
            zero = step == 0 or bool(rng.integers(8) == 0)
            sense, tasks = Sensitivity(*(w * (not zero) for w in senses[k])), []
            if learning.time_constants:
                derived = time_constants.derive(masters[k])
                constants = constants._replace(alpha=derived.alpha, rho=derived.rho)
            got = layer.neurons(acc[None], u[k] * (not zero_u), constants)
            prime = learning.derivative.run(layer.activation, got.prosp[0], got.r[0])
            signal, state = words(rng, 18, n), int(rng.integers(1, 1 << 32))
            draws = noise.row_draws(state, n) + noise.bias_draw(state) & 0xFFFF
            shift = Points.of(layer, learning).bias
            new = updates.update_bias(bias[k], signal, shift, draws, layer.u_format.width)
            u[k], bias[k] = got.u * (not held), new.words
            if learning.time_constants:
                tasks = [words(rng, 18, n) for _ in range(2)]
                if learning.filtered:
                    tasks[1] = tasks[0]
                masters[k] = _moved(piece, masters[k], tasks, (got, sense), state)
                sense = sense._replace(low=sense.low * (not start))
                after = time_constants.sense(sense, got.d[0], got.ahead[0], derived)
                senses[k] = Sensitivity(*(word * (not held) for word in after))
            flags = start | held << 1 | zero_u << 2 | zero << 3
            keep = int(not held)
            yield piece, acc, signal, state, flags, (got.r[0] * keep, prime * keep, new), tasks
    yield {"bias": bias} | _by_kind(engine, masters, senses)


def _nothing(piece) -> Sensitivity:
    return Sensitivity(*np.zeros((3, piece.spec.outputs), np.int64))


def _by_kind(engine, masters, senses) -> dict[str, list[np.ndarray]]:
    """What the windows of time constants that learn are to show."""
    if not engine.learns_time_constants:
        return {}
    found = {kind: [getattr(logs, kind) for logs in masters] for kind in Logs._fields}
    if any(learning.filtered for learning in engine.learning):
        for kind, field in zip(SENSE_KINDS, Sensitivity._fields, strict=True):
            found[kind] = [
                getattr(sense, field) if piece.learning.filtered else None
                for piece, sense in zip(engine.passes, senses, strict=True)
            ]
    return found


def _moved(piece, logs: Logs, tasks, factors, state: int) -> Logs:
    """Masters after a step with these signals."""
    (got, sense), n = factors, piece.spec.outputs
    pair = (sense.bar_m, sense.bar_r) if piece.learning.filtered else (got.d[0], got.ahead[0])
    rows, draws = noise.row_draws(state, n), noise.signal_draws(state, n)
    shift, high = Points.of(piece.spec, piece.learning).tau_shift, piece.learning.log_high
    return Logs(
        *(
            time_constants.update(log, task * factor, shift, draw & 0xFFFF, high)
            for log, task, factor, draw in zip(
                logs, tasks, pair, (rows + draws, rows - draws), strict=True
            )
        )
    )


def run(engine, steps: int) -> None:
    """Row after row without a pause; compare rates, derivatives and, at the end, biases."""
    *done, windows = passes(np.random.default_rng(5), engine, steps)
    rows = [
        (one, k, int(piece.neuron_base + k))
        for one in done
        for piece in [one[0]]
        for k in range(piece.spec.outputs)
    ]
    unit, clamped = NeuronPipeline(engine), [0] * len(engine.passes)

    async def scenario(ctx):
        for now in range(len(rows) + engine.prime_stage + 6):
            ctx.set(unit.valid, now < len(rows))
            if now < len(rows):
                (piece, acc, _, state, flags, _, tasks), k, neuron = rows[now]
                if engine.learns_time_constants:
                    ctx.set(unit.task_valid, 1)
                    ctx.set(unit.task_neuron, neuron)
                    ctx.set(unit.signal_m, int(tasks[0][k]))
                    ctx.set(unit.signal_r, int(tasks[1][k]))
                ctx.set(unit.acc, int(acc[k]))
                ctx.set(unit.place, engine.passes.index(piece))
                ctx.set(unit.row, k)
                ctx.set(unit.neuron, neuron)
                ctx.set(unit.last, k == len(acc) - 1)
                ctx.set(unit.flags, int(flags))
                ctx.set(unit.noise, state)
            if 2 <= now < len(rows) + 2:
                one, k, _ = rows[now - 2]
                ctx.set(unit.signal, int(one[2][k]))
            if ctx.get(unit.clamped_bias):
                clamped[ctx.get(unit.clamped_bias_place)] += 1
            assert ctx.get(unit.o_valid) == (0 <= now - engine.rate_stage < len(rows))
            if ctx.get(unit.o_valid):
                one, k, _ = rows[now - engine.rate_stage]
                assert ctx.get(unit.o) == one[5][0][k]
            assert ctx.get(unit.prime_valid) == (0 <= now - engine.prime_stage < len(rows))
            if ctx.get(unit.prime_valid):
                one, k, neuron = rows[now - engine.prime_stage]
                assert ctx.get(unit.prime_neuron) == neuron
                assert ctx.get(unit.prime) == one[5][1][k], (one[0].learning.derivative, k)
            await ctx.tick()
        for kind, layers in windows.items():
            await compare(ctx, kind, layers)

    async def compare(ctx, kind: str, layers) -> None:
        port = getattr(unit, f"access_{kind}")
        ctx.set(port.active, 1)
        for piece, want in zip(engine.passes, layers, strict=True):
            for k, word in enumerate(() if want is None else want):
                ctx.set(port.address, piece.neuron_base + k)
                await ctx.tick().repeat(4)
                assert ctx.get(port.r_data) == word & 0xFFFFFFFF, (kind, piece.layer, k)

    simulate(unit, scenario)
    wanted = [0] * len(engine.passes)
    for piece, *_, (_, _, new), _ in done:
        wanted[engine.passes.index(piece)] += new.saturated
    assert clamped == wanted


@pytest.mark.parametrize(
    "options",
    [
        [{"activation": LEAKY}, {"activation": RELU}, {"activation": HARD}],
        [{"activation": TANH}, {"activation": SOFTPLUS}, {"activation": LEAKY}],
        [{"activation": TANH, "of_rate": True}],
        [{"activation": RELU, "u_width": 20}, {"activation": TANH, "of_rate": True}],
    ],
)
def test_neurons(options):
    """All activations and their derivatives; layers of different formats in turn."""
    run(engine_of(learners(7, [3, 8, 4, 3][: len(options) + 1], options)), 12)


TAU = {"time_constants": True}
FILTERED = TAU | {"plasticity": "filtered"}


@pytest.mark.parametrize(
    "options",
    [
        [TAU | {"activation": TANH, "of_rate": True}, TAU | {"activation": RELU}],
        [FILTERED | {"activation": LEAKY}],
        [TAU | {"activation": RELU}, FILTERED | {"activation": TANH}],
    ],
)
def test_time_constants(options):
    """Both rules, alone and on one engine; `alpha` and `rho` follow their logarithms."""
    run(engine_of(learners(9, [3, 4, 4, 4, 4, 4], options)), 12)


@pytest.mark.parametrize("shift", [time_constants.UNIT_SHIFT, time_constants.RATIO_SHIFT])
def test_exp2(shift):
    """Powers of all sizes, those that are clamped and those of which nothing is left."""
    unit, rng = Exp2(shift), np.random.default_rng(0)
    plus, minus = rng.integers(0, 1 << rng.integers(1, time_constants.LOG_WIDTH + 1, (2, 400)))
    want = time_constants.exp2(plus - minus, shift, time_constants.CONSTANT_WIDTH)

    async def scenario(ctx):
        for k in range(400 + STAGES):
            if k >= STAGES:
                assert ctx.get(unit.o) == want[k - STAGES]
            ctx.set(unit.plus, int(plus[k % 400]))
            ctx.set(unit.minus, int(minus[k % 400]))
            await ctx.tick()

    simulate(unit, scenario)


@pytest.mark.parametrize("shift", [-6, 0, 1, 9, 16, 17, 24])
def test_bias_shifts(shift):
    """Signals coarser than a bias, as coarse, and finer; the draws' point on both sides."""
    options = [{"activation": RELU, "update_shift": 17}]
    (layer, learning), other = learners(8, [3, 8, 4], options)
    now = Points.of(layer, learning).bias
    pair = (replace(layer, scale_shift=layer.scale_shift + shift - now), learning)
    run(engine_of([pair, other]), 6)
