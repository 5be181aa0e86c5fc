"""What a host reaches through a shell: the chip, the board, and nothing beside them."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from bounded import simulate

from vle.compiler.circuit.board_registers import BOARD_BASE, BOARD_BITS, BOARD_ID, SHELL_VERSION
from vle.compiler.circuit.link import LinkSpec
from vle.host.link.frames import Decoder, Frame, Kind, encode
from vle.hw import axi_lite, axi_stream
from vle.hw.bus import BusSignature
from vle.hw.shell import Shell

WORDS, CLOCK_HZ = 256, 25_000_000  # words that the chip's bus can name


class Chip(wiring.Component):
    """Gives back what it gets; has 8 registers, the last of which refuses."""

    def __init__(self) -> None:
        axis = axi_stream.Signature(16)
        axil = axi_lite.Signature((WORDS - 1).bit_length() + 2)
        super().__init__({"s_axis": In(axis), "m_axis": Out(axis), "s_axil": In(axil)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.bridge = bridge = axi_lite.Bridge((WORDS - 1).bit_length())
        wiring.connect(m, wiring.flipped(self.s_axil), bridge.axi)
        bus, words = bridge.bus, Array(Signal(32, name=f"word{k}") for k in range(8))
        for name in ("tdata", "tlast", "tuser", "tvalid"):
            m.d.comb += getattr(self.m_axis, name).eq(getattr(self.s_axis, name))
        m.d.comb += [
            self.s_axis.tready.eq(self.m_axis.tready),
            bus.r_data.eq(words[bus.addr[:3]]),
            bus.error.eq(bus.addr >= 7),
            bus.done.eq(bus.read | bus.write),
        ]
        with m.If(bus.write & ~bus.error):
            m.d.sync += words[bus.addr[:3]].eq(bus.w_data)
        return m


class Parts(wiring.Component):
    """Passes on, and has one register at each address of the board: that address."""

    def __init__(self, chip: Chip) -> None:
        axis, bus = axi_stream.Signature(16), BusSignature((WORDS - 1).bit_length())
        super().__init__(
            {
                "board": In(BusSignature(BOARD_BITS)),
                "host_axis": In(axis),
                "core_axis": Out(axis),
                "host_bus": In(bus),
                "core_bus": Out(bus),
                "answered": In(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        wiring.connect(m, wiring.flipped(self.host_axis), wiring.flipped(self.core_axis))
        wiring.connect(m, wiring.flipped(self.host_bus), wiring.flipped(self.core_bus))
        board = self.board
        m.d.comb += [board.r_data.eq(board.addr), board.done.eq(board.read | board.write)]
        return m


def talk(shell: Shell, requests: list[bytes]) -> list[bytes]:
    """Payloads of the responses; a damaged frame goes before the last one."""
    answers: list[bytes] = []

    async def scenario(ctx):
        ctx.set(shell.o.ready, 1)
        decoder, frames = Decoder(), []

        async def clock():
            _, _, valid, byte = await ctx.tick().sample(shell.o.valid, shell.o.payload)
            if valid:
                frames.extend(decoder.feed(bytes((byte,))))

        async def send(data: bytes):
            for byte in data:
                ctx.set(shell.i.payload, byte)
                ctx.set(shell.i.valid, 1)
                await clock()
            ctx.set(shell.i.valid, 0)

        async def answer(kind: Kind) -> Frame:
            while not (found := [frame for frame in frames if frame.kind == kind]):
                await clock()
            frames.clear()
            return found[0]

        await send(encode(Frame(Kind.HELLO, 3, payload=b"\1\1")))
        await answer(Kind.WELCOME)
        for seq, request in enumerate(requests, 1):
            if seq == len(requests):
                await send(b"\2\3\0")
            await send(encode(Frame(Kind.REQUEST, 3, seq, payload=request)))
            answers.append((await answer(Kind.RESPONSE)).payload)

    simulate(shell, scenario)
    return answers


def reads(address: int, count: int) -> bytes:
    return bytes((2, count)) + address.to_bytes(4, "little")


def write(address: int, *data: int) -> bytes:
    words = b"".join(word.to_bytes(4, "little") for word in data)
    return bytes((3, len(data))) + address.to_bytes(4, "little") + words


def words(payload: bytes) -> list[int]:
    return [int.from_bytes(payload[k : k + 4], "little") for k in range(3, len(payload), 4)]


def test_chip_board_and_nobody():
    spec = LinkSpec(3, 3, 16, 16)
    requests = [
        write(0, 5, 6, 7),
        reads(0, 4),
        reads(4 * (WORDS - 1), 2),  # at the end of what the chip can name, and beyond
        reads(4 * WORDS, 1),
        reads(0x1000_0000, 1),
        reads(BOARD_BASE, 6),  # its registers, then nothing
        write(BOARD_BASE, 1),
        reads(BOARD_BASE + 0x1000, 1),
        reads(0, 1),  # nothing has changed
        reads(BOARD_BASE + 12, 1),
    ]
    got = talk(Shell(Chip(), spec, clock_hz=CLOCK_HZ), requests)
    assert got[0] == bytes((3, 3, 0))
    assert words(got[1]) == [5, 6, 7, 2]  # the last: what HELLO wrote to clear it
    board = [BOARD_ID, SHELL_VERSION, CLOCK_HZ, 0, 0, 0]
    assert [payload[2] for payload in got[2:9]] == [2, 1, 1, 2, 1, 1, 0]
    assert words(got[5]) == board
    assert words(got[8]) == [5]
    assert words(got[9]) == [1]


def test_parts_between():
    chip = Chip()
    shell = Shell(chip, LinkSpec(3, 3, 16, 16), standalone=Parts(chip))
    got = talk(shell, [write(0, 8), reads(0, 1), reads(BOARD_BASE, 32), reads(0, 1)])
    assert words(got[1]) == [8]
    assert words(got[2])[:4] == [BOARD_ID, SHELL_VERSION, 0, 0]
    assert words(got[2])[4:] == list(range(4, 32))
