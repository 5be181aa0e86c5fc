"""What the bus reaches in the network: every memory, every flag."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux

from vle.compiler.circuit.edges import Edge
from vle.compiler.circuit.registers import LAYER_FLAGS, Region
from vle.compiler.circuit.windows import SUM_KINDS
from vle.hw.decoder import BusDecoder
from vle.hw.engine import Engine
from vle.hw.frame_buffer import FrameBuffer
from vle.hw.frame_memory import FrameMemory
from vle.hw.learning_engine import LearningEngine
from vle.hw.receiver import FrameReceiver
from vle.hw.sum_buffer import SumBuffer


def connect_memories(
    m: Module,
    decoder: BusDecoder,
    engines: list[Engine],
    sums: Sequence[SumBuffer] = (),
    *,
    near: bool = False,
) -> None:
    """Connect the memory of each region; its ports are the bus's while it is active.

    Where they are many, what the bus says is in a register `near` each, a clock later.
    """
    for place, region in enumerate(decoder.registers.regions):
        if region.kind == "frame":
            continue
        access, active = _access(region, engines, sums), decoder.active[place]
        flags = [access.active.eq(active), access.write.eq(decoder.write[place])]
        words = [access.address.eq(decoder.address), access.w_data.eq(decoder.w_data)]
        m.d["sync" if near else "comb"] += flags
        if near:
            with m.If(active):
                m.d.sync += words
        else:
            m.d.comb += words
        m.d.comb += decoder.r_data[place].eq(access.r_data)


def connect_frames(
    m: Module, decoder: BusDecoder, memories: list[FrameMemory], edges: Sequence[Edge]
) -> None:
    """Connect memories of frames, of which each edge has a region, but for that from the input."""
    regions = enumerate(decoder.registers.regions)
    region_of = {edges[r.owner]: place for place, r in regions if r.kind == "frame"}
    for memory in memories:
        access, own = memory.access, memory.frames.edges
        places = [region_of[edge] for edge in own if edge in region_of]
        m.d.comb += [
            memory.edge.eq(Cat(decoder.active[place] for place in places)),
            access.active.eq(memory.edge.any()),
            access.address.eq(decoder.address),
            access.write.eq(Cat(decoder.write[place] for place in places).any()),
            access.w_data.eq(decoder.w_data),
            *(decoder.r_data[place].eq(access.r_data) for place in places),
        ]


def _access(region: Region, engines: list[Engine], sums: Sequence[SumBuffer]):
    """Port of a region's memory."""
    if region.kind in SUM_KINDS:
        return sums[region.owner].access
    if region.kind == "top_rate":
        found = (engine for engine in engines for piece in engine.engine.passes if piece.top)
        return next(found).access_top_rate
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
    waiting, zero_u, zero_loop, zero_rate, start, *_ = decoder.flags_data
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
        if isinstance(engine, LearningEngine):
            now.append(engine.errors.zero[place])
        m.d.comb += decoder.flags[layer + 1].eq(Cat(now))


def connect_learning(
    m: Module, decoder: BusDecoder, engines: Sequence[Engine], sums: list[SumBuffer]
) -> None:
    """Connect exponents, draws, and the flag of what a reset has zeroed, of each layer."""
    layers = sum(len(engine.engine.passes) for engine in engines)
    places = [(e.errors, k, p.layer) for e in engines for k, p in enumerate(e.engine.passes)]
    data = decoder.flags_data
    zero = data[len(LAYER_FLAGS)]
    for errors, place, layer in places:
        flags, exponent, noise = (
            decoder.flags_write[1 + kind * layers + layer] for kind in range(3)
        )
        m.d.comb += [
            decoder.flags[1 + layers + layer].eq(errors.exponent_word[place]),
            decoder.flags[1 + 2 * layers + layer].eq(errors.noise_word[place]),
            errors.zero_write[place].eq(flags),
            errors.zero_data[place].eq(zero),
            errors.exponent_write[place].eq(exponent),
            errors.noise_write[place].eq(noise),
        ]
        before = Mux(exponent, data[16:24], errors.exponent_word[place][16:24])
        told = Cat(Mux(flags, zero, errors.zero[place]), before)
        for buffer in sums:
            for k, edge in enumerate(buffer.sums.edges):
                if edge.source == layer:
                    m.d.comb += buffer.flags_write[k].eq(flags | exponent)
                    m.d.comb += buffer.flags_data[k].eq(told)
    for engine in engines:
        m.d.comb += engine.errors.data.eq(data)
