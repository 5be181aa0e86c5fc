"""The driver in C and the one in Python on the same simulated device, word for word."""

from __future__ import annotations

import learning_nets as nets
import numpy as np
import pytest
from c_programs import checked, read, run_in_c, write_signals
from conftest import SOAK
from test_device import network

from vle.compiler import compile_model
from vle.host import open_device
from vle.host.device import Device
from vle.host.link.simulated_line import SimulatedLine

__all__ = ["checked"]
CHANCES = (0.0, 1e-3) if SOAK else (0.0,)
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


def run_both(design, driver, folder, chance: float) -> tuple[Device, np.ndarray]:
    """Run the C program on a device; return another one for the Python driver, and its signal."""
    bundle = folder / "bundle"
    x = write_signals(folder)[0]
    design.save(bundle, verilog=True)
    texts = [(bundle / name).read_text() for name in ("top.v", "device.v")]
    line = SimulatedLine(*texts)
    run_in_c(driver, design, Simulated(line), folder, chance)
    line.close()
    return open_device(f"sim:{bundle}"), x


def check(folder, device: Device, x: np.ndarray) -> None:
    """Compare the words of a run, and those of the first layer's weights."""
    real, outputs = device.run(x), device.bundle.outputs
    assert np.array_equal(read(folder / "run.f32", outputs), real.astype(np.float32))
    raw = np.ldexp(real, device.bundle.layers[-1].rate.f_bits)
    assert np.array_equal(read(folder / "raw.i32", outputs), raw)


@pytest.mark.parametrize("chance", CHANCES)
def test_runs_are_those_of_the_python_driver(chance, checked, tmp_path):
    design = compile_model(network(aligned=True), input_range=(-1.0, 1.0), lanes=5)
    device, x = run_both(design, checked, tmp_path, chance)
    with device:
        check(tmp_path, device, x)
        weight = device.read_parameters()[0].weight
    assert np.array_equal(read(tmp_path / "weight.i32", weight.shape[1]), weight)


@pytest.mark.parametrize("chance", CHANCES)
def test_learning_is_that_of_the_python_driver(chance, checked, tmp_path):
    """Each from power-up: runs, learning, registers, memories."""
    design = nets.design(nets.small_network(loss="cross_entropy"), lanes=2)
    device, x = run_both(design, checked, tmp_path, chance)
    _, _, freeze, classes = write_signals(tmp_path)
    with device:
        check(tmp_path, device, x)
        learned = device.learn(x, classes, rate=0.05, freeze=freeze)
        weight = device.read_parameters()[0].weight
    assert np.array_equal(read(tmp_path / "learn.f32", 3), learned.astype(np.float32))
    assert np.array_equal(read(tmp_path / "weight.i32", weight.shape[1]), weight)
    assert not np.array_equal(weight, design.network.layers[0].weight), "nothing was learned"
