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
from vle.host.registers import integers
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
    table_value, table_delta
        Entries of the activation's table, and from each to the next; None where the layer has none,
        or to leave the table as it is.
    """

    weight: Raw
    scale: Raw
    bias: Raw
    alpha: Raw
    rho: Raw
    table_value: Raw | None = None
    table_delta: Raw | None = None


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
        """Run on raw input words; as `run`, but integers in and out.

        Raises
        ------
        ValueError
            As `run`, and for words that the input's format does not hold.
        """
        words, inputs = np.asarray(x), self.bundle.inputs
        if words.ndim not in (2, 3) or words.shape[-1] != inputs:
            raise ValueError(
                f"x must be of shape (T, {inputs}) or (T, batch, {inputs}), not {words.shape}"
            )
        words = integers("x", words, self.bundle.layers[0].x.limits)
        if words.ndim == 2:
            return self._sequence(words, aligned, reset)
        if not reset:
            raise ValueError("x must be one sequence (T, inputs) where it continues another")
        output = np.empty((*words.shape[:2], self.bundle.outputs), np.int64)
        for k in range(words.shape[1]):
            output[:, k] = self._sequence(words[:, k], aligned, reset)
        return output

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
                Parameters(**{kind: self._get(kind, layer) for kind in self._kinds(layer)})
                for layer in range(len(self.bundle.layers))
            ]

    def write_parameters(self, parameters: list[Parameters]) -> None:
        """Write the parameters of all layers; nothing is written where any is refused.

        Raises
        ------
        ValueError
            For a wrong shape, a word that does not fit, weights whose sum could overflow an
            accumulator, or two tables for layers that share one.
        """
        if len(parameters) != len(self.bundle.layers):
            raise ValueError(f"parameters must be of {len(self.bundle.layers)} layers")
        checked = [self._checked(index, words) for index, words in enumerate(parameters)]
        self._check_shared(checked)
        with self._halted():
            for index, words in enumerate(checked):
                for kind, raw in words.items():
                    self._put(kind, index, raw)

    def read_state(self) -> State:
        """Read potentials, rates and flags after the steps that have begun."""
        with self._halted():
            words = {key: self._get(*key) for key in self._state}
            flags = {name: self._read(name) for name in self._flags}
        for (kind, layer), raw in words.items():
            register = f"LAYER_FLAGS[{layer}]"
            if flags[register] >> self.bundle.map.bits[register].index(f"zero_{kind}") & 1:
                raw[:] = 0  # what counts as 0 is not cleared
        return State(words, flags)

    def load_state(self, state: State) -> None:
        """Put the chip where another, or an earlier run, was.

        Raises
        ------
        ValueError
            For words or flags that are missing or that this chip has not, a wrong shape, or a word
            that does not fit; nothing is written then.
        """
        for what, got, own in (
            ("words", set(state.words), set(self._state)),
            ("flags", set(state.flags), set(self._flags)),
        ):
            if got != own:
                wrong = ", ".join(map(str, sorted(got ^ own, key=str)))
                raise ValueError(f"state.{what} must be those of this chip; they differ in {wrong}")
        words = {key: self._check(*key, raw) for key, raw in state.words.items()}
        for name, flags in state.flags.items():
            integers(f"state.flags: {name}", flags, (0, (1 << len(self.bundle.map.bits[name])) - 1))
        with self._halted():
            for key, raw in words.items():
                self._put(*key, raw)
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
        ValueError
            Where no float network has these words, see `vle.host.export.network_of`.
        """
        network_of(self.bundle, self.read_parameters()).save(path)

    @property
    def _flags(self) -> list[str]:
        return [name for name in self.bundle.map.address if "FLAGS" in name]

    @property
    def _state(self) -> list[tuple[str, int]]:
        return [key for key in self.bundle.map.windows if key[0] in ("u", "rate", "loop")]

    def _kinds(self, layer: int) -> list[str]:
        """Parameters that a layer has."""
        kinds = [field.name for field in fields(Parameters)]
        return [kind for kind in kinds if (kind, layer) in self.bundle.map.windows]

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
        return window.check(words, shape)

    def _checked(self, index: int, parameters: Parameters) -> dict[str, Raw]:
        """Words of a layer that are to be written, by kind."""
        layer = self.bundle.layers[index]
        given = {kind: raw for kind, raw in vars(parameters).items() if raw is not None}
        tables = {kind for kind in given if kind.startswith("table")}
        if len(tables) == 1 or tables - set(self._kinds(index)):
            rule = "both or neither" if layer.entries else "None where a layer has no table"
            raise ValueError(f"{layer.name}: table_value and table_delta must be {rule}")
        words = {kind: self._check(kind, index, raw) for kind, raw in given.items()}
        layer.check_accumulator(words["weight"])
        if tables:
            layer.check_table(words["table_value"], words["table_delta"])
        return words

    def _check_shared(self, parameters: list[dict[str, Raw]]) -> None:
        """Layers of an engine whose tables are equal have only one."""
        first: dict[int, int] = {}
        for (kind, layer), window in self.bundle.map.windows.items():
            if not kind.startswith("table"):
                continue
            other = first.setdefault(window.base, layer)
            if not np.array_equal(parameters[other].get(kind, []), parameters[layer].get(kind, [])):
                names = " and ".join(self.bundle.layers[k].name for k in (other, layer))
                raise ValueError(f"{kind} must be the same for {names}, which share a table")

    def _put(self, kind: str, layer: int, words: Raw) -> None:
        self.transport.write(self._addresses(kind, layer), words.ravel())

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
