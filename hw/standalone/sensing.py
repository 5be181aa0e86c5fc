"""Frames from a sensor."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vle.hw import axi_stream
from vle.hw.standalone import adc, microphone
from vle.hw.standalone.framer import Framer
from vle.hw.standalone.parts import Adc, Microphone, Parts
from vle.hw.standalone.scaler import SHIFT_WIDTH, Scaler


class Sensing(wiring.Component):
    """Takes samples when told to, and offers them as a frame.

    Parameters
    ----------
    parts
        With a sensor.
    width
        Bits of an input word.
    signature
        Of the stream of frames.

    Members
    -------
    start : In(1)
        Take samples now; ignored while some are taken. Of a microphone: the next ones.
    idle : Out(1)
        None are taken, and no frame stands here.
    drop, user : In
        As of `Framer`.
    offset, shift, channels : In
        As of `Scaler` and `AdcMaster`.
    frames : Out(32)
        Whole frames so far.
    o : Out(signature)
        Frames.
    pads : Out
        As of the sensor.
    """

    def __init__(self, parts: Parts, width: int, signature: axi_stream.Signature) -> None:
        sensor = parts.sensor
        assert sensor is not None
        self.sensor, self.clock_hz, self.width = sensor, parts.clock_hz, width
        self.is_adc, self.stream = isinstance(sensor, Adc), signature
        super().__init__(
            {
                "start": In(1),
                "idle": Out(1),
                "drop": In(1),
                "user": In(signature.members["tuser"].shape),
                "offset": In(signed(sensor.sample_width)),
                "shift": In(signed(SHIFT_WIDTH)),
                "channels": In(adc.CHANNEL_BITS * sensor.words),
                "frames": Out(32),
                "o": Out(signature),
                "pads": Out(adc.PADS if self.is_adc else microphone.PADS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        sensor = self.sensor
        m.submodules.scaler = scaler = Scaler(sensor.sample_width, self.width)
        m.submodules.framer = framer = Framer(sensor.words, self.width, self.stream)
        busy, first, wrong = self._adc(m, scaler) if self.is_adc else self._microphone(m, scaler)
        held_first, held_wrong = Signal(), Signal()
        with m.If(scaler.i.valid & scaler.i.ready):
            m.d.sync += [held_first.eq(first), held_wrong.eq(wrong)]
        connect(m, framer.o, flipped(self.o))
        m.d.comb += [
            scaler.offset.eq(self.offset),
            scaler.shift.eq(self.shift),
            scaler.o.ready.eq(1),
            framer.i.valid.eq(scaler.o.valid),
            framer.i.p.data.eq(scaler.o.payload),
            framer.i.p.first.eq(held_first),
            framer.i.p.wrong.eq(held_wrong),
            framer.drop.eq(self.drop),
            framer.user.eq(self.user),
            # a sample may still be on its way through the scaler when the sensor is done
            self.idle.eq(~busy & ~framer.o.tvalid & scaler.i.ready & ~scaler.i.valid),
        ]
        with m.If(framer.whole):
            m.d.sync += self.frames.eq(self.frames + 1)
        return m

    def _adc(self, m: Module, scaler: Scaler) -> tuple:
        assert isinstance(self.sensor, Adc)
        m.submodules.adc = master = adc.AdcMaster(self.sensor, self.clock_hz)
        connect(m, flipped(self.pads), master.pads)
        m.d.comb += [
            master.start.eq(self.start),
            master.channels.eq(self.channels),
            scaler.i.valid.eq(master.o.valid),
            scaler.i.payload.eq(master.o.payload),
        ]
        return master.busy, master.first, master.failed

    def _microphone(self, m: Module, scaler: Scaler) -> tuple:
        """From a start on, the next left sample, and the right one where there are two."""
        assert isinstance(self.sensor, Microphone)
        m.submodules.receiver = receiver = microphone.I2sReceiver(self.sensor, self.clock_hz)
        connect(m, flipped(self.pads), receiver.pads)
        armed, inside, last = Signal(), Signal(), receiver.right == self.sensor.sides - 1
        taken = receiver.o.valid & (armed & ~receiver.right | inside & receiver.right)
        m.d.comb += [scaler.i.valid.eq(taken), scaler.i.payload.eq(receiver.o.payload)]
        with m.If(taken):
            m.d.sync += [armed.eq(0), inside.eq(~last)]
        with m.If(self.start):
            m.d.sync += armed.eq(1)
        return armed | inside, ~receiver.right, 0
