"""What the top layer is told: the descent of the loss, as integers."""

from __future__ import annotations

import numpy as np

from vle.compiler.fixed import Raw, round_shift

PROBABILITY_BITS = 14  # below the point of a probability, whether target or softmax
LOG2E_SHIFT = 16
LOG2E = round(float(np.log2(np.e)) * (1 << LOG2E_SHIFT))
FRACTION, INDEX = 12, 6  # bits of the fraction of an exponent, and those that choose an entry
MANTISSA = 16
RECIPROCAL = 40
FAR = 40  # shifts beyond leave nothing

_ENTRIES = np.floor(np.exp2(np.arange((1 << INDEX) + 1) / (1 << INDEX)) * (1 << MANTISSA) + 0.5)
EXP2 = _ENTRIES.astype(np.int64)  # 2**(k / 64) for k = 0..64


def exp2_mantissa(fraction: Raw) -> Raw:
    """`2**(fraction / 2**12)` with 16 bits below the point, by a table with interpolation."""
    index, rest = fraction >> FRACTION - INDEX, fraction & (1 << FRACTION - INDEX) - 1
    mantissa: Raw = EXP2[index] + round_shift(
        (EXP2[index + 1] - EXP2[index]) * rest, FRACTION - INDEX
    )
    return mantissa


def softmax(r: Raw, f_bits: int) -> Raw:
    """Softmax of rates with `f_bits` below the point, as probabilities; shape kept, `(outputs,)`.

    With `z = r log2(e) = n + f`: `E = 2**f`, `S = sum of E / 2**(m - n)`, where `m` is the largest
    `n` so far; as it grows, the sum so far is halved as often, bits below the point dropped. Then
    `p = E / 2**(m - n) * floor(2**40 / S) / 2**26`.
    """
    z = round_shift(r * LOG2E, LOG2E_SHIFT + f_bits - FRACTION)
    whole, mantissa = z >> FRACTION, exp2_mantissa(z & (1 << FRACTION) - 1)
    largest, total = int(whole[0]), 0
    for n, e in zip(whole.tolist(), mantissa.tolist(), strict=True):
        total >>= min(max(n - largest, 0), FAR)
        largest = max(n, largest)
        total += e >> min(largest - n, FAR)
    part = mantissa >> np.minimum(largest - whole, FAR)
    p: Raw = part * ((1 << RECIPROCAL) // total) >> RECIPROCAL - PROBABILITY_BITS
    return p


def descent(loss: str, r: Raw, f_bits: int, target: Raw) -> Raw:
    """`-dC/dr` of the rates of the step before: `target - r`, or `target - softmax(r)`.

    Its binary point is that of the target: of the rate, or of a probability.
    """
    return target - (r if loss == "squared_error" else softmax(r, f_bits))
