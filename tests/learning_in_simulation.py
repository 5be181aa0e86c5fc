"""A chip that learns in Verilator, beside its integer model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import Window, lane_bits, register_map
from vle.compiler.learning.network import LearningNetwork, LearnState, Target
from vle.compiler.learning.noise import WORD
from vle.host.beats import ERROR, FREEZE, TARGET, Beats
from vle.host.verilated import VerilatedChip
from vle.hw import verilog

HALT, CLEAR, CLEAR_COUNTERS = 1, 2, 4
LANED = ("rate", "loop", "down", "loop_error")


@dataclass(frozen=True)
class Course:
    """What a network hears, step by step.

    Parameters
    ----------
    frames, targets
        Raw words, shapes `(steps, inputs)` and `(steps, outputs)`.
    has_target, is_error, freeze, start
        Of each step.
    """

    frames: np.ndarray
    targets: np.ndarray
    has_target: np.ndarray
    is_error: np.ndarray
    freeze: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def plain(cls, frames: np.ndarray, targets: np.ndarray) -> Course:
        """Learn in every step of one sequence."""
        off = np.zeros(len(frames), bool)
        return cls(frames, targets, ~off, off, off, off)

    @classmethod
    def random(cls, rng: np.random.Generator, frames: np.ndarray, targets: np.ndarray) -> Course:
        """Draw what each step is."""
        draw = rng.random((4, len(frames)))
        return cls(frames, targets, draw[0] < 0.7, draw[1] < 0.3, draw[2] < 0.2, draw[3] < 0.1)


@dataclass(frozen=True)
class Wanted:
    """Every word of every step: per layer, shape `(steps, neurons)`; `exponent` `(steps,)`."""

    u: list[np.ndarray]
    r: list[np.ndarray]
    e: list[np.ndarray]
    v: list[np.ndarray]
    exponent: list[np.ndarray]
    held: list[np.ndarray]
    clamped: np.ndarray
    state: LearnState


def wanted(net: LearningNetwork, state: LearnState, course: Course) -> Wanted:
    """Run the integer model."""
    steps, held = [], []
    for t in range(len(course)):
        told = Target(course.targets[t], bool(course.is_error[t])) if course.has_target[t] else None
        state, got = net.step(
            state,
            course.frames[t],
            told,
            start=bool(course.start[t]),
            learn=not course.freeze[t],
        )
        steps.append(got)
        held.append([layer.waiting for layer in state.run.layers])
    layers = range(len(net.learning))
    return Wanted(
        u=[np.array([got[k].u for got in steps]) for k in layers],
        r=[np.array([got[k].r for got in steps]) for k in layers],
        e=[np.array([got[k].errors.e for got in steps]) for k in layers],
        v=[np.array([got[k].errors.v for got in steps]) for k in layers],
        exponent=[np.array([got[k].exponent for got in steps]) for k in layers],
        held=[np.array([row[k] for row in held]) for k in layers],
        clamped=np.sum([[got[k].clamped for k in layers] for got in steps], axis=0),
        state=state,
    )


class LearningChip:
    """Runs courses and compares every word with the model's, from where both are.

    Parameters
    ----------
    chip
        What to build.
    seed
        Of the pauses on its streams.
    text
        Another circuit of the chip than `vle.hw.verilog` generates, with trace ports.
    """

    def __init__(
        self, chip: ChipSpec, *, seed: int = 1, optimise: str = "-O1", text: str | None = None
    ) -> None:
        self.chip, self.net, self.map = chip, chip.learning, register_map(chip)
        text = verilog.generate(chip, trace=True) if text is None else text
        self.transport = VerilatedChip(text, seed=seed, optimise=optimise)
        self.state, self.last_sent = self.net.reset(), Beats.empty(0)

    def close(self) -> None:
        self.transport.close()

    def read(self, name: str) -> int:
        return int(self.transport.read([4 * self.map.register(name).address])[0])

    def write(self, name: str, word: int) -> None:
        self.transport.write([4 * self.map.register(name).address], [word])

    def run(self, course: Course, *, gaps: float = 0.0, stalls: float = 0.0) -> Beats:
        """Run a course; compare every word of every step, and what is kept at its end."""
        want = wanted(self.net, self.state, course)
        self.write("CTRL", CLEAR_COUNTERS)
        self.transport.take_trace(), self.transport.take_errors()
        user = TARGET * course.has_target | FREEZE * course.freeze
        told = course.has_target
        self.last_sent = Beats.of_frames(course.frames, course.start, user)
        taken = self.transport.stream(
            self.last_sent,
            want.u[-1].size,
            targets=Beats.of_frames(course.targets[told], user=ERROR * course.is_error[told]),
            gaps=gaps,
            stalls=stalls,
        )
        got, _ = taken.frames(self.chip.network.layers[-1].outputs)
        self._halt()
        self._compare_steps(want, self.transport.take_trace(), self.transport.take_errors())
        assert np.array_equal(got, want.r[-1])
        self.state = want.state
        self.compare_state()
        names = ("error", "signal", "weight", "bias", "trace")
        layers = range(len(self.net.learning))
        clamped = [[self.read(f"CLAMPED[{k}][{name}]") for name in names] for k in layers]
        assert clamped == want.clamped.tolist()
        self.write("CTRL", 0)
        return taken

    def _halt(self) -> None:
        self.write("CTRL", HALT)
        for _ in range(100_000):
            if self.read("STATUS") & 1:
                return
        raise AssertionError("the chip is not idle")

    def _compare_steps(self, want: Wanted, trace: np.ndarray, errors: np.ndarray) -> None:
        for k in range(len(self.net.learning)):
            steps = ~want.held[k]
            self._compare(k, trace, {"u": want.u[k][steps], "r": want.r[k][steps]})
            exponent = np.broadcast_to(want.exponent[k][:, None], want.e[k].shape)
            self._compare(k, errors, {"e": want.e[k], "v": want.v[k], "exponent": exponent})

    @staticmethod
    def _compare(layer: int, rows: np.ndarray, want: dict[str, np.ndarray]) -> None:
        rows = rows[rows["layer"] == layer]
        for name, words in want.items():
            assert rows.size == words.size, f"layer {layer} {name}: {rows.size} not {words.size}"
            got = rows.reshape(words.shape)[name]
            assert np.array_equal(got, words), (
                f"layer {layer} {name}: step, neuron {np.argwhere(got != words)[:3].tolist()}"
            )

    def compare_state(self) -> None:
        """Compare all words that the chip, halted, holds with the model's state."""
        for (kind, layer), words in self.words().items():
            got = self.read_window(self.map.window(kind, layer))
            assert np.array_equal(got, words.ravel()), f"layer {layer}: {kind}"
        for name, word in self.registers().items():
            assert self.read(name) == word, name

    def registers(self) -> dict[str, int]:
        """Registers of the state."""
        found = {}
        for k, state in enumerate(self.state.learning):
            parts = (
                state.scale.exponent & 255,
                state.scale.quiet << 8,
                (state.exponent & 255) << 16,
            )
            found[f"EXPONENT[{k}]"] = sum(parts)
            found[f"NOISE[{k}]"] = state.noise & WORD
        return found

    def words(self) -> dict[tuple[str, int], np.ndarray]:
        """Words of the state by kind and layer."""
        found = {}
        for k, (run, state) in enumerate(
            zip(self.state.run.layers, self.state.learning, strict=True)
        ):
            found |= {
                ("weight", k): state.weight,
                ("bias", k): state.bias,
                ("u", k): run.u[0],
                ("v", k): state.v,
                ("prime", k): state.prime,
            }
            if state.logs is not None:
                found |= {("log_m", k): state.logs.log_m, ("log_r", k): state.logs.log_r}
            if state.sensitivity is not None:
                names = ("sense_low", "sense_m", "sense_r")
                pairs = zip(names, state.sensitivity, strict=True)
                found |= {(name, k): words for name, words in pairs}
            if state.trace is not None:
                found |= {("trace_low", k): state.trace.low, ("trace_bar", k): state.trace.bar}
            if k:
                found["down", k] = state.down
            if state.loop.size:
                found["loop_error", k] = state.loop
        for k, layer in enumerate(self.net.network.layers):
            r = self.state.run.layers[k].r[0]
            found |= {("rate", k): r} | ({("loop", k): r} if layer.recurrent else {})
        return found

    def clear(self) -> None:
        """Reset all but what was learned."""
        self.write("CTRL", CLEAR)
        self.state = self.net.clear(self.state)

    def copy_to(self, other: LearningChip) -> None:
        """Read all that this chip holds, and write it into another of the same kind."""
        self._halt()
        other._halt()
        for kind, layer in self.words():
            window = self.map.window(kind, layer)
            other.write_window(window, self.read_window(window))
        flags = ["FLAGS"] + [f"LAYER_FLAGS[{k}]" for k in range(len(self.net.learning))]
        for name in (*flags, *self.registers()):
            other.write(name, self.read(name))
        for chip in (self, other):
            chip.write("CTRL", 0)
        other.state = self.state

    def _groups(self, layer: int) -> int:
        return self.net.learning[layer].groups

    def addresses(self, window: Window) -> np.ndarray:
        """Word addresses of a window in the order of the model's arrays."""
        spec = self.chip.network.layers[window.layer]
        bits = lane_bits(window.lanes)
        if window.kind in ("weight", "trace_low", "trace_bar"):
            rows = spec.outputs if window.kind == "weight" else self._groups(window.layer)
            i, j = np.mgrid[:rows, : spec.columns]
            word = i // window.pe * window.tiles + j // window.simd
            lane = i % window.pe * window.simd + j % window.simd
            return (window.base + (word << bits) + lane).ravel()
        if window.kind in LANED:
            count = spec.inputs if window.kind == "down" else spec.outputs
            j = window.first + np.arange(count)
            return window.base + (j // window.simd << bits) + j % window.simd
        return window.base + np.arange(window.count)

    def read_window(self, window: Window) -> np.ndarray:
        words = self.transport.read(4 * self.addresses(window)).astype(np.int64)
        return (words ^ 1 << 31) - (1 << 31) if window.signed else words

    def write_window(self, window: Window, words: np.ndarray) -> None:
        self.transport.write(4 * self.addresses(window), np.asarray(words).ravel() & WORD)
