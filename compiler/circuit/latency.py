"""Stages of the circuit's pipelines, in clocks; `hw` is built to them, `timing` counts with them.

Synapses, from the cycle in which an address is issued::

    0 address   1 word and operand read   2 both registered   3, 4 products
    4 + T sums over SIMD (T = tree_stages)   5 + T accumulated   6 + T first row at the neurons

Neurons, from the cycle in which a row's accumulator stands at their entrance::

    0 acc   1, 2 acc * scale   3 current   4 d   5, 6 alpha * d, rho * d   7 u, prosp
    7 + A rate (A = activation_stages)

Synapses that learn, beside it, from the same address (errors and signals registered at 2)::

    backward  3, 4 products   4 + P sums over PE   5 + P a column's sum, and that of its rows before
    update    3 factors   4, 5 product and draws   6 shifted   7 new weight   8 clamped
              9 at the memory's write port

Errors, from the cycle in which a row's address is issued (F = CONSTANTS_FRONT where time constants
learn, else 0)::

    2 + F words   3 + F the layer's, target - r where it is the top   + 1 coarse shift   + 2 aligned
    (sum, where errors recur)   + 1 prime * s   + 2 inst_e   + 3 kappa * inst_e   + 4 sum   + 5 e
    + 6 rate * e   + 7 coarse shift   + 8 learning signal
"""

from __future__ import annotations

from vle.compiler.activation import ActivationSpec, PiecewiseLinear

PRODUCT_STAGE = 4
CURRENT_STAGE = 3
PROSP_STAGE = 7
STATE_LOOP = 7  # a neuron's potential, once read, is back in memory this much later
RADIX = 4  # words added per stage of a tree of sums
PAIRS = 2  # in the first stage of rows' sums: wires from many multipliers to one sum are long
QUEUE_LATENCY = 2  # of the output queue, word in to word out
UPDATE_STAGE = 9  # of a new weight at the write port of its memory
UPDATE_LOOP = UPDATE_STAGE + 1  # between two issues of the same word of weights, at least
LOOKED_AHEAD = 1  # clocks by which a scheduler knows before a pass begins that it may
SUM_READ = 2  # of a column's sum, asked for to word out


def tree_stages(words: int, first: int = RADIX) -> int:
    """Count the registered stages of a sum, `first` words in the first stage, `RADIX` in others."""
    stages, radix = 0, first
    while words > 1:
        words, stages, radix = -(-words // radix), stages + 1, RADIX
    return stages


def least_first(words: int) -> int:
    """Return how many words the first stage has to sum, that a tree takes no stage more."""
    return min(n for n in range(2, RADIX + 1) if tree_stages(words, n) == tree_stages(words))


def synapse_stages(simd: int) -> int:
    """From the issue of a group's last tile to its first row at the neurons."""
    return PRODUCT_STAGE + tree_stages(simd, PAIRS) + 2


def sum_stage(pe: int) -> int:
    """From the issue of a tile of the last group to its columns' sums, on their way down."""
    return PRODUCT_STAGE + tree_stages(pe) + 1


def is_shift(slope: int) -> bool:
    """Whether a product with `slope` is wiring, not a multiplier."""
    return slope >= 0 and slope & (slope - 1) == 0


def activation_stages(spec: ActivationSpec) -> int:
    """From the prospective potential to the rate."""
    if not isinstance(spec, PiecewiseLinear):
        return 5  # entry read, registered, delta * fraction twice, sum
    slopes = (spec.negative_slope, spec.positive_slope)
    return 2 if all(map(is_shift, slopes)) else 4  # sum, clamp; a product before


ERROR_WORDS = 2  # of a row's words at the error unit, where its time constants do not learn
CONSTANTS_FRONT = 4  # more for constants that follow from logarithms
PRIME_OF_RATE = 3  # of a derivative after the rate that it follows from
TRACE_BEGIN = 3  # from a pass's first tile to its first column at the traces, at least
TRACE_DRAIN = 7  # from a column at the traces to its new words
SOFTMAX_STAGES = 40  # from the last rate of the top to when its first probability may be read
LEARNED_STATE_LOOP = 16  # of a logarithm, read to written


def error_stages(front: int, *, loops: bool) -> int:
    """From the issue of a row's address to its error and its learning signal."""
    return ERROR_WORDS + front + 3 + loops + 8
