"""The device's side of docs/link.md in Python, a toy chip behind it, and lines that fail."""

from __future__ import annotations

import numpy as np

from vle.errors import DeviceError
from vle.host.link.frames import Decoder, Frame, Kind, encode
from vle.host.link.line import Timing


class ToyChip:
    """Answers that depend on all steps before: one that is lost or doubled changes the rest.

    Parameters
    ----------
    inputs, outputs
        Words of frames, of 2 bytes each.
    probing
        Whether it sends a probe word with each step.
    """

    def __init__(self, inputs: int = 2, outputs: int = 1, *, probing: bool = False) -> None:
        self.inputs, self.outputs, self.probing = inputs, outputs, probing
        self.words = {4 * k: k for k in range(4096) if k % 32 < 18}  # holes between lanes
        self.accesses, self.steps = [], 0
        self.clear()

    def clear(self) -> None:
        self.state = 1

    def step(self, flags: int, x: np.ndarray, target: np.ndarray | None) -> np.ndarray:
        said = int(target.sum()) if target is not None else 0
        self.state = 1 if flags & 1 else self.state
        self.state = (self.state * 75 + int(x.sum()) * 7 + said * 3 + flags) % 65537
        self.steps += 1
        return (self.state + 1000 * np.arange(self.outputs)).astype(np.int16)

    def access(self, address: int, word: int | None) -> int:
        self.accesses.append((address, word))
        if address not in self.words:
            raise DeviceError("was refused", address=address)
        if word is not None:
            self.words[address] = word
        return self.words[address]


class LinkDevice:
    """A device: what comes in over a line, and what goes out.

    Parameters
    ----------
    chip
        What is behind it.
    payload, slots_in, slots_out
        Its sizes.
    eager
        Whether it works on steps as soon as they come; else only when asked to `work`.
    """

    def __init__(self, chip, *, payload=240, slots_in=8, slots_out=8, eager=True, version=1):
        self.chip, self.eager, self.version = chip, eager, version
        self.payload, self.slots_in, self.slots_out = payload, slots_in, slots_out
        self.reset()

    def reset(self) -> None:
        self.decoder, self.session = Decoder(), 0
        self.forget()

    def forget(self) -> None:
        self.expected = self.base = self.next = 0
        self.request = None  # seq and answer of the last one
        self.inbox, self.kept, self.waiting = [], [], {Kind.OUTPUT: b"", Kind.PROBE: b""}
        self.record, self.flags, self.dropped = b"", 0, -2

    def receive(self, data: bytes) -> bytes:
        """Take bytes, return bytes."""
        said = b"".join(self.take(frame) for frame in self.decoder.feed(data))
        if self.eager:
            self.work(len(self.inbox))
        return said + self.talk()

    def say(self, kind: int, seq: int = 0, payload: bytes = b"", session: int | None = None):
        room = min(15, self.slots_in - len(self.inbox))
        number = self.session if session is None else session
        return encode(Frame(kind, number, seq, self.expected, payload, room))

    def take(self, frame: Frame) -> bytes:
        if frame.kind == Kind.HELLO:
            self.session, cleared = frame.session, bool(frame.payload[1] & 1 or self.record)
            self.forget()
            if cleared:
                self.chip.clear()
            sizes = bytes((self.version, self.payload, self.slots_in, self.slots_out))
            return self.say(Kind.WELCOME, cleared, sizes) if self.session else b""
        if frame.session != self.session or not self.session:
            return self.say(Kind.REFUSED, frame.kind)
        passed = (frame.ack - self.base) % 256
        if passed <= len(self.kept):
            del self.kept[:passed]
            self.base, self.next = frame.ack, max(0, self.next - passed)
        return {
            Kind.REQUEST: self.asked,
            Kind.STEPS: self.steps,
            Kind.ACK: lambda frame: b"",
            Kind.RESEND: self.resend,
        }[frame.kind](frame)

    def resend(self, frame: Frame) -> bytes:
        self.next = 0
        return self.talk() + self.say(Kind.DEVICE_ACK)

    def steps(self, frame: Frame) -> bytes:
        if frame.seq != self.expected:
            if (frame.seq - self.expected) % 256 >= 128:
                return self.say(Kind.DEVICE_ACK)
            known, self.dropped = frame.seq == (self.dropped + 1) % 256, frame.seq
            return b"" if known else self.say(Kind.GAP)
        self.dropped = -2
        assert len(self.inbox) < self.slots_in, "sent beyond the room"
        self.inbox.append(frame.payload)
        self.expected = (self.expected + 1) % 256
        return self.say(Kind.DEVICE_ACK)

    def work(self, frames: int) -> None:
        """Work on the steps of some frames; as a device, not while its answers wait."""
        while frames and self.inbox and len(self.kept) < self.slots_out:
            frames -= 1
            self.steps_of(self.inbox.pop(0))

    def steps_of(self, payload: bytes) -> None:
        flags, data = payload[0], payload[1:]
        while data:
            if not self.record:
                self.flags = flags
            words = self.chip.inputs + self.chip.outputs * bool(self.flags & 2)
            more = 2 * words - len(self.record)
            self.record, data = self.record + data[:more], data[more:]
            if len(self.record) == 2 * words:
                self.step(np.frombuffer(self.record, "<i2").astype(np.int64))
                self.record = b""

    def step(self, words: np.ndarray) -> None:
        told = self.chip.outputs if self.flags & 2 else 0
        got = self.chip.step(self.flags, words[told:], words[:told] if told else None)
        self.send(Kind.OUTPUT, got.astype("<i2").tobytes())
        if self.chip.probing:
            self.send(Kind.PROBE, np.array([self.chip.steps, 0], "<u4").tobytes())

    def send(self, kind: int, data: bytes) -> None:
        self.waiting[kind] += data
        while len(self.waiting[kind]) >= self.payload:
            self.seal(kind)

    def seal(self, kind: int) -> None:
        data = self.waiting[kind]
        self.kept.append((kind, data[: self.payload]))
        self.waiting[kind] = data[self.payload :]

    def talk(self) -> bytes:
        """Frames that may go out now."""
        for kind, data in self.waiting.items():
            if data and len(self.kept) < self.slots_out:
                self.seal(kind)
        said, end = b"", min(len(self.kept), self.slots_out)
        for k in range(self.next, end):
            kind, data = self.kept[k]
            said += self.say(kind, (self.base + k) % 256, data)
        self.next = end
        return said

    def asked(self, frame: Frame) -> bytes:
        last = self.request[0] if self.request else 0
        if frame.seq == (last + 1) % 256:
            self.request = frame.seq, self.answer(frame.payload)
        if self.request is None or frame.seq != self.request[0]:
            return b""
        return self.say(Kind.RESPONSE, frame.seq, self.request[1])

    def answer(self, asked: bytes) -> bytes:
        flags, count = asked[0], asked[1]
        address, words = int.from_bytes(asked[2:6], "little"), np.frombuffer(asked[6:], "<u4")
        made = refused = 0
        read = b""
        for k in range(count):
            made += 1
            try:
                word = self.chip.access(address + 4 * k, int(words[k]) if flags & 1 else None)
            except DeviceError:
                word, refused = 0, refused + 1
            read += b"" if flags & 1 else int(word).to_bytes(4, "little")
            if refused and not flags & 2:
                break
        return bytes((flags, made, refused)) + read


