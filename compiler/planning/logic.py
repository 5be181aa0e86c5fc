"""Look-up tables of a circuit before synthesis: adder bits, choices, memories, part by part.

Each part counts what its words make of it: an adder takes a look-up table per bit, a sum of more
words two more per bit and word (a carry-save stage), a choice half a table per bit and alternative.
What synthesis makes of a kind of part is one constant per family (`SHARES`), fitted to synthesised
chips by `benchmarks/resources.py --fit`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from vle.compiler.activation import PiecewiseLinear, Table
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.latency import PAIRS, RADIX, least_first
from vle.compiler.circuit.registers import counter_names
from vle.compiler.circuit.windows import error_kinds, lay_out_regions, neuron_kinds
from vle.compiler.learning.errors import SUM_WIDTH
from vle.compiler.learning.noise import WIDTH as DRAW_WIDTH
from vle.compiler.learning.rate import EXPONENT_WIDTH, MANTISSA_WIDTH
from vle.compiler.learning.traces import GUARD
from vle.compiler.learning.updates import SIGNAL_WIDTH
from vle.compiler.planning.choices import Choices
from vle.compiler.planning.mapping import Family, Style, multipliers_of
from vle.compiler.planning.memories import memories
from vle.compiler.planning.products import products

Part = tuple[str, float]
STATE_WIDTH = 32  # of a layer's draws
RATE_WIDTH = MANTISSA_WIDTH + EXPONENT_WIDTH


SHARES = {  # look-up tables and flip-flops of each kind of part
    "ecp5": {
        "top": (153.0, 93.0),
        "engine": (243.0, 363.0),
        "edges": (58.0, 0.0),
        "regions": (23.5, 33.0),
        "registers": (1.15, 0.0),
        "memories": (1.38, 0.42),
        "pipelines": (0.29, 0.17),
        "activation": (2.43, 0.95),
        "words": (0.97, 0.3),
        "products": (1.0, 0.3),
        "errors": (2800.0, 2600.0),
        "learning top": (370.0, 51.0),
        "softmax": (135.0, 162.0),
        "time constants": (2970.0, 2310.0),
        "sensitivity": (300.0, 180.0),
    },
    "ice40": {
        "top": (139.0, 147.0),
        "engine": (244.0, 313.0),
        "edges": (63.0, 25.5),
        "regions": (14.5, 10.6),
        "registers": (1.52, 1.58),
        "memories": (1.95, 1.47),
        "pipelines": (0.41, 0.53),
        "activation": (2.9, 1.52),
        "words": (1.54, 0.09),
        "products": (2.1, 0.3),
        "errors": (4200.0, 2600.0),
        "learning top": (500.0, 51.0),
        "softmax": (200.0, 162.0),
        "time constants": (4000.0, 2310.0),
        "sensitivity": (500.0, 180.0),
    },
    "gowin": {
        "top": (202.0, 93.0),
        "engine": (367.0, 363.0),
        "edges": (65.8, 0.0),
        "regions": (29.7, 33.0),
        "registers": (1.21, 0.0),
        "memories": (2.08, 0.42),
        "pipelines": (0.399, 0.17),
        "activation": (1.21, 0.95),
        "words": (1.15, 0.3),
        "products": (1.0, 0.3),
        "errors": (2800.0, 2600.0),
        "learning top": (370.0, 51.0),
        "softmax": (135.0, 162.0),
        "time constants": (2970.0, 2310.0),
        "sensitivity": (300.0, 180.0),
    },
}
LIKE = {"generic": "ecp5"}
ALONE = {"ice40": 0.47, "gowin": 0.37}  # flip-flops without a look-up table: they take its cell
REPEATERS = {"gowin": 0.1}  # of the look-up tables that there are: see `vle.hw.build.fanout`


class Logic(NamedTuple):
    """Logic of a chip with its AXI top: estimates.

    Parameters
    ----------
    luts, registers
        Look-up tables and flip-flops.
    cells
        Logic cells, as place and route counts them.
    """

    luts: int
    registers: int
    cells: int


def estimate(chip: ChipSpec, family: Family, choices: Choices) -> Logic:
    """Estimate the logic of a chip."""
    name = LIKE.get(family.name, family.name)
    luts = registers = 0.0
    for kind, words in parts(chip, family, choices).items():
        share = SHARES[name][kind]
        luts, registers = luts + share[0] * words, registers + share[1] * words
    cells = luts * (1 + REPEATERS.get(name, 0.0)) + ALONE.get(name, 0.0) * registers
    return Logic(round(luts), round(registers), round(cells))


def parts(chip: ChipSpec, family: Family, choices: Choices) -> dict[str, float]:
    """Look-up tables by the kind of part, as the words make them."""
    found: Counter[str] = Counter()
    for kind, luts in _all(chip, family, choices):
        found[kind] += luts  # type: ignore[assignment]
    return dict(found)


def _all(chip: ChipSpec, family: Family, choices: Choices) -> Iterator[Part]:
    yield "top", 1.0
    yield from _of_bus(chip)
    yield from _of_memories(chip, family, choices)
    yield from _of_products(chip, family, choices)
    for engine in chip.engines:
        yield "engine", 1.0
        yield "words", engine.pe * _row_sum(engine)
        yield "words", 2.0 * engine.pe * engine.acc_width
        yield "pipelines", _operands(chip, engine)
        yield "pipelines", _neurons(engine)
        yield "activation", _activation(engine)
        if engine.learns:
            yield from _of_learning(chip, engine)
    for _ in chip.edges:
        yield "edges", 1.0
    for frames in chip.frames:
        yield "words", frames.simd
    if chip.learning is not None:
        yield "learning top", 1.0
        yield "softmax", float(chip.learning.loss == "cross_entropy")


def choice(width: float, alternatives: int) -> float:
    """Look-up tables that choose one of several words."""
    return width * (alternatives - 1) * (1.0 if alternatives == 2 else 0.67)


def total(width: int, words: int) -> float:
    """Look-up tables of a sum: an adder, before it a carry-save stage for each word beyond two."""
    return width * (1 + 2 * (words - 2)) if words > 1 else 0.0


def tree(width: int, words: int, radix: int = RADIX) -> float:
    """Look-up tables of a tree of sums, `radix` words in the first stage, `RADIX` in the others."""
    luts = 0.0
    while words > 1:
        whole, rest = divmod(words, radix)
        width += (radix - 1).bit_length()
        luts += whole * total(width, radix) + total(width, rest)
        words, radix = whole + (rest > 0), RADIX
    return luts


def _row_sum(engine: Engine) -> float:
    """Tree over SIMD, and the accumulator, whose old value is left out in a row's first tile."""
    return (
        tree(engine.weight_width + engine.operand_width, engine.simd, PAIRS) + 2 * engine.acc_width
    )


