"""What stands between the link and a chip: time, a sensor, and what is kept of it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vle.compiler.circuit.board_registers import BOARD_BASE, BOARD_BITS, board_register
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.kept import Kept
from vle.compiler.circuit.registers import CTRL, register_map
from vle.hw import axi_stream
from vle.hw.bus import BusSignature
from vle.hw.standalone.adc import CHANNEL_BITS
from vle.hw.standalone.parts import Adc, Parts
from vle.hw.standalone.scaler import SHIFT_WIDTH
from vle.hw.standalone.sensing import Sensing
from vle.hw.standalone.step_timer import StepTimer
from vle.hw.standalone.store import Store, Task


class Standalone(wiring.Component):
    """Frames of a host or of a sensor, at ticks or as they come; learned words in a flash.

    Registers answer after one clock, those of parts that are missing with an error. While the boot
    loader works, no frame begins and the host waits; while a set is saved or loaded, the host's
    accesses to the chip wait.

    Parameters
    ----------
    chip
        The chip.
    parts
        What there is.

    Members
    -------
    board : In(BusSignature(5))
        Registers; see `vle.compiler.circuit.board_registers`.
    host_bus, core_bus : In, Out(BusSignature)
        Accesses of the host; those that the chip sees.
    host_axis, core_axis : In, Out(axi_stream.Signature)
        Frames of the host; those that the chip sees.
    answered : In(1)
        The last word of an output frame was taken.
    clear : In(1)
        The link clears the chip.
    save : In(1)
        Save when it goes up; synchronous, and steady where it comes from a button.
    sensor : Out
        Pads of an `adc.PADS` or a `microphone.PADS`, where there is one.
    flash : Out(spi.PADS)
        Pads of the flash, where there is one.
    """

    def __init__(self, chip: ChipSpec, parts: Parts) -> None:
        self.chip, self.parts, self.map = chip, parts, register_map(chip)
        first = chip.network.layers[0]
        self.inputs, self.width = first.inputs, first.x_format.width
        self.learns = chip.learning is not None
        self.stream = axi_stream.Signature(
            axi_stream.word_width(self.width), 3 if self.learns else 1
        )
        sensor = parts.sensor
        if sensor is not None and sensor.words != self.inputs:
            raise ValueError(
                f"sensor must have a sample for each of {self.inputs} inputs, not {sensor.words}"
            )
        self.timer = StepTimer(self.inputs, self.stream) if parts.timer else None
        self.sensing = Sensing(parts, self.width, self.stream) if sensor is not None else None
        self.store = None
        if parts.flash is not None:
            kept = Kept.of_chip(chip, page=parts.flash.page, sector=parts.flash.sector)
            self.store = Store(kept, parts.flash, self.map, parts.clock_hz)
        bus = BusSignature(self.map.address_width)
        pads = {"sensor": self.sensing, "flash": self.store}
        super().__init__(
            {
                "board": In(BusSignature(BOARD_BITS)),
                "host_bus": In(bus),
                "core_bus": Out(bus),
                "host_axis": In(self.stream),
                "core_axis": Out(self.stream),
                **dict.fromkeys(("answered", "clear", "save"), In(1)),
                **{
                    name: Out(part.signature.members["pads"].signature)
                    for name, part in pads.items()
                    if part is not None
                },
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self.values: dict[str, Any] = {}
        self.writes: dict[str, list] = {}
        self.refused: dict[str, Value] = {}
        hold = self._store(m)
        frames = self.host_axis
        if self.timer is not None:
            m.submodules.timer = timer = self.timer
            self._timer(m, hold)
            if self.sensing is None:
                connect(m, flipped(frames), timer.i)
            else:
                self._sensor(m, timer)
            connect(m, timer.o, flipped(self.core_axis))
        else:
            connect(m, flipped(frames), flipped(self.core_axis))
        self._registers(m)
        return m

    def _timer(self, m: Module, hold) -> None:
        timer, period = self.timer, Signal(32, init=self.parts.period)
        bus = self.core_bus
        clears = (bus.addr == CTRL.address) & (bus.w_data & CTRL.mask("clear")).any()
        m.d.comb += [
            timer.hold.eq(hold),
            timer.period.eq(period),
            timer.answered.eq(self.answered),
            timer.clear.eq(self.clear | (bus.write & bus.done & clears)),
        ]
        m.d.sync += timer.restart.eq(0)
        self.values |= {"PERIOD": period, "TICKS": timer.ticks, "OVERRUNS": timer.overruns}
        self.writes["PERIOD"] = [period.eq(self.board.w_data), timer.restart.eq(1)]

    def _sensor(self, m: Module, timer: StepTimer) -> None:
        """Connect the sensor or the host, never another one within a frame."""
        m.submodules.sensing = sensing = self.sensing
        sensor, host = self.parts.sensor, self.host_axis
        connect(m, flipped(self.sensor), sensing.pads)
        control = Signal(3, init=1 if self.parts.sensing else 0)
        enabled, freeze, begin = control[0], control[1], control[2]
        chosen = Signal(init=self.parts.sensing)
        shift = Signal(SHIFT_WIDTH, init=self._shift % (1 << SHIFT_WIDTH))
        offset = Signal(sensing.offset.shape(), init=sensor.offset)
        channels = Signal.like(sensing.channels, init=self._channels)
        with m.If(timer.between & ~timer.o.tvalid):
            m.d.sync += chosen.eq(enabled)
        free = (timer.period == 0) & sensing.idle & ~timer.hold
        m.d.comb += [
            sensing.start.eq(enabled & (timer.tick | free)),
            sensing.drop.eq(timer.stale & chosen | ~chosen & ~enabled),
            sensing.user.eq(Cat(begin, 0, freeze)[: len(sensing.user)]),
            sensing.offset.eq(offset),
            sensing.shift.eq(shift),
            sensing.channels.eq(channels),
            timer.i.tvalid.eq(Mux(chosen, sensing.o.tvalid, host.tvalid)),
            timer.i.tdata.eq(Mux(chosen, sensing.o.tdata, host.tdata)),
            timer.i.tlast.eq(Mux(chosen, sensing.o.tlast, host.tlast)),
            timer.i.tuser.eq(Mux(chosen, sensing.o.tuser, host.tuser)),
            sensing.o.tready.eq(timer.i.tready & chosen),
            host.tready.eq(timer.i.tready & ~chosen),
        ]
        with m.If(chosen & timer.i.tvalid & timer.i.tready & timer.i.tlast):
            m.d.sync += begin.eq(0)
        written = self.board.w_data
        self.values |= {
            "SENSOR_CTRL": control,
            "SENSOR_SHIFT": shift.as_signed(),
            "SENSOR_KIND": sensor.kind | sensor.words << 8,
            "SENSOR_CHANNELS": channels,
            "SENSOR_OFFSET": offset,
            "SENSOR_FRAMES": sensing.frames,
        }
        self.writes |= {
            "SENSOR_CTRL": [control.eq(written)],
            "SENSOR_SHIFT": [shift.eq(written)],
            "SENSOR_CHANNELS": [channels.eq(written)],
            "SENSOR_OFFSET": [offset.eq(written)],
        }

    @property
    def _shift(self) -> int:
        """Where samples fill a word, if not told otherwise."""
        sensor = self.parts.sensor
        return self.width - sensor.sample_width if sensor.shift is None else sensor.shift

    @property
    def _channels(self) -> int:
        sensor = self.parts.sensor
        if not isinstance(sensor, Adc):
            return 0
        return sum(channel << CHANNEL_BITS * k for k, channel in enumerate(sensor.channels))

    def _store(self, m: Module):
        """Connect the flash; return whether frames must wait for it."""
        if self.store is None:
            connect(m, flipped(self.host_bus), flipped(self.core_bus))
            return 0
        m.submodules.store = store = self.store
        connect(m, flipped(self.flash), store.pads)
        command, pressed, host = Signal(2), Signal(), self.host_bus
        m.d.sync += [command.eq(0), pressed.eq(self.save)]
        with m.If(self.save & ~pressed):
            m.d.sync += command.eq(Task.SAVE)
        m.d.comb += store.command.eq(command)
        granted = Signal()
        asks = host.read | host.write
        with m.If(~store.want):
            m.d.sync += granted.eq(0)
        with m.Elif(~asks | host.done | store.booting):
            m.d.sync += granted.eq(1)
        m.d.comb += store.granted.eq(granted)
        self._share(m, granted, store)
        status = Cat(store.busy, store.kept_set, store.failed, store.loaded, store.slot)
        self.values |= {
            "FLASH_COMMAND": command,
            "FLASH_STATUS": status,
            "FLASH_SEQUENCE": store.sequence,
            "FLASH_WORDS": store.kept.words,
        }
        self.writes["FLASH_COMMAND"] = [command.eq(self.board.w_data)]
        none = self.board.w_data[len(command) :].any()  # of the three
        self.refused["FLASH_COMMAND"] = store.busy | none
        return store.booting

    def _share(self, m: Module, granted, store: Store) -> None:
        """Let one of the two reach the chip."""
        core, host, own = self.core_bus, self.host_bus, store.bus
        others = ~granted & ~store.booting
        m.d.comb += [
            core.addr.eq(Mux(granted, own.addr, host.addr)),
            core.w_data.eq(Mux(granted, own.w_data, host.w_data)),
            core.read.eq(granted & own.read | others & host.read),
            core.write.eq(granted & own.write | others & host.write),
            *(bus.r_data.eq(core.r_data) for bus in (own, host)),
            *(bus.error.eq(core.error) for bus in (own, host)),
            own.done.eq(core.done & granted),
            host.done.eq(core.done & others),
        ]

    def _registers(self, m: Module) -> None:
        """Answer reads and writes of the board's registers."""
        bus, done, error, word = self.board, Signal(), Signal(), Signal(32)
        m.d.comb += [bus.done.eq(done), bus.error.eq(error), bus.r_data.eq(word)]
        m.d.sync += done.eq(0)
        with m.If((bus.read | bus.write) & ~done):
            m.d.sync += [done.eq(1), error.eq(0)]
            with m.Switch(bus.addr):
                for name, value in self.values.items():
                    register = board_register(name)
                    with m.Case(register.address - BOARD_BASE // 4):
                        m.d.sync += word.eq(value)
                        if register.access == "r":
                            m.d.sync += error.eq(bus.write)
                        else:
                            refused = self.refused.get(name, 0)
                            m.d.sync += error.eq(bus.write & refused)
                            with m.If(bus.write & ~refused if name in self.refused else bus.write):
                                m.d.sync += self.writes[name]
                with m.Default():
                    m.d.sync += error.eq(1)
