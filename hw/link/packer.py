"""From output words and probes to payloads in slots."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.link import PROBE_BYTES, LinkSpec
from vle.hw import axi_stream


class Step(IntEnum):
    """What is written next."""

    WORDS = 0
    SEAL = 1
    KIND = 2
    NEXT = 3


class Packer(wiring.Component):
    """Writes a byte per clock, 2 clocks more for each slot, 3 where the chip learns.

    A slot is sealed when no further word fits; when a word of the other kind waits; or, where
    `flush` says that the line has nothing to do, when it ends with a whole output frame or a probe.
    Before the payload, at place 0, stands where it ends, and where the chip learns, at place 1,
    whether it is of probes.

    Parameters
    ----------
    spec
        Sizes.

    Members
    -------
    m_axis, m_axis_probe : In(axi_stream.Signature)
        From the chip; the second where it learns.
    room, flush : In(1)
        There is a slot to write to; seal what is there.
    slots : Out
        Slots sealed, modulo twice their number.
    keep, address, data : Out
        A byte for the memory of slots.
    forget : In(1)
        A session begins: what was not sealed is lost, and the rest of an output frame that was
        begun.
    discard : In(1)
        Take and drop everything.
    cleared : In(1)
        The chip has been cleared, no output frame is begun.
    """

    def __init__(self, spec: LinkSpec) -> None:
        self.spec = spec
        ports = {
            "m_axis": In(axi_stream.Signature(axi_stream.word_width(spec.output_width))),
            "room": In(1),
            "flush": In(1),
            "slots": Out(spec.slot_bits + 1),
            "keep": Out(1),
            "address": Out(spec.slot_bits + spec.place_bits),
            "data": Out(8),
            "forget": In(1),
            "discard": In(1),
            "cleared": In(1),
        }
        if spec.learns:
            ports["m_axis_probe"] = In(axi_stream.Signature(32, 32))
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        bits = spec.place_bits
        begin = 2 if spec.learns else 1
        place, index = Signal(bits, init=begin), Signal(range(PROBE_BYTES))
        probing, complete = Signal(), Signal()  # the slot is of probes; it ends with a whole frame
        valid, final, full, other, begun = Signal(), Signal(), Signal(), Signal(), Signal()
        word, taken, step = Signal(8 * PROBE_BYTES), Signal(), Signal(Step)
        offered = self._outputs(m, taken & ~probing)
        m.d.comb += [word.eq(self.m_axis.tdata), valid.eq(offered)]
        if spec.learns:
            probe, switch = self._probes(m, taken & probing), Signal()
            # before those of outputs: words of probes that wait long are lost
            wanted = probe.tvalid | (probing & ~offered)
            m.d.comb += [switch.eq((index == 0) & (wanted != probing)), other.eq(switch)]
            with m.If(switch & ~begun):
                m.d.sync += probing.eq(wanted)
            with m.If(probing):
                m.d.comb += [word.eq(Cat(probe.tdata, probe.tuser)), valid.eq(probe.tvalid)]
        capacity = spec.payload_max - spec.payload_max % spec.output_bytes
        m.d.comb += [
            final.eq(index == Mux(probing, PROBE_BYTES, spec.output_bytes) - 1),
            full.eq(place == begin + Mux(probing, spec.payload_max, capacity)),
            begun.eq(place != begin),
            self.address.eq(Cat(place, self.slots[: spec.slot_bits])),
            self.data.eq(word.word_select(index, 8)),
        ]
        with m.Switch(step):
            with m.Case(Step.WORDS):
                idle = self.flush & complete & ~valid
                with m.If(begun & (index == 0) & (full | other | idle)):
                    m.d.sync += step.eq(Step.SEAL)
                with m.Elif(valid & ~other & self.room):
                    m.d.comb += [self.keep.eq(1), taken.eq(final)]
                    m.d.sync += [place.eq(place + 1), index.eq(Mux(final, 0, index + 1))]
                    m.d.sync += complete.eq(probing | self.m_axis.tlast)
            with m.Case(Step.SEAL):
                m.d.comb += [self.keep.eq(1), self.data.eq(place)]
                m.d.comb += self.address[:bits].eq(0)
                m.d.sync += step.eq(Step.KIND if spec.learns else Step.NEXT)
            with m.Case(Step.KIND):
                m.d.comb += [self.keep.eq(spec.learns), self.data.eq(probing)]
                m.d.comb += self.address[:bits].eq(1)
                m.d.sync += step.eq(Step.NEXT)
            with m.Case(Step.NEXT):
                m.d.sync += [self.slots.eq(self.slots + 1), place.eq(begin), step.eq(Step.WORDS)]
        with m.If(self.forget | self.discard):
            m.d.sync += [place.eq(begin), index.eq(0), step.eq(Step.WORDS), self.slots.eq(0)]
        return m

    def _outputs(self, m: Module, taken: Value) -> Signal:
        """Return whether an output word waits that somebody is to hear."""
        axis, within, dropping, now = self.m_axis, Signal(), Signal(), Signal()
        offered = Signal()
        m.d.comb += [
            offered.eq(axis.tvalid & ~dropping & ~self.discard),
            axis.tready.eq(taken | dropping | self.discard),
            now.eq(Mux(axis.tvalid & axis.tready, ~axis.tlast, within)),
        ]
        m.d.sync += [within.eq(now), dropping.eq(now & (dropping | self.forget | self.discard))]
        with m.If(self.cleared):
            m.d.sync += [within.eq(0), dropping.eq(0)]
        return offered

    def _probes(self, m: Module, taken: Value):
        """Take words of probes, and all of them where nobody is to hear."""
        m.d.comb += self.m_axis_probe.tready.eq(taken | self.discard)
        return self.m_axis_probe
