"""The error unit against the integer model: every word of every row, and the exponents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from bounded import simulate
from learners import engine_of, learners

from vle.compiler.learning import errors, noise, updates
from vle.compiler.learning.errors import Errors, Scale
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec, Points
from vle.compiler.learning.time_constants import LOG_BITS, Logs, derive
from vle.hw.error_unit import ErrorUnit


@dataclass
class Case:
    """One pass: what stands during it, its words, and what is to come out."""

    place: int
    base: int
    standing: dict[str, int]
    logs: Logs
    above: np.ndarray
    loop: np.ndarray
    r: np.ndarray
    prime: np.ndarray
    want: Errors
    signals: list[updates.Updated]
    start: int = 0
    seen: list[tuple[int, ...]] = field(default_factory=list)


def filter_of(learning: LearningSpec) -> errors.ErrorFilter:
    names = ("kappa", "beta", "kappa_shift", "beta_shift", "prime_shift", "error_width", "v_width")
    return errors.ErrorFilter(*(getattr(learning, name) for name in names))


def words(rng, width: int, count: int) -> np.ndarray:
    """Words of all sizes, the ends of the format among them."""
    bits = int(rng.integers(1, width + 1))
    raw = rng.integers(-(1 << bits - 1), 1 << bits - 1, count)
    ends = rng.integers(0, 8, count)
    raw[ends == 0], raw[ends == 1] = -(1 << width - 1), (1 << width - 1) - 1
    return raw if rng.integers(4) else raw * 0


def case(rng, engine, place: int, state: dict, loud: bool) -> Case:
    """Draw a pass and advance the model by it."""
    piece = engine.passes[place]
    learning, n = piece.learning, piece.spec.outputs
    v, before, scale = state.setdefault(
        place, (np.zeros(n, np.int64), learning.exponent, Scale(learning.exponent))
    )
    if loud and rng.integers(4) == 0:
        scale = Scale(int(rng.integers(-96, 32)), int(rng.integers(16)))
    if rng.integers(2) == 0:
        scale = Scale(scale.exponent, 15)
    if loud and rng.integers(8) == 0:
        before = int(rng.integers(-128, 128))
    blank, zero, learn = (bool(rng.integers(6) == 0) for _ in range(3))
    has_above, is_error = bool(rng.integers(4)), bool(rng.integers(2))
    near = scale.exponent + int(rng.integers(-22, 6))
    exponents = [near, int(rng.integers(-300, 300)) if loud else near]
    above_exponent = exponents[int(rng.integers(8) == 0)]
    loop_exponent = exponents[int(rng.integers(8) == 0)]
    above, loop = (words(rng, 32, n) for _ in range(2))
    r, prime = words(rng, piece.spec.rate_format.width, n), words(rng, 18, n)
    if not loud:
        above, prime = above // 4096, prime // 8
    parts = []
    if has_above:
        target = piece.top and not is_error
        parts.append((above - r if target else above, above_exponent))
    if piece.loops:
        parts.append((loop, loop_exponent))
    if blank or not parts:
        parts = [(prime * 0, scale.exponent)]
    low = v * (not (blank or zero))
    logs = Logs(*rng.integers(0, 6 << LOG_BITS, (2, n)))
    unit = filter_of(learning)
    if learning.time_constants:
        unit = replace(unit, kappa=derive(logs).kappa, beta=derive(logs).beta)
    want = unit.step(parts, prime * (not (blank or zero)), (low, before), scale)
    rate = Rate(int(rng.integers(0, 1 << 16)), int(rng.integers(-128, 128)) if loud else 20)
    seed = int(rng.integers(1, 1 << 32))
    tau_rate = Rate(int(rng.integers(0, 1 << 16)), int(rng.integers(0, 60)))
    point, draws = Points.of(piece.spec, learning), noise.signal_draws(seed, n)
    error, minus = want.e, -want.e
    if learning.filtered:
        error = minus = want.inst_e
    signals = [
        updates.learning_signal(
            Rate(rate.mantissa * learn, rate.exponent), error, at + scale.exponent, draws
        )
        for rate, error, at, draws in (
            (rate, error, point.signal, draws),
            (tau_rate, minus, point.tau, draws ^ 0xFFFF),
            (tau_rate, want.inst_e, point.tau, draws ^ 0xFFFF),
        )[: 1 + 2 * learning.time_constants]
    ]
    state[place] = (want.v, scale.exponent, want.scale)
    standing = {
        "blank": blank,
        "zero": zero,
        "learn": learn,
        "has_above": has_above,
        "is_target": piece.top,
        "is_error": is_error,
        "above_exponent": above_exponent,
        "loop_exponent": loop_exponent,
        "exponent": scale.exponent,
        "exponent_before": before,
        "quiet": scale.quiet,
        "noise": seed,
        "rate": rate.mantissa | (rate.exponent & 0xFF) << 16,
        "tau_rate": tau_rate.mantissa | (tau_rate.exponent & 0xFF) << 16,
    }
    base = piece.neuron_base
    return Case(place, base, standing, logs, above, loop, r, prime, want, signals)


def schedule(engine, cases: list[Case]) -> dict[int, tuple[Case, int]]:
    """Clock of each row: a pass begins when the one two before is done, and its own last one."""
    at, clock, apart = {}, 2, min(2, len(engine.passes))
    for index, one in enumerate(cases):
        if index >= apart:
            earlier = cases[index - apart]
            clock = max(clock, earlier.start + len(earlier.above) + engine.scale_stages)
        one.start = clock
        for row in range(len(one.above)):
            at[clock + row] = (one, row)
        clock += len(one.above) + index % 3
    return at


def feed(ctx, unit: ErrorUnit, cases: list[Case], at: dict, now: int) -> None:
    """Words of a clock; a row's at several stages, what stands from the second clock on."""
    engine = unit.engine
    one, row = at.get(now, (None, 0))
    ctx.set(unit.valid, one is not None)
    if one is not None:
        ctx.set(unit.context, cases.index(one) % 2)
        ctx.set(unit.place, one.place)
        ctx.set(unit.row, row)
        ctx.set(unit.neuron, one.base + row)
        ctx.set(unit.last, row == len(one.above) - 1)
    one, row = at.get(now - 1, (None, 1))
    for name, word in one.standing.items() if row == 0 else ():
        ctx.set(getattr(unit, name)[cases.index(one) % 2], int(word))
    one, row = at.get(now - 2, (None, 0))
    if one is not None and engine.learns_time_constants:
        ctx.set(unit.log_m, int(one.logs.log_m[row]))
        ctx.set(unit.log_r, int(one.logs.log_r[row]))
    one, row = at.get(now - engine.error_words, (None, 0))
    if one is not None:
        ctx.set(unit.above, int(one.above[row]))
        ctx.set(unit.target, int(one.above[row]))
        ctx.set(unit.loop, int(one.loop[row]))
        ctx.set(unit.r, int(one.r[row]))


