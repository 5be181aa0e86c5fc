"""The exponent that a layer's errors share: what it will be in the next step."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.learning.errors import HIGHEST, LOWEST, PATIENCE

EXPONENT_WIDTH = 8
QUIET_WIDTH = (PATIENCE - 1).bit_length()
CONTEXTS = 2  # passes under way at once


class Rescale(wiring.Component):
    """Magnitudes of a pass in, its layer's scale of the next step out, 2 clocks after `last`.

    It rises at once by as many bits as pass the room, and falls by one after a long quiet.

    Parameters
    ----------
    widths
        Bits of the magnitudes of each source.
    error_width
        Largest number of bits of an error.

    Members
    -------
    clear, clear_context
        A pass begins, in one of two contexts that passes take in turn.
    valid, context, magnitude<k>
        Of each source: a word, as the bits that it has used, and the context of its pass. Those of
        the last source come a clock later than the others of the same row, or more.
    last, last_context, exponent, quiet, error_width
        No word of the pass comes later, and none now; the layer's scale of this step.
    o_valid, o_exponent, o_quiet
        Scale of the next step.
    """

    def __init__(self, widths: list[int], error_width: int):
        self.widths = widths
        members = {
            "clear": In(1),
            "clear_context": In(1),
            "valid": In(len(widths)),
            "context": In(len(widths)),
            "last": In(1),
            "last_context": In(1),
            "exponent": In(signed(EXPONENT_WIDTH)),
            "quiet": In(QUIET_WIDTH),
            "error_width": In(range(error_width + 1)),
            "o_valid": Out(1),
            "o_exponent": Out(signed(EXPONENT_WIDTH)),
            "o_quiet": Out(QUIET_WIDTH),
        }
        members |= {f"magnitude{k}": In(width) for k, width in enumerate(widths)}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        width = max(self.widths)
        used = [Signal(width, name=f"used{context}") for context in range(CONTEXTS)]
        *soon, latest = range(len(self.widths))
        for context, word in enumerate(used):
            early = Signal(width, name=f"early{context}")
            before = Mux(self.clear & (self.clear_context == context), 0, word)
            m.d.sync += early.eq(self._heard(context, soon))
            m.d.sync += word.eq(before | early | self._heard(context, [latest]))
        bits, last = Signal(range(width + 1)), Signal()
        exponent, quiet = Signal.like(self.exponent), Signal.like(self.quiet)
        room, spare = Signal.like(self.error_width), Signal(signed(len(self.error_width) + 1))
        base = Signal(signed(len(exponent) + 1))
        m.d.sync += [
            bits.eq(_bit_length(Mux(self.last_context, used[1], used[0]))),
            last.eq(self.last),
            exponent.eq(self.exponent),
            quiet.eq(self.quiet),
            room.eq(self.error_width - 2),
            spare.eq(self.error_width - 5),
            base.eq(self.exponent - (self.error_width - 2)),
            self.o_valid.eq(last),
        ]
        fallen, patient = Signal.like(exponent), Signal()
        m.d.sync += [
            patient.eq(self.quiet == PATIENCE - 1),
            fallen.eq(Mux(self.exponent > LOWEST, self.exponent - 1, LOWEST)),
        ]
        small, risen = (bits != 0) & (bits < spare), base + bits
        m.d.sync += [
            self.o_exponent.eq(Mux(small & patient, fallen, exponent)),
            self.o_quiet.eq(Mux(small & ~patient, quiet + 1, 0)),
        ]
        with m.If(bits > room):
            m.d.sync += self.o_exponent.eq(Mux(risen > HIGHEST, HIGHEST, risen))
            m.d.sync += self.o_quiet.eq(0)
        return m

    def _heard(self, context: int, sources: list[int]) -> Value:
        """Bits used by the words that come now from some of the sources."""
        total: Value = C(0)
        for k in sources:
            here = self.valid[k] & (self.context[k] == context)
            total = total | Mux(here, getattr(self, f"magnitude{k}"), 0)
        return total


def _bit_length(word: Value) -> Value:
    """Place of the highest bit that is 1, from 1; 0 for none."""
    bits = len(word).bit_length()
    word = Cat(C(1, 1), word, C(0, (1 << bits) - 1 - len(word)))
    return Cat(reversed(_highest(word)))


def _highest(word: Value) -> list[Value]:
    """Place of the highest bit that is 1 in `2**n` bits, the highest bit of it first."""
    if len(word) == 1:
        return []
    half = len(word) // 2
    low, high = word[:half], word[half:]
    upper = high.any()
    pairs = zip(_highest(low), _highest(high), strict=True)
    return [upper, *(Mux(upper, above, below) for below, above in pairs)]