def _operands(chip: ChipSpec, engine: Engine) -> float:
    sources = sum(frames.reader == engine.index for frames in chip.frames)
    return engine.simd * engine.operand_width * (1 + choice(1.0, max(2, sources)))


def _neurons(engine: Engine) -> float:
    """Adders of current, `d`, `u` and `prosp`, where layers differ the choice of their shifts."""
    product = engine.u_width + engine.constant_width + 2
    current = engine.acc_width + (0 if engine.learns else engine.scale_width)
    rounded = max(current, engine.u_width) + 2 * product
    shifts = (
        len({getattr(spec, name) for spec in engine.layers})
        for name in ("scale_shift", "alpha_shift", "rho_shift")
    )
    chosen = sum(choice(2 * engine.u_width, n) for n in shifts if n > 1)
    return rounded + 6 * engine.u_width + chosen


def _activation(engine: Engine) -> float:
    kinds = {spec.activation for spec in engine.layers}
    luts = 0.0
    straight = [kind for kind in kinds if isinstance(kind, PiecewiseLinear)]
    if straight:
        luts += engine.u_width + 4 * engine.rate_width + choice(2 * engine.u_width, len(straight))
    tables = [kind for kind in kinds if isinstance(kind, Table)]
    if tables:
        luts += 3 * engine.u_width + 3 * engine.rate_width + choice(engine.u_width, len(tables))
        luts += 3 * engine.u_width * any(table.tail_shift is not None for table in tables)
    return luts + choice(engine.rate_width, len({type(kind) for kind in kinds}))


