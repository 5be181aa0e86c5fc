"""The error unit against the integer model: every word of every row, and the exponents."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from bounded import simulate
from learners import engine_of, learners

from vle.compiler.learning import errors, noise, updates
from vle.compiler.learning.errors import Errors, Scale
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec, Points
from vle.hw.error_unit import ErrorUnit


@dataclass
class Case:
    """One pass: what stands during it, its words, and what is to come out."""

    place: int
    base: int
    standing: dict[str, int]
    above: np.ndarray
    loop: np.ndarray
    r: np.ndarray
    prime: np.ndarray
    want: Errors
    signal: updates.Updated
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
    want = filter_of(learning).step(parts, prime * (not blank), (low, before), scale)
    rate = Rate(int(rng.integers(0, 1 << 16)), int(rng.integers(-128, 128)) if loud else 20)
    seed = int(rng.integers(1, 1 << 32))
    point = Points.of(piece.spec, learning).signal + scale.exponent
    error = want.inst_e if learning.filtered else want.e
    signal = updates.learning_signal(
        rate if learn else Rate(), error, point, noise.signal_draws(seed, n)
    )
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
    }
    base = piece.neuron_base
    return Case(place, base, standing, above, loop, r, prime, want, signal)


def drive(engine, unit: ErrorUnit, cases: list[Case]):
    """Rows one per clock; a pass begins when the one two before is done, and its own last one."""
    at, clock = {}, 2
    for index, one in enumerate(cases):
        earlier = cases[max(0, index - min(2, len(engine.passes)))]
        if index >= min(2, len(engine.passes)):
            clock = max(clock, earlier.start + len(earlier.above) + engine.scale_stages)
        one.start = clock
        for row in range(len(one.above)):
            at[clock + row] = (one, row)
        clock += len(one.above) + index % 3
    addresses: list[int] = []

    async def scenario(ctx):
        for now in range(clock + engine.scale_stages + 2):
            one, row = at.get(now, (None, 0))
            ctx.set(unit.valid, one is not None)
            if one is not None:
                context = cases.index(one) % 2
                ctx.set(unit.context, context)
                ctx.set(unit.place, one.place)
                ctx.set(unit.row, row)
                ctx.set(unit.neuron, one.base + row)
                ctx.set(unit.last, row == len(one.above) - 1)
            one, row = at.get(now - 1, (None, 1))
            for name, word in one.standing.items() if row == 0 else ():
                ctx.set(getattr(unit, name)[cases.index(one) % 2], int(word))
            one, row = at.get(now - engine.error_words, (None, 0))
            if one is not None:
                ctx.set(unit.above, int(one.above[row]))
                ctx.set(unit.loop, int(one.loop[row]))
                ctx.set(unit.r, int(one.r[row]))
            addresses.append(ctx.get(unit.prime_neuron))
            neuron = addresses[max(0, len(addresses) - 3)]
            ctx.set(unit.prime, _prime(cases, now, neuron))
            check(ctx, now)
            await ctx.tick()

    def check(ctx, now: int) -> None:
        one, row = at.get(now - engine.error_stages, (None, 0))
        assert ctx.get(unit.o_valid) == (one is not None)
        if one is not None:
            names = ("o_place", "o_row", "o_neuron", "inst_e", "e", "v", "signal")
            got = [ctx.get(getattr(unit, name)) for name in names]
            want = [one.place, row, one.base + row]
            want += [int(w[row]) for w in (one.want.inst_e, one.want.e, one.want.v)]
            assert got == [*want, int(one.signal.words[row])], (now, one)
            one.seen.append((ctx.get(unit.clamped_error), ctx.get(unit.clamped_signal)))
        done = [c for c in cases if c.start + len(c.above) - 1 + engine.scale_stages == now]
        assert ctx.get(unit.scale_valid) == bool(done)
        for c in done:
            got = (ctx.get(unit.scale_exponent), ctx.get(unit.scale_quiet))
            assert (ctx.get(unit.scale_place), got) == (c.place, tuple(c.want.scale)), c

    simulate(unit, scenario)
    for one in cases:
        error, signal = (sum(kind) for kind in zip(*one.seen, strict=True))
        assert (error, signal) == (one.want.saturated, one.signal.saturated)


def _prime(cases: list[Case], now: int, neuron: int) -> int:
    """Word of the prime memory: what the pass of this neuron that began last is to find."""
    begun = [c for c in cases if c.start <= now and c.base <= neuron < c.base + len(c.prime)]
    return int(begun[-1].prime[neuron - begun[-1].base]) if begun else 0


WIDE = {"error_width": 20, "v_width": 30}
NARROW = {"error_width": 8, "v_width": 8}
LOOP = {"recurrent": True}


@pytest.mark.parametrize("loud", [False, True])
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ([3, 5], [{}]),
        ([2, 1, 4, 3], [{"plasticity": "filtered"}, WIDE | LOOP, NARROW]),
        ([3, 4, 2], [LOOP | {"loop": False}, {}]),
        ([4, 7], [LOOP]),
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
