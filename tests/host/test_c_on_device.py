"""The driver in C and the one in Python on the same simulated device, word for word."""

from __future__ import annotations

import json

import learning_nets as nets
import numpy as np
import pytest
from c_programs import checked, read, run_in_c, write_signals
from conftest import SOAK

from vle.host.bundle import Bundle
from vle.host.device import Device
from vle.host.link.session import Session
from vle.host.link.simulated_line import SimulatedLine
from vle.host.link.transport import LinkTransport
from vle.hw import verilog

__all__ = ["checked"]
QUIET = 2e-3  # seconds of the device's clock without a byte, after which it has said all


class Simulated:
    """A simulated device that takes bytes and returns bytes.

    Parameters
    ----------
    line
        The device.
    """

    session = 0  # of no use here: the circuit knows

    def __init__(self, line: SimulatedLine) -> None:
        self.line = line

    def receive(self, data: bytes) -> bytes:
        self.line.write(data)
        said = b""
        while got := self.line.read(QUIET):
            said += got
        return said


@pytest.mark.parametrize("chance", [0.0, 1e-3] if SOAK else [0.0])
def test_words_are_those_of_the_python_driver(chance, checked, tmp_path):
    """Runs, learning, registers and memories of one circuit, each driver from its power-up."""
    design = nets.design(nets.small_network(loss="squared_error"))
    texts = verilog.generate(design.chip), verilog.generate_device(design.chip)
    x, y, freeze, _ = write_signals(tmp_path)
    line = SimulatedLine(*texts)
    run_in_c(checked, design, Simulated(line), tmp_path, chance)
    line.close()
    line = SimulatedLine(*texts)
    plain = json.loads((tmp_path / "bundle" / "design.json").read_text())
    bundle = Bundle.of_json(plain, tmp_path / "bundle")
    with Device(bundle, LinkTransport.of(Session(line), bundle)) as device:
        real = device.run(x)
        learned = device.learn(x, y, rate=0.05, freeze=freeze)
        weight = device.read_parameters()[0].weight
    assert np.array_equal(read(tmp_path / "run.f32", 3), real.astype(np.float32))
    raw = np.ldexp(real, bundle.layers[-1].rate.f_bits)
    assert np.array_equal(read(tmp_path / "raw.i32", 3), raw)
    assert np.array_equal(read(tmp_path / "learn.f32", 3), learned.astype(np.float32))
    assert np.array_equal(read(tmp_path / "weight.i32", weight.shape[1]), weight)
    assert not np.array_equal(weight, design.network.layers[0].weight), "nothing was learned"