def _of_bus(chip: ChipSpec) -> Iterator[Part]:
    """Words that the bus reads: registers, and memories lane by lane."""
    layers, learns = len(chip.network.layers), chip.learning is not None
    yield "registers", 8.0 * len(counter_names(layers, learns=learns))
    if learns:  # rates, draws, exponents
        yield "registers", layers * choice(1.0, 4) * (2 * RATE_WIDTH + 2 * STATE_WIDTH)
    yield "regions", float(len(lay_out_regions(chip, 0)))
    for engine in chip.engines:
        yield "words", choice(engine.weight_width, engine.lanes + 1)
        yield "words", 2.0 * engine.lanes
        kinds = len(neuron_kinds(engine)) + len(error_kinds(engine))
        yield "words", 0.5 * kinds * engine.u_width
    for frames in chip.frames:
        yield "words", choice(frames.width, frames.simd + 1)


def _of_memories(chip: ChipSpec, family: Family, choices: Choices) -> Iterator[Part]:
    """Memories made of logic: their cells, and the choice among rows of them."""
    for need in memories(chip):
        found = need.layout(family, huge=choices.huge)
        word = need.width * need.banks
        if found.style is Style.DISTRIBUTED:
            yield "memories", 4.0 * need.readers * found.cells
            yield "memories", need.readers * choice(word, found.rows)
        elif found.style is Style.REGISTERS:
            yield "memories", need.readers * choice(word, need.depth) + need.depth * need.banks
        else:
            yield "memories", need.readers * choice(word, found.rows)


def _of_products(chip: ChipSpec, family: Family, choices: Choices) -> Iterator[Part]:
    """Add partial products; make the products that no hard multiplier makes."""
    for need in products(chip):
        hard = multipliers_of(need.a, need.b, family)
        if hard == 0 or need.kind in choices.logic:
            yield "products", float(need.times * need.a * need.b)
        elif hard > 1:
            yield "words", need.times * 20.0 * (hard - 1)


def _of_learning(chip: ChipSpec, engine: Engine) -> Iterator[Part]:
    """Errors of an engine, and what its lanes, rows and columns add."""
    several = len(engine.passes) > 1  # then two passes may be under way
    yield "errors", 1.0 + 0.25 * several
    step = SIGNAL_WIDTH + engine.operand_width
    yield "words", engine.lanes * (2 * DRAW_WIDTH + step + 2 * engine.weight_width)
    yield "words", (engine.pe + engine.simd) * (STATE_WIDTH + DRAW_WIDTH)
    if any(piece.sends or piece.loops for piece in engine.passes):
        width = engine.weight_width + engine.error_width
        yield (
            "words",
            engine.simd * (tree(width, engine.pe, least_first(engine.pe)) + 3 * (width + 6)),
        )
        senders = sum(piece.sends + piece.loops for piece in engine.passes)
        yield "words", engine.simd * senders * 2 * SUM_WIDTH
    yield "words", engine.pe * 2.0 * (SIGNAL_WIDTH + engine.error_width)
    if engine.trace_groups:
        word = engine.operand_width + GUARD
        filters = 2 * (word + engine.constant_width) + 4 * word
        yield "words", engine.trace_groups * (filters + 3 * engine.simd * engine.operand_width)
    if engine.learns_time_constants:
        yield "time constants", 1.0
        yield "sensitivity", float(any(learning.filtered for learning in engine.learning))
