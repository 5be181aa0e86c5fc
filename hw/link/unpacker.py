"""From payloads of steps to beats of input and target frames."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import LinkSpec
from vle.hw import axi_stream
from vle.hw.link.slot_reader import payload_stream

STARTS, HAS_TARGET, FREEZES, IS_ERROR = range(4)  # flags of a record


class Unpacker(wiring.Component):
    """Makes beats of bytes, one byte per clock, 1 clock more for each record; latency 1 clock.

    A payload is a byte of flags, then records `[target words] input words`, lowest byte first; a
    record goes on in the next payload wherever this one ends.

    Parameters
    ----------
    spec
        Sizes.

    Members
    -------
    i : In(payload_stream())
        Payloads.
    s_axis, s_axis_target : Out(axi_stream.Signature)
        To the chip; the second where it learns.
    forget : In(1)
        A session begins: a frame that was begun is closed with a wrong length, so that the chip
        drops it, before anything else goes in.
    drop : In(1)
        All that is here is lost, a beat that waits too: the chip is being cleared.
    cut : Out(1)
        A target has gone in, and its input frame is not complete.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        width, users = axi_stream.word_width(spec.input_width), 3 if spec.learns else 1
        ports = {
            "i": In(payload_stream()),
            "s_axis": Out(axi_stream.Signature(width, users)),
            "forget": In(1),
            "drop": In(1),
            "cut": Out(1),
        }
        if spec.learns:
            width = axi_stream.word_width(spec.target_width)
            ports["s_axis_target"] = Out(axi_stream.Signature(width))
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        most = max(spec.input_bytes, spec.target_bytes)
        of_payload, flags, begun, closing = Signal(4), Signal(4), Signal(), Signal()
        aiming = Signal()  # at the target of the record
        word, index = Signal(8 * most), Signal(range(max(2, most)))
        column = Signal(range(max(2, spec.inputs, spec.outputs)))
        full, for_target, last = Signal(), Signal(), Signal()  # the beat that stands
        final, whole, at_end = Signal.like(column), Signal(), Signal()
        m.d.comb += [
            final.eq(Mux(aiming, spec.outputs - 1, spec.inputs - 1)),
            at_end.eq(column == final),
            whole.eq(index == Mux(aiming, max(1, spec.target_bytes) - 1, spec.input_bytes - 1)),
            self.cut.eq(begun & flags[HAS_TARGET] & ~aiming),
        ]
        free = self._present(m, word, flags, (full, for_target, last))
        beat = [full.eq(1), for_target.eq(aiming), last.eq(at_end)]
        with m.If(free):
            m.d.sync += full.eq(0)
        with m.If(closing & free):
            # one word fewer than is right, or one more
            m.d.sync += [*beat, last.eq(~at_end), column.eq(0)]
            m.d.sync += [closing.eq(at_end), begun.eq(at_end)]
        with m.Elif(closing):
            pass
        with m.Elif(self.i.valid & self.i.p.first):
            m.d.comb += self.i.ready.eq(1)
            m.d.sync += of_payload.eq(self.i.p.data)
        with m.Elif(self.i.valid & free):
            m.d.comb += self.i.ready.eq(begun)
            m.d.sync += begun.eq(1)
            with m.If(~begun):
                m.d.sync += [flags.eq(of_payload), aiming.eq(of_payload[HAS_TARGET] & spec.learns)]
            with m.Else():
                m.d.sync += [word.eq(Cat(word, self.i.p.data)[8:]), index.eq(index + 1)]
                with m.If(whole):
                    m.d.sync += [index.eq(0), column.eq(column + 1), *beat]
                with m.If(whole & at_end):
                    m.d.sync += [column.eq(0), aiming.eq(0), begun.eq(aiming)]
        with m.If(self.forget):
            m.d.sync += index.eq(0)
            with m.If(~closing):
                m.d.sync += [closing.eq(begun & (column != 0)), begun.eq(begun & (column != 0))]
        with m.If(self.drop):
            m.d.sync += [full.eq(0), closing.eq(0), begun.eq(0), column.eq(0), index.eq(0)]
        return m

    def _present(self, m: Module, word: Signal, flags: Signal, beat: tuple[Signal, ...]) -> Signal:
        """Offer the beat where it belongs; return whether another can be made."""
        spec, axis, free = self.spec, self.s_axis, Signal()
        full, for_target, last = beat
        m.d.comb += [
            axis.tdata.eq(word[len(word) - 8 * spec.input_bytes :]),
            axis.tlast.eq(last),
            axis.tuser.eq(Cat(flags[STARTS], flags[HAS_TARGET], flags[FREEZES])),
            axis.tvalid.eq(full & ~for_target),
            free.eq(~full | axis.tready),
        ]
        if spec.learns:
            target = self.s_axis_target
            m.d.comb += [
                target.tdata.eq(word[len(word) - 8 * spec.target_bytes :]),
                target.tlast.eq(last),
                target.tuser.eq(flags[IS_ERROR]),
                target.tvalid.eq(full & for_target),
                free.eq(~full | Mux(for_target, target.tready, axis.tready)),
            ]
        return free
