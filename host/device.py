"""A chip as a device: signals and parameters in, signals and parameters out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import DeviceError
from vle.host.bundle import Bundle
from vle.host.export import network_of
from vle.host.transport import Transport

Raw = NDArray[np.int64]
IDENTITY, VERSION = 0x564C4531, 1
HALT, CLEAR, CLEAR_COUNTERS = 1, 2, 4
COUNTERS = ("current", "prosp", "rate")
SECONDS = 10.0  # for the chip to finish the steps that it has begun


@dataclass(frozen=True)
class Parameters:
    """Raw words of one layer.

    Parameters
    ----------
    weight
        Shape `(outputs, columns)`, the columns of its own rates last.
    scale, bias, alpha, rho
        Shape `(outputs,)`.
    """

    weight: Raw
    scale: Raw
    bias: Raw
    alpha: Raw
    rho: Raw


@dataclass(frozen=True)
class State:
    """All that a chip remembers between two steps.

    Parameters
    ----------
    words
        By kind (``u``, ``rate``, ``loop``) and layer: potentials, and the rates that the layer
        above and the layer itself will hear.
    flags
        Words of the registers of flags, by name.
    """

    words: dict[tuple[str, int], Raw]
    flags: dict[str, int]


class Device:
    """A chip that runs a bundle.

    Use it as a context manager, or call `close`.

    Parameters
    ----------
    bundle
        What the chip was made from.
    transport
        The way to it.

    Raises
    ------
    DeviceError
        Where the chip is not one of ours, or was made from another bundle.
    """

    def __init__(self, bundle: Bundle, transport: Transport) -> None:
        self.bundle, self.transport = bundle, transport
        self.input_saturation = 0
        for name, wanted in (("ID", IDENTITY), ("VERSION", VERSION), ("HASH", bundle.map.hash)):
            got = self._read(name)
            if got != wanted:
                rule = f"must be 0x{wanted:08x} for this bundle, not 0x{got:08x}"
                raise DeviceError(rule, register=name, address=bundle.map.address[name])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the chip."""
        self.transport.close()

    def reset(self) -> None:
        """Put all state to 0; parameters and counters stay."""
        self._write("CTRL", CLEAR)
        self._until_idle()

    def run(
        self, x: ArrayLike, *, aligned: bool | None = None, reset: bool = True
    ) -> NDArray[np.float64]:
        """Run a signal in real units.

        Parameters
        ----------
        x
            ``(T, inputs)`` or ``(T, batch, inputs)``; a batch runs one sequence after the other,
            each from reset. Values beyond the input's format are clamped, and counted in
            `input_saturation`.
        aligned
            Begin a sequence, flush it through all layers, and return each frame's own answer; None:
            as the network says.
        reset
            Put all state to 0 before; False continues where the last run stopped.

        Returns
        -------
        ``(T, outputs)`` or ``(T, batch, outputs)``.

        Raises
        ------
        ValueError
            For a signal of the wrong shape, with numbers that are not finite, or a batch that is
            not to begin at reset.
        TransportError
            Where the chip does not answer in time.
        """
        frames = np.asarray(x, dtype=np.float64)
        if not np.isfinite(frames).all():
            raise ValueError("x must be finite, not NaN or infinite")
        raw, clamped = self.bundle.layers[0].x.quantize(frames)
        output = self.run_raw(raw, aligned=aligned, reset=reset)
        self.input_saturation += clamped
        return self.bundle.layers[-1].rate.real(output)

    def run_raw(self, x: ArrayLike, *, aligned: bool | None = None, reset: bool = True) -> Raw:
        """Run on raw input words; as `run`, but integers in and out."""
        words, inputs = np.asarray(x), self.bundle.inputs
        if words.ndim not in (2, 3) or words.shape[-1] != inputs:
            raise ValueError(
                f"x must be of shape (T, {inputs}) or (T, batch, {inputs}), not {words.shape}"
            )
        if words.ndim == 2:
            return self._sequence(words, aligned, reset)
        if not reset:
            raise ValueError("x must be one sequence (T, inputs) where it continues another")
        sequences = [self._sequence(words[:, k], aligned, reset) for k in range(words.shape[1])]
        return np.stack(sequences, axis=1)

    def _sequence(self, frames: NDArray[np.int64], aligned: bool | None, reset: bool) -> Raw:
        aligned = self.bundle.aligned if aligned is None else aligned
        late = self.bundle.latency_steps if aligned else 0
        sent = np.concatenate([frames, np.zeros((late, frames.shape[1]), frames.dtype)])
        if reset:
            self.reset()
        start = (np.arange(len(sent)) == 0) & aligned
        got = self.transport.exchange(sent.astype(np.int32), start, self.bundle.outputs)
        return got[late:].astype(np.int64)

    def read_parameters(self) -> list[Parameters]:
        """Read the parameters of all layers from the chip."""
        with self._halted():
            return [
                Parameters(*(self._get(field.name, layer) for field in fields(Parameters)))
                for layer in range(len(self.bundle.layers))
            ]

    def write_parameters(self, parameters: list[Parameters]) -> None:
        """Write the parameters of all layers; nothing is written where any is refused.

        Raises
        ------
        ValueError
            For a wrong shape, a word that does not fit, or weights whose sum could overflow an
            accumulator.
        """
        if len(parameters) != len(self.bundle.layers):
            raise ValueError(f"parameters must be of {len(self.bundle.layers)} layers")
        for index, words in enumerate(parameters):
            for field in fields(Parameters):
                self._check(field.name, index, getattr(words, field.name))
            self.bundle.layers[index].check_accumulator(words.weight)
        with self._halted():
            for index, words in enumerate(parameters):
                for field in fields(Parameters):
                    self._put(field.name, index, getattr(words, field.name))

    def read_state(self) -> State:
        """Read potentials, rates and flags after the steps that have begun."""
        kinds = ("u", "rate", "loop")
        with self._halted():
            words = {key: self._get(*key) for key in self.bundle.map.windows if key[0] in kinds}
            return State(words, {name: self._read(name) for name in self._flags})

    def load_state(self, state: State) -> None:
        """Put the chip where another, or an earlier run, was.

        Raises
        ------
        ValueError
            For a wrong shape, or a word that does not fit.
        """
        for key, words in state.words.items():
            self._check(*key, words)
        with self._halted():
            for key, words in state.words.items():
                self._put(*key, words)
            for name, flags in state.flags.items():
                self._write(name, flags)

    def saturation(self) -> NDArray[np.int64]:
        """Words clamped since the counters were cleared, `(layers, 3)`: current, prosp, rate."""
        names = [
            [f"SATURATION[{layer}][{kind}]" for kind in COUNTERS]
            for layer in range(len(self.bundle.layers))
        ]
        addresses = [[self.bundle.map.address[name] for name in row] for row in names]
        return self.transport.read(addresses).reshape(-1, len(COUNTERS)).astype(np.int64)

    @property
    def steps(self) -> int:
        """Input frames accepted since the counters were cleared."""
        return self._read("STEPS")

    @property
    def frame_errors(self) -> int:
        """Input frames of a wrong length, dropped, since the counters were cleared."""
        return self._read("FRAME_ERRORS")

    def clear_counters(self) -> None:
        """Put all counters to 0."""
        self._write("CTRL", CLEAR_COUNTERS)
        self.input_saturation = 0

    def export(self, path: str | Path) -> None:
        """Write the network that the chip now holds as an ONNX model.

        Raises
        ------
        ModuleNotFoundError
            Where the package that writes ONNX is not installed.
        """
        network_of(self.bundle, self.read_parameters()).save(path)

    @property
    def _flags(self) -> list[str]:
        return [name for name in self.bundle.map.address if "FLAGS" in name]

    def _read(self, name: str) -> int:
        return int(self.transport.read([self.bundle.map.address[name]])[0])

    def _write(self, name: str, word: int) -> None:
        self.transport.write([self.bundle.map.address[name]], [word])

    def _addresses(self, kind: str, layer: int) -> Raw:
        window = self.bundle.map.windows[kind, layer]
        shape = self.bundle.layers[layer].shape(kind)
        return window.matrix(*shape) if len(shape) == 2 else window.vector(*shape)

    def _get(self, kind: str, layer: int) -> Raw:
        addresses = self._addresses(kind, layer)
        words = self.transport.read(addresses).reshape(addresses.shape)
        return self.bundle.map.windows[kind, layer].decode(words)

    def _check(self, kind: str, layer: int, words: ArrayLike) -> Raw:
        window, shape = self.bundle.map.windows[kind, layer], self.bundle.layers[layer].shape(kind)
        if np.shape(words) != shape:
            raise ValueError(f"{window.name} must be of shape {shape}, not {np.shape(words)}")
        return window.check(words)

    def _put(self, kind: str, layer: int, words: ArrayLike) -> None:
        self.transport.write(self._addresses(kind, layer), self._check(kind, layer, words).ravel())

    @contextmanager
    def _halted(self) -> Iterator[None]:
        """Stop taking frames, wait for the steps that have begun, and go on afterwards."""
        self._write("CTRL", HALT)
        try:
            self._until_idle()
            yield
        finally:
            self._write("CTRL", 0)

    def _until_idle(self) -> None:
        deadline = time.monotonic() + SECONDS
        while not self._read("STATUS") & 1:
            if time.monotonic() > deadline:
                address = self.bundle.map.address["STATUS"]
                text = f"the chip is not idle within {SECONDS} s"
                raise DeviceError(text, register="STATUS", address=address)