def check(ctx, unit: ErrorUnit, cases: list[Case], at: dict, now: int) -> None:
    """All that comes out, and nothing else."""
    engine = unit.engine
    one, row = at.get(now - engine.error_stages, (None, 0))
    assert ctx.get(unit.o_valid) == (one is not None)
    if one is not None:
        names = ("o_place", "o_row", "o_neuron", "inst_e", "e", "v", "signal")
        names += ("signal_m", "signal_r") * engine.learns_time_constants
        got = [ctx.get(getattr(unit, name)) for name in names]
        want = [one.place, row, one.base + row]
        want += [int(w[row]) for w in (one.want.inst_e, one.want.e, one.want.v)]
        assert got == want + [int(signal.words[row]) for signal in one.signals], (now, one)
        one.seen.append((ctx.get(unit.clamped_error), ctx.get(unit.clamped_signal)))
    done = [c for c in cases if c.start + len(c.above) - 1 + engine.scale_stages == now]
    assert ctx.get(unit.scale_valid) == bool(done)
    for c in done:
        got = (ctx.get(unit.scale_exponent), ctx.get(unit.scale_quiet))
        assert (ctx.get(unit.scale_place), got) == (c.place, tuple(c.want.scale)), c


def drive(engine, unit: ErrorUnit, cases: list[Case]) -> None:
    """Work on all passes; derivatives come when they are asked for."""
    at, addresses = schedule(engine, cases), [0, 0]

    async def scenario(ctx):
        for now in range(max(at) + engine.scale_stages + 2):
            feed(ctx, unit, cases, at, now)
            addresses.append(ctx.get(unit.prime_neuron))
            ctx.set(unit.prime, _prime(cases, now, addresses[-3]))
            check(ctx, unit, cases, at, now)
            await ctx.tick()

    simulate(unit, scenario)
    for one in cases:
        error, signal = (sum(kind) for kind in zip(*one.seen, strict=True))
        assert error == one.want.saturated
        assert signal == sum(signal.saturated for signal in one.signals)


def _prime(cases: list[Case], now: int, neuron: int) -> int:
    """Word of the prime memory: what the pass of this neuron that began last is to find."""
    begun = [c for c in cases if c.start <= now and c.base <= neuron < c.base + len(c.prime)]
    return int(begun[-1].prime[neuron - begun[-1].base]) if begun else 0


WIDE = {"error_width": 20, "v_width": 30}
NARROW = {"error_width": 8, "v_width": 8}
LOOP = {"recurrent": True}
TAU = {"time_constants": True}


@pytest.mark.parametrize("loud", [False, True])
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ([3, 5], [{}]),
        ([2, 1, 4, 3], [{"plasticity": "filtered"}, WIDE | LOOP, NARROW]),
        ([3, 4, 2], [LOOP | {"loop": False}, {}]),
        ([4, 7], [LOOP]),
        ([3, 4, 3], [TAU, TAU | LOOP | {"plasticity": "filtered"}]),
    ],
)
def test_error_unit(sizes, options, loud):
    """Random words at random exponents; nothing between passes but a clock or two."""
    engine = engine_of(learners(1, sizes, options))
    rng, state = np.random.default_rng(2), {}
    cases = [
        case(rng, engine, place, state, loud) for _ in range(24) for place in range(len(sizes) - 1)
    ]
    drive(engine, ErrorUnit(engine), cases)
    exponents = [one.want.scale.exponent - one.standing["exponent"] for one in cases]
    assert max(exponents) > 1
    assert loud or min(exponents) == -1
    assert any(one.want.saturated for one in cases)
