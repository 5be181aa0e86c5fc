"""The integer model once more, word by word, in Python integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from vle.compiler.activation import ActivationSpec, PiecewiseLinear
from vle.compiler.layer import LayerSpec


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def clamp(value: int, width: int) -> tuple[int, int]:
    high = (1 << (width - 1)) - 1
    clamped = max(-high - 1, min(high, value))
    return clamped, int(clamped != value)


def activation(circuit: ActivationSpec, width: int, prosp: int) -> tuple[int, int]:
    if isinstance(circuit, PiecewiseLinear):
        slope = circuit.negative_slope if prosp < 0 else circuit.positive_slope
        rate = half_up(Fraction(slope * prosp, 2**circuit.shift)) + circuit.offset
        over = circuit.counts_low and rate < circuit.low
        over = over or (circuit.counts_high and rate > circuit.high)
        return max(circuit.low, min(circuit.high, rate)), int(over)
    end = len(circuit.value) * 2**circuit.shift // 2
    inside = max(-end, min(end - 1, prosp))
    index, fraction = divmod(inside + end, 2**circuit.shift)
    rate = circuit.value[index] + half_up(
        Fraction(circuit.delta[index] * fraction, 2**circuit.shift)
    )
    if circuit.tail_shift is None or prosp <= inside:
        return rate, 0
    rate += half_up(Fraction(prosp - inside, 2**circuit.tail_shift))
    return min(rate, (1 << (width - 1)) - 1), int(rate >= 1 << (width - 1))


def step(spec: LayerSpec, x: list[int], u: list[int]) -> tuple[list[int], list[int], list[int]]:
    """One step of one sequence: potentials, rates, and the three counts."""
    after, rates, counts = [], [], [0, 0, 0]
    width = spec.u_format.width
    for i in range(spec.outputs):
        acc = sum(int(w) * r for w, r in zip(spec.weight[i], x, strict=True))
        drive = half_up(Fraction(acc * int(spec.scale[i]), 2**spec.scale_shift))
        current, current_over = clamp(drive + int(spec.bias[i]), width)
        d = current - u[i]
        ahead = u[i] + half_up(Fraction(int(spec.rho[i]) * d, 2**spec.rho_shift))
        prosp, prosp_over = clamp(ahead, width)
        after.append(u[i] + half_up(Fraction(int(spec.alpha[i]) * d, 2**spec.alpha_shift)))
        rate, rate_over = activation(spec.activation, spec.rate_format.width, prosp)
        rates.append(rate)
        counts = [a + b for a, b in zip(counts, (current_over, prosp_over, rate_over), strict=True)]
    return after, rates, counts


def trace(layers: tuple[LayerSpec, ...], frames: np.ndarray, start: list[bool]) -> list[list]:
    """Potentials and rates of every layer after every step, `[step][layer] = (u, r, counts)`."""
    state = [([0] * s.outputs, [0] * s.outputs, False, False) for s in layers]
    fresh, steps = True, []
    for frame, flag in zip(frames.tolist(), start, strict=True):
        after, row = [], []
        for index, spec in enumerate(layers):
            u, r, _, waiting = state[index]
            x, begins = (frame, flag) if index == 0 else (state[index - 1][1], state[index - 1][2])
            waiting = (waiting or (fresh and flag)) and not begins
            if waiting:
                after.append((u, r, False, True))
                row.append((u, r, [0, 0, 0]))
                continue
            if begins:
                u, r = [0] * spec.outputs, [0] * spec.outputs
            u, r, counts = step(spec, x + (r if spec.recurrent else []), u)
            after.append((u, r, begins, False))
            row.append((u, r, counts))
        state, fresh = after, False
        steps.append(row)
    return steps
