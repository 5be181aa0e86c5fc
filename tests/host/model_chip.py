"""The integer model behind registers, windows and streams: a chip without a circuit."""

from __future__ import annotations

import numpy as np

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import IDENTITY, VERSION, register_map
from vle.compiler.learning.chip_words import registers_of, state_of, words_of
from vle.compiler.learning.network import Target
from vle.errors import DeviceError
from vle.host.registers import BYTES, RegisterMap
from vle.host.transport import PROBED, Lesson

PROBES = {1: "u", 2: "r", 3: "v", 4: "e", 5: "exponent", 6: "weight"}


class ModelChip:
    """A transport to the integer model.

    Parameters
    ----------
    chip
        What it is a chip of.
    """

    def __init__(self, chip: ChipSpec) -> None:
        self.net, self.map = chip.learning, RegisterMap.of_json(register_map(chip).json)
        self.state = self.net.reset()
        self.names = {address: name for name, address in self.map.address.items()}
        self.memory = {}  # byte address: (kind, layer), place
        for key, window in self.map.windows.items():
            for place, address in enumerate(self._addresses(chip, key, window).flat):
                self.memory[int(address)] = key, place
        self.own = dict.fromkeys(self.map.address, 0)
        self.own |= {"ID": IDENTITY, "VERSION": VERSION, "HASH": self.map.hash, "STATUS": 1}
        self.seen = []
        self.tables = {}
        for index, layer in enumerate(chip.network.layers):
            for kind in ("table_value", "table_delta"):
                if (kind, index) in self.map.windows:
                    words = getattr(layer.activation, kind.removeprefix("table_"))
                    self.tables[kind, index] = np.array(words)
        self.accesses = 0

    @staticmethod
    def _addresses(chip, key, window):
        kind, layer = key
        spec = chip.network.layers[layer]
        if kind == "weight":
            return window.matrix(*spec.weight.shape)
        if kind.startswith("trace"):
            return window.matrix(chip.learning.learning[layer].groups, spec.columns)
        sizes = {"down": spec.inputs, "table_value": window.count, "table_delta": window.count}
        return window.vector(sizes.get(kind, spec.outputs))

    def close(self) -> None:
        """Nothing to let go of."""

    def read(self, addresses) -> np.ndarray:
        self.accesses += 1
        words = self._words()
        registers = self.own | registers_of(self.state)
        found = []
        for address in np.ravel(addresses).tolist():
            if address in self.memory:
                self._must_be_halted(address)
                key, place = self.memory[address]
                found.append(int(words[key].ravel()[place]))
            elif address in self.names:
                found.append(registers[self.names[address]])
            else:
                raise DeviceError("was refused", address=address)
        return (np.array(found, dtype=np.int64) & 0xFFFFFFFF).astype(np.uint32)

    def write(self, addresses, data) -> None:
        self.accesses += 1
        words = self._words()
        words = {key: raw.copy() for key, raw in words.items()}
        registers = registers_of(self.state)
        where = np.ravel(addresses)
        for address, word in zip(where.tolist(), np.broadcast_to(data, where.shape), strict=True):
            if address in self.memory:
                self._must_be_halted(address)
                key, place = self.memory[address]
                words[key].ravel()[place] = int(word)
            elif self.names[address] in registers:
                registers[self.names[address]] = int(word)
            else:
                self._write_own(self.names[address], int(word))
                if self.names[address] == "CTRL" and int(word) & 2:
                    return
        self.tables = {key: words[key] for key in self.tables}
        for (kind, layer), raw in words.items():
            flags = registers[f"LAYER_FLAGS[{layer}]"]
            if flags & 1 << 1 and kind == "u":
                raw[:] = 0
        self.state = state_of(self.net, words, registers)

    def _words(self) -> dict:
        return self.tables | words_of(self.net, self.state)

    def _write_own(self, name: str, word: int) -> None:
        self.own[name] = word
        if name == "CTRL":
            self.own[name] = word & 1
            if word & 2:
                self.state = self.net.clear(self.state)
            if word & 4:
                counters = ("STEPS", "FRAME", "SATURATION", "CLAMPED", "PROBE_LOST", "TARGET")
                for counter in self.own:
                    self.own[counter] *= not counter.startswith(counters)
        if name.startswith("PROBE["):
            self.steps = {**getattr(self, "steps", {}), name: 0}

    def _must_be_halted(self, address: int) -> None:
        if not self.own["CTRL"] & 1:
            raise DeviceError("was refused", address=address)

    def learn(self, lesson: Lesson, words: int) -> np.ndarray:
        """As a chip: targets come one after the other, for the frames that say so."""
        self.accesses += 1
        output, told = np.empty((len(lesson.frames), words), np.int32), 0
        for t, frame in enumerate(lesson.frames.astype(np.int64)):
            target = None
            if lesson.has_target[t]:
                is_error = bool(lesson.is_error[told])
                target = Target(lesson.targets[told].astype(np.int64), is_error)
                told += 1
            options = {"start": bool(lesson.start[t]), "learn": not lesson.freeze[t]}
            self.state, results = self.net.step(self.state, frame, target, **options)
            output[t] = results[-1].r
            self._count(results)
            self._probe(results)
        assert told == len(lesson.targets)
        return output

    def _count(self, results) -> None:
        self.own["STEPS"] += 1
        for layer, got in enumerate(results):
            for name, counts in (("SATURATION", got.saturation), ("CLAMPED", got.clamped)):
                for kind, count in counts._asdict().items():
                    self.own[f"{name}[{layer}][{kind}]"] += int(count)

    def _probe(self, results) -> None:
        for name in (name for name in self.own if name.startswith("PROBE[")):
            selector = self.own[name]
            kind = PROBES.get(selector >> 28)
            if kind is None:
                continue
            layer, neuron, exponent = selector >> 20 & 0xFF, selector & 0xFFFFF, 0
            if kind == "weight":
                (_, layer), place = self.memory[(selector & 0xFFFFFFF) * BYTES]
                word = results[layer].state.weight.ravel()[place]
            elif kind == "exponent":
                word = results[layer].exponent
            elif kind in "ur":
                word = getattr(results[layer], kind)[neuron]
            else:
                word = getattr(results[layer].errors, kind)[neuron]
                exponent = results[layer].exponent
            user = int(name[6:-1]) | (exponent & 0xFF) << 8 | (self.steps[name] & 0xFFFF) << 16
            self.seen.append((int(word), user))
            self.steps[name] += 1

    def take_probes(self) -> np.ndarray:
        rows, self.seen = np.array(self.seen, dtype=PROBED), []
        return rows
