"""What the bus reaches in the network: every memory, every flag."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module

from vle.compiler.circuit.registers import LAYER_FLAGS, Region
from vle.hw.decoder import BusDecoder
from vle.hw.engine import Engine
from vle.hw.frame_buffer import FrameBuffer
from vle.hw.receiver import FrameReceiver


def connect_memories(
    m: Module, decoder: BusDecoder, engines: list[Engine], buffers: list[FrameBuffer]
) -> None:
    """Connect the memory of each region; its ports are the bus's while it is active."""
    for place, region in enumerate(decoder.registers.regions):
        access = _access(region, engines, buffers)
        m.d.comb += [
            access.active.eq(decoder.active[place]),
            access.address.eq(decoder.address),
            access.write.eq(decoder.write[place]),
            access.w_data.eq(decoder.w_data),
            decoder.r_data[place].eq(access.r_data),
        ]


def _access(region: Region, engines: list[Engine], buffers: list[FrameBuffer]):
    """Port of a region's memory."""
    if region.kind == "frame":
        return buffers[region.owner].access
    names = {"table_value": f"value{region.detail}", "table_delta": f"delta{region.detail}"}
    return getattr(engines[region.owner], f"access_{names.get(region.kind, region.kind)}")


def connect_flags(
    m: Module,
    decoder: BusDecoder,
    receiver: FrameReceiver,
    engines: list[Engine],
    buffers: list[FrameBuffer],
) -> None:
    """Connect the network's flag, and those of each layer where they are kept."""
    m.d.comb += [
        decoder.flags[0].eq(receiver.fresh),
        receiver.fresh_write.eq(decoder.flags_write[0]),
        receiver.fresh_data.eq(decoder.flags_data),
    ]
    ways = {(buffer.edge.source, buffer.edge.sink): buffer for buffer in buffers}
    waiting, zero_u, zero_loop, zero_rate, start = decoder.flags_data
    places = [(e, k, piece.layer) for e in engines for k, piece in enumerate(e.engine.passes)]
    for engine, place, layer in places:
        write = decoder.flags_write[layer + 1]
        now = [engine.waiting[place], engine.zero_u[place], C(0, 1), C(0, 1), C(0, 1)]
        m.d.comb += engine.state_write[place].eq(write)
        m.d.comb += engine.state_data.eq(Cat(waiting, zero_u))
        loop, above = ways.get((layer, layer)), ways.get((layer, layer + 1))
        if loop is not None:
            now[2] = loop.zero
            m.d.comb += [loop.flags_write.eq(write), loop.flags_data.eq(zero_loop)]
        if above is not None:
            now[3:] = [above.zero, above.start]
            data = Cat(zero_rate, start)
            m.d.comb += [above.flags_write.eq(write), above.flags_data.eq(data)]
        assert len(now) == len(LAYER_FLAGS)
        m.d.comb += decoder.flags[layer + 1].eq(Cat(now))
