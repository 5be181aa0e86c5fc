"""A chip as a device: signals and parameters in, signals and parameters out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vle.errors import DeviceError
from vle.host import listening, parameters, running, snapshot, state
from vle.host.board import Board
from vle.host.bundle import Bundle
from vle.host.checks import finite, integer
from vle.host.chip import Chip, Raw
from vle.host.export import export
from vle.host.learner import Learner
from vle.host.parameters import Parameters
from vle.host.snapshot import Snapshot
from vle.host.state import State
from vle.host.transport import Transport

if TYPE_CHECKING:
    from vle.host.streaming import Frames

IDENTITY, VERSION = 0x564C4531, 1


class Device(Learner):
    """A chip that runs a bundle, and learns where that says so.

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
        super().__init__(Chip(bundle, transport))
        self.bundle, self.transport = bundle, transport
        for name, wanted in (("ID", IDENTITY), ("VERSION", VERSION), ("HASH", bundle.map.hash)):
            got = self.chip.read(name)
            if got != wanted:
                rule = f"must be 0x{wanted:08x} for this bundle, not 0x{got:08x}"
                if name == "HASH":
                    rule += ": the device runs another design, program it or open it as what it is"
                raise DeviceError(rule, register=name, address=bundle.map.address[name])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the chip."""
        self.transport.close()

    def reset(self) -> None:
        """Put all state to 0; parameters, what was learned, and counters stay."""
        running.reset(self.chip)

    def run(
        self,
        x: ArrayLike,
        *,
        aligned: bool | None = None,
        reset: bool = True,
        progress: running.Progress | None = None,
    ) -> NDArray[np.float64]:
        """Run a signal in real units, without learning from it.

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
        progress
            Told now and then how many steps were done since the last time.

        Returns
        -------
        ``(T, outputs)`` or ``(T, batch, outputs)``.

        Raises
        ------
        ValueError
            For a signal of the wrong shape, with numbers that are not finite, or a batch that is
            not to begin at reset.
        DeviceError
            Where the sensor is the source of the frames: `board.listen_to_host` makes the host it.
        TransportError
            Where the chip does not answer in time.
        """
        raw, clamped = self.bundle.layers[0].x.quantize(finite("x", x))
        output = self.run_raw(raw, aligned=aligned, reset=reset, progress=progress)
        self.input_saturation += clamped
        return self.bundle.layers[-1].rate.real(output)

    def run_raw(
        self,
        x: ArrayLike,
        *,
        aligned: bool | None = None,
        reset: bool = True,
        progress: running.Progress | None = None,
    ) -> Raw:
        """Run on raw input words; as `run`, but integers in and out.

        Raises
        ------
        ValueError
            As `run`, and for words that the input's format does not hold.
        """
        words = running.checked(self.bundle, x)
        aligned = self.bundle.aligned if aligned is None else aligned
        self._source.must_be_host()
        return running.run(self.chip, words, aligned=aligned, begin=reset, progress=progress)

    def stream(
        self, x: Frames, *, aligned: bool | None = None, reset: bool = True, ahead: int = 64
    ) -> AsyncGenerator[NDArray[np.float64], None]:
        """Run a signal that comes bit by bit: ``async for y in device.stream(x)``.

        No frame is taken from `x` before the answers to those before are taken, but for some that
        go to the chip together. Whoever leaves the loop, or is cancelled, leaves a device that can
        be used: the steps that have begun are ended first.

        Parameters
        ----------
        x
            An iterable or an asynchronous iterable of frames ``(inputs,)`` in real units. A signal
            that is being measured should be of the second kind: a frame of it that has come does
            not wait for those that have not.
        aligned, reset
            As of `run`. Aligned, the answer to a frame comes when `latency_steps` more have gone
            in, or the signal has ended.
        ahead
            Most frames that go to the chip together.

        Yields
        ------
        For each frame its answer ``(outputs,)``.

        Raises
        ------
        ValueError
            For a frame of the wrong shape, or with numbers that are not finite.
        DeviceError
            Where the sensor is the source of the frames.
        TransportError
            Where the chip does not answer in time.
        """
        from vle.host.streaming import stream  # noqa: PLC0415 - imports asyncio

        most = integer("ahead", ahead, (1, 1 << 20))
        aligned = self.bundle.aligned if aligned is None else aligned
        told = (self._source.must_be_host, self._clamped)
        return stream(self.chip, x, *told, aligned=aligned, reset=reset, ahead=most)

    def listen(self, steps: int, *, timeout: float | None = None) -> NDArray[np.float64]:
        """Return the answers to the next frames of the sensor, see docs/standalone.md.

        They go on from those that the call before has returned, as long as the line is fast enough
        for the steps.

        Parameters
        ----------
        steps
            How many.
        timeout
            Seconds by the clock of the line for all of them; None: until the chip has stood still
            for as long as in `run`.

        Returns
        -------
        ``(steps, outputs)``.

        Raises
        ------
        DeviceError
            Where the host is the source of the frames: `board.sense` makes the sensor it.
        TransportError
            Where they do not come in time. After a `timeout` the device can be used as before, and
            answers that came are those of the next call.
        """
        raw = self.listen_raw(steps, timeout=timeout)
        return self.bundle.layers[-1].rate.real(raw)

    def listen_raw(self, steps: int, *, timeout: float | None = None) -> Raw:
        """As `listen`, but integers."""
        return listening.listen(self.chip, self._source, steps, timeout)

    def listening(
        self, *, timeout: float | None = None
    ) -> AsyncGenerator[NDArray[np.float64], None]:
        """Answers to frames of the sensor without end: ``async for y in device.listening()``.

        Parameters
        ----------
        timeout
            Seconds for each; as of `listen`.

        Yields
        ------
        ``(outputs,)``.

        Raises
        ------
        DeviceError, TransportError
            As `listen`.
        """
        return listening.listening(self.chip, self._source, timeout)

    def _clamped(self, count: int) -> None:
        self.input_saturation += count

    def read_parameters(self) -> list[Parameters]:
        """Read the parameters of all layers from the chip."""
        with self.chip.halted():
            return parameters.read(self.chip)

    def write_parameters(self, words: list[Parameters]) -> None:
        """Write the parameters of all layers; nothing is written where any is refused.

        Raises
        ------
        TypeError
            For anything but a list of `Parameters`.
        ValueError
            For a wrong shape, a word that does not fit, weights whose sum could overflow an
            accumulator, or two tables for layers that share one.
        """
        checked = parameters.checked(self.chip, words)
        with self.chip.halted():
            parameters.write(self.chip, checked)

    def read_state(self) -> State:
        """Read all that changes from step to step, after the steps that have begun."""
        with self.chip.halted():
            return state.read(self.chip)

    def load_state(self, words: State) -> None:
        """Put the chip where another, or an earlier run, was.

        Raises
        ------
        TypeError
            For anything but a `State`.
        ValueError
            For words or flags that are missing or that this chip has not, a wrong shape, or a word
            that does not fit; nothing is written then.
        """
        checked = state.checked(self.chip, words)
        with self.chip.halted():
            state.write(self.chip, checked)

    def snapshot(self) -> Snapshot:
        """Read the whole chip: parameters, state, exponents, draws, rates."""
        with self.chip.halted():
            self._last = snapshot.take(self.chip)
        return self._last

    def restore(self, taken: Snapshot) -> None:
        """Put the chip where it, or another one of the same design, was.

        Raises
        ------
        TypeError
            For anything but a `Snapshot`.
        ValueError
            For one of another design, or words that do not fit; nothing is written then.
        """
        checked = snapshot.checked(self.chip, taken)
        with self.chip.halted():
            snapshot.put(self.chip, checked)

    def roll_back(self) -> None:
        """Restore the last snapshot that was taken here.

        Raises
        ------
        ValueError
            Where there is none.
        """
        if self._last is None:
            raise ValueError("a snapshot must have been taken before the chip can be rolled back")
        self.restore(self._last)

    @property
    def board(self) -> Board:
        """Timer, sensor and flash of the board, see docs/standalone.md."""
        return Board(self.transport)

    def export(self, path: str | Path) -> None:
        """Write the network that the chip now holds as an ONNX model, its formats with it.

        Raises
        ------
        ModuleNotFoundError
            Where the package that writes ONNX is not installed.
        ValueError
            Where no float network has these words, see `vle.host.export.network_of`.
        """
        export(self.bundle, self.read_parameters(), Path(path))