class Noise:
    """Bytes flipped, dropped, doubled and inserted, each with a chance.

    Parameters
    ----------
    chance
        Of each of the four, for each byte.
    seed
        Of the draws.
    """

    def __init__(self, chance: float, seed: int = 1) -> None:
        self.chance, self.random = chance, np.random.default_rng(seed)
        self.events = 0

    def __call__(self, data: bytes) -> bytes:
        draws = self.random.random(len(data)) if self.chance else np.ones(len(data))
        found, at = [], 0
        for k in np.flatnonzero(draws < 4 * self.chance).tolist():
            kind, byte = int(draws[k] / self.chance), data[k : k + 1]
            other = bytes((int(self.random.integers(256)),))
            flipped = bytes((byte[0] ^ 1 << int(self.random.integers(8)),))
            found += [data[at:k], (flipped, b"", byte + byte, other + byte)[kind]]
            at, self.events = k + 1, self.events + 1
        return b"".join([*found, data[at:]])


class NoisyLine:
    """A line with noise on it, both ways.

    Parameters
    ----------
    line
        The line.
    chance, seed
        As of `Noise`.
    """

    def __init__(self, line, chance: float, seed: int = 1) -> None:
        self.line, self.name, self.timing, self.now = line, line.name, line.timing, line.now
        self.out, self.back = Noise(chance, seed), Noise(chance, seed + 1)
        self.bytes = [0, 0]

    def write(self, data: bytes) -> None:
        self.bytes[0] += len(data)
        self.line.write(self.out(data))

    def read(self, seconds: float) -> bytes:
        got = self.line.read(seconds)
        self.bytes[1] += len(got)
        return self.back(got)

    def close(self) -> None:
        self.line.close()


class ModelLine:
    """A line to a device in this process, with a clock that moves only where something waits.

    Parameters
    ----------
    device
        The device.
    seconds
        That a byte takes.
    """

    name, timing = "model", Timing(0.05, 2.0, 4.0)

    def __init__(self, device: LinkDevice, seconds: float = 1e-6) -> None:
        self.device, self.seconds = device, seconds
        self.time, self.coming, self.closed = 0.0, b"", False

    def now(self) -> float:
        return self.time

    def write(self, data: bytes) -> None:
        self.time += self.seconds * len(data)
        self.coming += self.device.receive(data)

    def read(self, seconds: float) -> bytes:
        if not self.coming:
            self.device.work(1)
            self.coming += self.device.talk()
        got, self.coming = self.coming, b""
        self.time += self.seconds * len(got) if got else seconds
        return got

    def close(self) -> None:
        self.closed = True
