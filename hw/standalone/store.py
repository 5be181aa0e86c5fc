"""Learned words of a chip in a flash: loaded at power-up, saved and forgotten when asked."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out, connect, flipped

from vle.compiler.circuit.kept import CHECKED, HEADER, WORD, Kept
from vle.compiler.circuit.registers import CTRL, STATUS, RegisterMap
from vle.hw.bus import BusSignature
from vle.hw.standalone.parts import Flash
from vle.hw.standalone.spi import PADS
from vle.hw.standalone.spi_flash import ADDRESS, Operation, SpiFlash

PATIENCE = 24  # bits


class Task(enum.Enum, shape=3):
    """What a pass over the flash is for; those below 4 are commands."""

    BOOT = 0
    SAVE = 1
    LOAD = 2
    FORGET = 3
    VERIFY = 4


class Store(wiring.Component):
    """Two sets, of which the newer counts; the older is the place of the next.

    At power-up the flash is woken and waited for: where this circuit alone was loaded anew, it may
    still be erasing. Then both sets are read and checked, and the newer is written into the chip,
    before anything else reaches it. A flash that stays busy counts as none, and nothing is asked
    of it until the next reset.

    To save: erase the older set, halt the chip, program its words, then the header, let the chip go
    on, read all again. To forget: erase the header of the older, then that of the newer. So at any
    moment the flash holds either what it held, or what it is to hold.

    An address of the chip where nothing is counts as a word of any value.

    Parameters
    ----------
    kept
        Which words, and their layout.
    flash
        Where.
    registers
        Of the chip.
    clock_hz
        Of the design.
    patience
        Bits of the clocks for which a chip may go on computing after it was halted.

    Members
    -------
    command : In(2)
        `Task` to do when not `busy`; 0 none.
    bus : Out(BusSignature)
        To the chip; used while `want` and `granted`.
    want, granted : Out(1), In(1)
        The bus is to be the store's, and is.
    booting : Out(1)
        Since power-up or reset, until the set is loaded or there is none.
    busy, kept_set, failed, loaded, slot : Out(1)
        Something is done; there is a set that is whole; the last thing has failed; the words of the
        chip were loaded; which set is the newer.
    sequence : Out(32)
        Of the newer set.
    pads : Out(PADS)
        The flash.
    """

    def __init__(
        self,
        kept: Kept,
        flash: Flash,
        registers: RegisterMap,
        clock_hz: int,
        *,
        patience: int = PATIENCE,
    ) -> None:
        if flash.base + 2 * kept.slot > flash.size:
            end = flash.base + 2 * kept.slot
            rule = f"flash must hold two sets of {kept.slot} bytes from 0x{flash.base:x} on"
            raise ValueError(f"{rule}, to 0x{end:x}, not only 0x{flash.size:x}")
        self.kept, self.flash, self.map, self.clock_hz = kept, flash, registers, clock_hz
        self.patience_bits = patience
        super().__init__(
            {
                "command": In(2),
                "bus": Out(BusSignature(registers.address_width)),
                "want": Out(1),
                "granted": In(1),
                **dict.fromkeys(("booting", "busy", "kept_set", "failed", "loaded"), Out(1)),
                "slot": Out(1),
                "sequence": Out(32),
                "pads": Out(PADS),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.port = self.port = SpiFlash(
            self.clock_hz, self.flash.half_period, self.flash.busy_s
        )
        m.submodules.crc = self.crc = CRC32_ETHERNET(data_width=8).create()
        connect(m, flipped(self.pads), self.port.pads)
        self._declare()
        m.d.comb += [
            self.busy.eq(1),
            self.port.operation.eq(self.operation),
            self.port.address.eq(self.place),
            self.bus.addr.eq(self.walk),
            self.bus.w_data.eq(self.word),
        ]
        with m.FSM(init="WAKE"):
            self._wake(m)
            self._idle(m)
            self._scan(m)
            self._judge(m)
            self._erase(m)
            self._halt(m)
            self._program(m)
            self._header(m)
            self._resume(m)
        return m

    def _declare(self) -> None:
        kept = self.kept
        self.task, self.operation = Signal(Task), Signal(Operation)
        self.place, self.target = Signal(ADDRESS), Signal()  # in the flash; which set
        self.walk = Signal(self.map.address_width)  # in the chip
        self.word, self.bytes = Signal(32), Signal(range(WORD))
        self.number, self.checksum = Signal(32), Signal(32)
        self.count, self.writing, self.wrong = Signal(range(kept.page)), Signal(), Signal()
        self.sectors, self.both = Signal(range(kept.slot // kept.sector + 1)), Signal()
        self.was_halted, self.patience = Signal(), Signal(self.patience_bits)
        self.last_word = self.walk == kept.addresses[-1]
        self.finished, self.turn = Signal(), Signal()
        self.awake, self.there = Signal(), Signal()
        self.forgets = self.task == Task.FORGET
        self.constant = Array(C(byte, 8) for byte in kept.constant)

    def _base(self, which: Value) -> Value:
        """First byte of a set."""
        return Mux(which, self.flash.base + self.kept.slot, self.flash.base)

    def _start(self, m: Module, state: str, then: str) -> None:
        """Begin what `operation` and `place` say."""
        with m.State(state):
            m.d.comb += self.port.start.eq(1)
            m.next = then

    def _advance(self, m: Module) -> None:
        """Go to the next word of the chip."""
        ranges = self.kept.ranges
        with m.Switch(self.walk):
            for (base, count), (following, _) in pairwise(ranges):
                with m.Case(base + count - 1):
                    m.d.sync += self.walk.eq(following)
            with m.Default():
                m.d.sync += self.walk.eq(self.walk + 1)

    def _check(self, m: Module, byte: Value) -> None:
        m.d.comb += [self.crc.data.eq(byte), self.crc.valid.eq(1)]

    def _wake(self, m: Module) -> None:
        """After power-up: a flash that a configuration was read from may sleep, or be busy."""
        self._start(m, "WAKE", "WAKING")
        m.d.comb += self.booting.eq(~self.awake)
        with m.State("WAKING"), m.If(~self.port.busy):
            m.d.sync += [self.there.eq(~self.port.late), self.failed.eq(self.port.late)]
            m.next = "SCAN"
            with m.If(self.port.late):
                m.next = "IDLE"

    def _idle(self, m: Module) -> None:
        with m.State("IDLE"):
            m.d.comb += self.busy.eq(0)
            m.d.sync += [
                self.awake.eq(1),
                self.target.eq(self.kept_set & ~self.slot),
                self.number.eq(Mux(self.kept_set, self.sequence + 1, 1)),
                self.sectors.eq(0),
                self.both.eq(0),
            ]
            with m.If(self.command != 0):
                m.d.sync += [self.task.eq(self.command), self.failed.eq(0)]
                m.next = "ERASE"
            with m.If(self.command == Task.LOAD.value):
                m.d.sync += [self.target.eq(self.slot), self.failed.eq(~self.kept_set)]
                m.next = "IDLE"
                with m.If(self.kept_set):
                    m.next = "HALT"
            with m.If((self.command != 0) & ~self.there):
                m.d.sync += self.failed.eq(1)
                m.next = "IDLE"

    def _scan(self, m: Module) -> None:
        """Read a set: its header, its words; where `writing`, each into the chip."""
        port, byte = self.port, self.port.o.payload
        with m.State("SCAN"):
            m.d.comb += self.crc.start.eq(1)
            m.d.sync += [
                self.operation.eq(Operation.READ),
                self.place.eq(self._base(self.target)),
                self.wrong.eq(0),
                self.count.eq(0),
            ]
            m.next = "READ"
        self._start(m, "READ", "HEADER")
        with m.State("HEADER"):
            m.d.comb += port.o.ready.eq(1)
            with m.If(port.o.valid):
                self._hear(m, byte)
        with m.State("DATA"):
            m.d.comb += port.o.ready.eq(1)
            with m.If(port.o.valid):
                self._check(m, byte)
                m.d.sync += [
                    self.word.eq(Cat(self.word[8:], byte)),
                    self.bytes.eq(self.bytes + 1),
                ]
                with m.If((self.bytes == WORD - 1) & self.writing):
                    m.next = "PUT"
                with m.Elif(self.bytes == WORD - 1):
                    self._next(m)
        with m.State("PUT"):
            m.d.comb += self.bus.write.eq(1)
            with m.If(self.bus.done):
                m.next = "DATA"
                self._next(m)
        with m.State("CLOSE"), m.If(~port.busy):
            m.next = "JUDGE"

    def _hear(self, m: Module, byte: Value) -> None:
        """Take a byte of the first page."""
        m.d.sync += self.count.eq(self.count + 1)
        with m.If(self.count < len(self.kept.constant)):
            m.d.sync += self.wrong.eq(self.wrong | (byte != self.constant[self.count[:4]]))
        with m.Elif(self.count < CHECKED):
            m.d.sync += self.number.eq(Cat(self.number[8:], byte))
        with m.Elif(self.count < HEADER):
            m.d.sync += self.checksum.eq(Cat(self.checksum[8:], byte))
        with m.If(self.count < CHECKED):
            self._check(m, byte)
        with m.If(self.count == self.kept.page - 1):
            m.d.sync += [self.walk.eq(self.kept.addresses[0]), self.bytes.eq(0)]
            m.next = "DATA"
        with m.If(self.wrong):
            m.d.comb += self.port.stop.eq(1)
            m.next = "CLOSE"

    def _next(self, m: Module) -> None:
        """After a word: the next, or the end."""
        self._advance(m)
        with m.If(self.last_word):
            m.d.comb += self.port.stop.eq(1)
            m.next = "CLOSE"

    def _judge(self, m: Module) -> None:
        """Whether a set is whole, and what follows from that."""
        good = ~self.wrong & (self.crc.crc == self.checksum)
        newer = ~self.kept_set | (self.number > self.sequence) | (self.task == Task.VERIFY)
        with m.State("JUDGE"):
            with m.If(self.writing):
                m.d.sync += [self.loaded.eq(good), self.failed.eq(~good), self.writing.eq(0)]
                m.next = "RESUME"
            with m.Else():
                with m.If(good & newer):
                    m.d.sync += [
                        self.kept_set.eq(1),
                        self.slot.eq(self.target),
                        self.sequence.eq(self.number),
                    ]
                m.d.sync += self.target.eq(1)
                m.next = "SCAN"
                with m.If(self.task == Task.VERIFY):
                    m.d.sync += self.failed.eq(~good)
                    m.next = "IDLE"
                with m.Elif(self.target):
                    m.next = "CHOOSE"
        with m.State("CHOOSE"):
            m.d.sync += self.target.eq(self.slot)
            m.next = "IDLE"
            with m.If(self.kept_set):
                m.next = "HALT"

    def _erase(self, m: Module) -> None:
        """Erase a set to be written, the sector of its header first; or both headers."""
        with m.State("ERASE"):
            m.d.sync += [
                self.operation.eq(Operation.ERASE),
                self.place.eq(self._base(self.target)),
            ]
            m.next = "ERASE-SECTOR"
        self._start(m, "ERASE-SECTOR", "ERASING")
        with m.State("ERASING"), m.If(~self.port.busy):
            m.d.sync += [
                self.sectors.eq(self.sectors + 1),
                self.place.eq(self.place + self.kept.sector),
            ]
            m.next = "ERASE-SECTOR"
            with m.If((self.sectors == self.kept.slot // self.kept.sector - 1) & ~self.forgets):
                m.next = "HALT"
            with m.If(self.forgets):
                m.d.sync += [self.both.eq(1), self.target.eq(~self.target)]
                m.next = "ERASE"
                with m.If(self.both):
                    m.d.sync += self.kept_set.eq(0)
                    m.next = "IDLE"
            self._late(m, "IDLE")

    def _late(self, m: Module, then: str) -> None:
        """Give up what the flash does not get done."""
        with m.If(self.port.late):
            m.d.sync += self.failed.eq(1)
            m.next = then

    def _halt(self, m: Module) -> None:
        """Take the bus, halt the chip, wait until it is idle."""
        with m.State("HALT"):
            m.d.sync += [self.want.eq(1), self.walk.eq(CTRL.address), self.patience.eq(0)]
            with m.If(self.want & self.granted):
                m.next = "ASK"
        with m.State("ASK"):
            m.d.comb += self.bus.read.eq(1)
            m.d.sync += self.word.eq(CTRL.mask("halt"))
            with m.If(self.bus.done):
                m.d.sync += self.was_halted.eq((self.bus.r_data & CTRL.mask("halt")) != 0)
                m.next = "STOP"
        with m.State("STOP"):
            m.d.comb += self.bus.write.eq(1)
            with m.If(self.bus.done):
                m.d.sync += self.walk.eq(STATUS.address)
                m.next = "UNTIL-IDLE"
        with m.State("UNTIL-IDLE"):
            m.d.comb += self.bus.read.eq(1)
            m.d.sync += self.patience.eq(self.patience + 1)
            with m.If(self.bus.done & (self.bus.r_data & STATUS.mask("idle")).any()):
                m.d.comb += self.crc.start.eq(1)
                m.d.sync += [self.count.eq(0), self.writing.eq(self.task != Task.SAVE)]
                m.next = "SCAN"
                with m.If(self.task == Task.SAVE):
                    m.next = "PREFIX"
            with m.Elif(self.patience.all()):
                m.d.sync += self.failed.eq(1)
                m.next = "RESUME"

    def _program(self, m: Module) -> None:
        """Program the words, page by page; the CRC begins with the header."""
        port = self.port
        with m.State("PREFIX"):
            m.d.comb += self.turn.eq(1)
            self._check(m, self._head(m))
            m.d.sync += self.count.eq(self.count + 1)
            with m.If(self.count == CHECKED - 1):
                m.d.sync += [
                    self.operation.eq(Operation.PROGRAM),
                    self.place.eq(self._base(self.target) + self.kept.page),
                    self.walk.eq(self.kept.addresses[0]),
                    self.count.eq(0),
                ]
                m.next = "PAGE"
        self._start(m, "PAGE", "GET")
        with m.State("GET"):
            m.d.comb += self.bus.read.eq(1)
            m.d.sync += [self.word.eq(self.bus.r_data), self.bytes.eq(0)]
            with m.If(self.bus.done):
                m.next = "PUSH"
        with m.State("PUSH"):
            ends = self.bytes == WORD - 1
            full = self.count == self.kept.page - 1
            m.d.comb += [
                port.i.valid.eq(1),
                port.i.p.byte.eq(self.word[:8]),
                port.i.p.last.eq(ends & (self.last_word | full)),
            ]
            with m.If(port.i.ready):
                self._check(m, self.word[:8])
                m.d.sync += [
                    self.word.eq(self.word >> 8),
                    self.bytes.eq(self.bytes + 1),
                    self.count.eq(Mux(full, 0, self.count + 1)),
                ]
                with m.If(ends):
                    self._advance(m)
                    m.d.sync += self.finished.eq(self.last_word)
                    m.next = "GET"
                with m.If(port.i.p.last):
                    m.next = "PAGE-END"
        with m.State("PAGE-END"), m.If(~port.busy):
            m.d.sync += self.place.eq(self.place + self.kept.page)
            m.next = "PAGE"
            with m.If(self.finished):
                m.d.sync += [
                    self.place.eq(self._base(self.target)),
                    self.checksum.eq(self.crc.crc),
                    self.count.eq(0),
                ]
                m.next = "HEAD"
            self._late(m, "RESUME")

    def _head(self, m: Module) -> Value:
        """Byte `count` of the header; the numbers in it turn, and stand again when it is done."""
        byte = Signal(8)
        with m.If(self.count < len(self.kept.constant)):
            m.d.comb += byte.eq(self.constant[self.count[:4]])
        with m.Elif(self.count < CHECKED):
            m.d.comb += byte.eq(self.number[:8])
            with m.If(self.turn):
                m.d.sync += self.number.eq(self.number.rotate_right(8))
        with m.Else():
            m.d.comb += byte.eq(self.checksum[:8])
            with m.If(self.turn):
                m.d.sync += self.checksum.eq(self.checksum.rotate_right(8))
        return byte

    def _header(self, m: Module) -> None:
        """Program the header: from its last byte on the set is the newer one."""
        self._start(m, "HEAD", "HEAD-BYTES")
        port = self.port
        with m.State("HEAD-BYTES"):
            m.d.comb += [
                port.i.valid.eq(1),
                port.i.p.byte.eq(self._head(m)),
                port.i.p.last.eq(self.count == HEADER - 1),
                self.turn.eq(port.i.ready),
            ]
            with m.If(port.i.ready):
                m.d.sync += self.count.eq(self.count + 1)
                with m.If(port.i.p.last):
                    m.next = "HEAD-END"
        with m.State("HEAD-END"), m.If(~port.busy):
            m.next = "RESUME"
            self._late(m, "RESUME")

    def _resume(self, m: Module) -> None:
        """Let the chip go on if it did, and give the bus back; what was saved is read again."""
        with m.State("RESUME"):
            m.d.sync += [self.walk.eq(CTRL.address)]
            m.d.sync += self.word.eq(Mux(self.was_halted, CTRL.mask("halt"), 0))
            m.next = "GO"
        with m.State("GO"):
            m.d.comb += self.bus.write.eq(1)
            with m.If(self.bus.done):
                m.d.sync += self.want.eq(0)
                m.next = "IDLE"
                with m.If((self.task == Task.SAVE) & ~self.failed):
                    m.d.sync += self.task.eq(Task.VERIFY)
                    m.next = "SCAN"
