"""Drives a `NetworkCore` in Amaranth's simulator: frames in, frames and every state word out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from amaranth.sim import Simulator
from expected import Expected, differing_words
from handshake import Held

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import (
    COUNTERS,
    LAYER_FLAGS,
    Window,
    counter_names,
    lane_bits,
    register_map,
)
from vle.hw.network import NetworkCore

WATCHDOG = 60_000  # cycles
TRACE = np.dtype([(name, np.int64) for name in ("layer", "neuron", "u", "r")])


@dataclass
class CoreBench:
    """One core under test; scenarios are coroutines that take the simulator's context.

    Parameters
    ----------
    chip
        What to simulate.
    seed
        Of gaps and stalls.
    gaps, stalls
        Share of the cycles in which no input is offered, no output taken.
    """

    chip: ChipSpec
    seed: int = 0
    gaps: float = 0.0
    stalls: float = 0.0
    words: list[tuple[int, bool, bool]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    cycle: int = 0
    first_word: int | None = None

    def __post_init__(self) -> None:
        self.core, self.map = NetworkCore(self.chip, trace=True), register_map(self.chip)
        self.rng, self.watch = np.random.default_rng(self.seed), Held("o")

    def run(self, scenario) -> None:
        """Simulate until the scenario ends; monitors run beside it."""
        simulator = Simulator(self.core)
        simulator.add_clock(1e-6)
        simulator.add_testbench(scenario)
        simulator.add_testbench(self._monitor, background=True)
        simulator.run()

    async def _monitor(self, ctx) -> None:
        core = self.core
        names = ("trace_valid", "trace_layer", "trace_neuron", "trace_u", "trace_r")
        engines = range(len(self.chip.engines))
        trace = [getattr(core, name)[engine] for engine in engines for name in names]
        word = (core.o.valid, core.o.payload.data, core.o.payload.last, core.o.payload.start)
        ready = self.rng.random() >= self.stalls
        ctx.set(core.o.ready, ready)
        async for _, _, clear, i_valid, i_ready, *out in ctx.tick().sample(
            core.clear, core.i.valid, core.i.ready, *word, *trace
        ):
            valid, data, last, start, *shown = out
            self.watch.see(valid, ready, data, last, start)
            if clear:
                self.watch.clear()
            if valid and ready:
                self.words.append((data, bool(last), bool(start)))
                self.times.append(self.cycle)
            if i_valid and i_ready and self.first_word is None:
                self.first_word = self.cycle
            for place in range(0, len(shown), len(names)):
                if shown[place]:
                    self.rows.append(tuple(shown[place + 1 : place + len(names)]))
            ready, offered = self.rng.random() >= self.stalls, ctx.get(core.o.valid)
            ctx.set(core.o.ready, ready)
            assert ctx.get(core.o.valid) == offered, "o: valid waits for ready"
            self.cycle += 1
            assert self.cycle < WATCHDOG, "watchdog"

    async def send(self, ctx, frame: Iterable[int], start: bool = False, last: bool = True) -> None:
        """Offer one frame; `last` false leaves it open."""
        stream, words = self.core.i, list(map(int, frame))
        for place, word in enumerate(words):
            while self.rng.random() < self.gaps:
                ctx.set(stream.valid, 0)
                await ctx.tick()
            ctx.set(stream.payload.data, word)
            ctx.set(stream.payload.last, last and place == len(words) - 1)
            ctx.set(stream.payload.start, start if place == 0 else bool(self.rng.integers(2)))
            ctx.set(stream.valid, 1)
            await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)

    async def send_all(self, ctx, frames: np.ndarray, start: np.ndarray | None = None) -> None:
        for place, frame in enumerate(frames):
            await self.send(ctx, frame, start is not None and bool(start[place]))

    async def settle(self, ctx, frames: int) -> None:
        """Wait until so many output frames are complete and the chip is idle."""
        size = self.chip.network.layers[-1].outputs
        while len(self.words) < frames * size or not ctx.get(self.core.idle):
            await ctx.tick()

    async def halt(self, ctx) -> None:
        ctx.set(self.core.halt, 1)
        await ctx.tick().until(self.core.idle)

    async def resume(self, ctx) -> None:
        ctx.set(self.core.halt, 0)
        await ctx.tick()

    async def clear(self, ctx) -> None:
        ctx.set(self.core.clear, 1)
        await ctx.tick()
        ctx.set(self.core.clear, 0)

    async def access(self, ctx, address: int, data: int | None = None) -> tuple[int, bool]:
        """Read, or write `data`; return what was read and whether it was refused."""
        bus = self.core.bus
        strobe = bus.read if data is None else bus.write
        ctx.set(bus.addr, address)
        ctx.set(bus.w_data, (data or 0) & 0xFFFF_FFFF)
        ctx.set(strobe, 1)
        word, error = await ctx.tick().sample(bus.r_data, bus.error).until(bus.done)
        ctx.set(strobe, 0)
        return (word ^ 1 << 31) - (1 << 31), bool(error)

    def addresses(self, window: Window) -> list[int]:
        """Addresses of a window's words in the order of the model's arrays."""
        spec = self.chip.network.layers[window.layer]
        bits = lane_bits(window.lanes)
        if window.kind == "weight":
            return [
                window.base
                + (i // window.pe * window.tiles + j // window.simd << bits)
                + i % window.pe * window.simd
                + j % window.simd
                for i in range(spec.outputs)
                for j in range(spec.columns)
            ]
        if window.kind in ("rate", "loop"):
            columns = range(window.first, window.first + spec.outputs)
            return [window.base + (j // window.simd << bits) + j % window.simd for j in columns]
        return list(range(window.base, window.base + window.count))

    async def read(self, ctx, window: Window) -> np.ndarray:
        """All words of a window."""
        words = []
        for address in self.addresses(window):
            word, error = await self.access(ctx, address)
            assert not error
            words.append(word)
        return np.array(words)

    async def write(self, ctx, window: Window, words: np.ndarray) -> None:
        """All words of a window."""
        for address, word in zip(self.addresses(window), words.ravel(), strict=True):
            _, error = await self.access(ctx, address, int(word))
            assert not error

    @property
    def state_windows(self) -> list[Window]:
        """Windows that hold what a step leaves to the next."""
        return [w for w in self.map.windows if w.kind in ("u", "rate", "loop")]

    async def save(self, ctx) -> tuple[list[np.ndarray], list[int]]:
        """All state, read over the bus."""
        words = [await self.read(ctx, window) for window in self.state_windows]
        flags = range(len(self.chip.network.layers) + 1)
        base = self.map.flags_base
        return words, [(await self.access(ctx, base + flag))[0] for flag in flags]

    async def restore(self, ctx, state: tuple[list[np.ndarray], list[int]]) -> None:
        """All state, written over the bus."""
        for window, words in zip(self.state_windows, state[0], strict=True):
            await self.write(ctx, window, words)
        for place, flags in enumerate(state[1]):
            assert flags < 1 << len(LAYER_FLAGS)
            await self.access(ctx, self.map.flags_base + place, flags)

    async def count(self, ctx, name: str) -> int:
        """What a register has counted."""
        counts, layers = self.core.counts, len(self.chip.network.layers)
        ctx.set(counts.select, counter_names(layers, learns=False).index(name))
        await ctx.tick().repeat(3)
        for _ in range(WATCHDOG):
            low, was_low = ctx.get(counts.word), ctx.get(counts.low)
            await ctx.tick()
            if was_low:
                assert ctx.get(counts.high)
                return low | ctx.get(counts.word) << 16
        raise AssertionError(f"{name} was never told")

    async def saturation(self, ctx) -> np.ndarray:
        """Words clamped, shape `(layers, 3)`."""
        layers = range(len(self.chip.network.layers))
        names = [[f"SATURATION[{layer}][{kind}]" for kind in COUNTERS] for layer in layers]
        return np.array([[await self.count(ctx, name) for name in row] for row in names])

    def outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Frames taken so far, and their start flags; every `last` must be where it belongs."""
        size = self.chip.network.layers[-1].outputs
        data, last, start = (
            np.array(kind).reshape(-1, size) for kind in zip(*self.words, strict=True)
        )
        assert not last[:, :-1].any()
        assert last[:, -1].all()
        assert (start == start[:, :1]).all()
        return data, start[:, 0]

    def compare(self, want: Expected) -> None:
        """Outputs, start flags, every `u` and `r` of every step."""
        data, start = self.outputs()
        assert np.array_equal(data, want.outputs)
        assert np.array_equal(start, want.start)
        differing, compared = differing_words(want, np.array(self.rows, TRACE))
        assert differing == 0, f"{differing} of {compared} state words differ"

    def frame_times(self) -> list[int]:
        """Cycle of each output frame's last word after that of the first input word."""
        size = self.chip.network.layers[-1].outputs
        return [time - self.first_word for time in self.times[size - 1 :: size]]
