"""A chip in Verilator with its trace ports, beside its integer model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from expected import Expected, differing_words, expected, parameters_of

from vle.compiler.bundle import manifest
from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import register_map
from vle.compiler.network import NetworkSpec
from vle.host.beats import Beats
from vle.host.bundle import Bundle
from vle.host.device import Device
from vle.host.verilated import VerilatedChip
from vle.hw import verilog


def described(chip: ChipSpec) -> dict:
    """What the driver reads of a bundle."""
    layers = [manifest._layer(chip, index) for index in range(len(chip.network.layers))]
    return {"layers": layers, "aligned": False, "registers": register_map(chip).json}


class ChipInSimulation:
    """Runs frames and compares every word with the model.

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
        self.chip, self.spec = chip, chip.network
        text = verilog.generate(chip, trace=True) if text is None else text
        self.transport = VerilatedChip(text, seed=seed, optimise=optimise)
        self.last_sent = self.last_taken = Beats.empty(0)
        self.device = Device(Bundle.of_json(described(chip), Path()), self.transport)

    def close(self) -> None:
        self.device.close()

    def load(self, spec: NetworkSpec) -> None:
        """Load other parameters of the same formats."""
        parameters = [parameters_of(layer) for layer in spec.layers]
        self.device.write_parameters(parameters)
        for want, got in zip(parameters, self.device.read_parameters(), strict=True):
            for kind, words in vars(want).items():
                assert np.array_equal(words, getattr(got, kind)), kind  # None: no table
        self.spec = spec

    def compare(
        self, frames: np.ndarray, start=None, *, gaps=0.0, stalls=0.0, state=None
    ) -> tuple[Expected, Beats]:
        """Run raw frames `(steps, inputs)`; every output and every state word must be the model's.

        Begins at reset unless a state of the model is given, which must be the chip's.
        """
        want = expected(self.spec, frames, start, state)
        if state is None:
            self.device.reset()
            self.device.clear_counters()
        self.compare_with(want, frames, start, gaps=gaps, stalls=stalls)
        if state is None:
            assert self.device.saturation().tolist() == want.saturation.tolist()
            assert self.device.steps == len(frames)
        return want, self.last_taken

    def compare_with(
        self, want: Expected, frames: np.ndarray, start=None, *, gaps=0.0, stalls=0.0
    ) -> int:
        """Run raw frames from where the chip is; return how many state words were compared."""
        self.transport.take_trace()
        self.last_sent = Beats.of_frames(frames, start)
        self.last_taken = self.transport.stream(
            self.last_sent, want.outputs.size, gaps=gaps, stalls=stalls
        )
        got, flags = self.last_taken.frames(want.outputs.shape[1])
        assert np.array_equal(got, want.outputs)
        assert np.array_equal(flags, want.start)
        self.device.chip.until_idle()
        differing, compared = differing_words(want, self.transport.take_trace())
        assert differing == 0, f"{differing} of {compared} state words differ"
        return compared
