"""The driver in C: the words of the one in Python, on every kind of network, on any line."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import time
import tty
from pathlib import Path

import learning_nets as nets
import numpy as np
import pytest
from c_programs import (
    PATIENCE,
    QUIET,
    RETRY,
    ROOT,
    SOURCES,
    STEPS,
    STRICT,
    Line,
    build,
    checked,
    read,
    run_in_c,
    write_signals,
)
from compiled_chip import LearningChip, StillChip
from conftest import SEED, SOAK
from link_device import LinkDevice
from model_chip import ModelChip

from vle.compiler import compile_model
from vle.compiler.circuit.registers import IDENTITY, VERSION
from vle.host.board import ADDRESS
from vle.host.bundle import Bundle
from vle.host.device import Device

LEARNING = {
    "recurrent": (nets.network(), {}),
    "aligned": (nets.network(aligned=True), {}),
    "classes": (nets.network(loss="cross_entropy", recurrent=False), {}),
    "still": (nets.still_network(), {}),
    "filtered": (nets.network(plasticity="filtered"), {}),
}


def check_still(design, folder: Path, x: np.ndarray) -> None:
    """Compare what the program has left with a design that does not learn."""
    outputs, fmt = design.network.layers[-1].outputs, design.output_format
    want = design.run_raw(design.input_format.quantize(x)).output
    assert np.array_equal(read(folder / "raw.i32", outputs), want)
    assert np.array_equal(
        read(folder / "run.f32", outputs), np.ldexp(want, -fmt.f_bits).astype(np.float32)
    )
    weight = design.network.layers[0].weight
    assert np.array_equal(read(folder / "weight.i32", weight.shape[1]), weight)


def check_learner(design, folder: Path, x, y, freeze) -> None:
    """Compare what the program has left with the Python driver on the same chip."""
    plain = json.loads((folder / "bundle" / "design.json").read_text())
    device = Device(Bundle.of_json(plain, folder / "bundle"), ModelChip(design.chip))
    outputs = device.bundle.outputs
    real = device.run(x)
    learned = device.learn(x, y, rate=0.05, freeze=freeze)
    after = device.read_parameters()[0].weight
    assert np.array_equal(read(folder / "run.f32", outputs), real.astype(np.float32))
    raw = np.ldexp(real, device.bundle.layers[-1].rate.f_bits)
    assert np.array_equal(read(folder / "raw.i32", outputs), raw)
    assert np.array_equal(read(folder / "learn.f32", outputs), learned.astype(np.float32))
    assert np.array_equal(read(folder / "weight.i32", after.shape[1]), after)
    assert not np.array_equal(after, design.network.layers[0].weight), "nothing was learned"
    identity = read(folder / "registers.u32", 3)[0].tolist()
    assert identity == [IDENTITY, VERSION, device.bundle.map.hash]


__all__ = ["checked"]


@pytest.mark.parametrize("name", LEARNING)
def test_learning_is_that_of_the_python_driver(name, checked, tmp_path):
    net, options = LEARNING[name]
    design = nets.design(net, **options)
    x, y, freeze, classes = write_signals(tmp_path)
    run_in_c(checked, design, LinkDevice(LearningChip(design.chip)), tmp_path)
    check_learner(design, tmp_path, x, classes if net.loss == "cross_entropy" else y, freeze)


@pytest.mark.parametrize("aligned", [False, True])
def test_inference_is_that_of_the_design(aligned, checked, tmp_path):
    design = still_design(aligned)
    x = write_signals(tmp_path)[0]
    run_in_c(checked, design, LinkDevice(StillChip(design.chip)), tmp_path)
    check_still(design, tmp_path, x)


@pytest.mark.parametrize("sizes", [{"payload": 12, "slots_in": 1, "slots_out": 1}, {}])
def test_noise_changes_no_word(sizes, checked, tmp_path):
    """Bytes flipped, dropped, doubled and inserted, each at 1e-3."""
    design = still_design(aligned=True)
    x = write_signals(tmp_path)[0]
    device = LinkDevice(StillChip(design.chip), **sizes)
    said = run_in_c(checked, design, device, tmp_path, chance=1e-3)
    check_still(design, tmp_path, x)
    assert int(re.search(r"resent (\d+)", said)[1]) > 0, "the line was too kind"


def still_design(aligned: bool):
    return compile_model(
        nets.network(aligned=aligned), calibration=nets.signal(200)[0], lanes=6, weight_bits=16
    )


class Failing(LinkDevice):
    """A device to which something happens after some bytes.

    Parameters
    ----------
    chip
        As of `LinkDevice`.
    what, after
        What happens: `dead`, `reset`, `taken`; after how many bytes.
    """

    def __init__(self, chip, what: str, after: int) -> None:
        super().__init__(chip)
        self.what, self.left = what, after

    def receive(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left < 0:
            if self.what == "dead":
                return b""
            if self.what == "reset":
                self.reset()
            if self.what == "taken":
                self.session = self.session % 255 + 1
            self.left = 1 << 60
        return super().receive(data)


@pytest.mark.parametrize(
    ("what", "after", "says"),
    [
        ("dead", 0, "open: the device does not answer"),
        ("dead", 200, "run: the device does not answer"),
        ("reset", 200, "run: the device was reset"),
        ("taken", 200, "run: another host has taken the device"),
    ],
)
def test_failures_are_named_in_time(what, after, says, checked, tmp_path):
    design = still_design(aligned=True)
    design.save(tmp_path / "bundle")
    write_signals(tmp_path)
    program = build(checked, tmp_path, SOURCES / "driver.c")
    device = Failing(StillChip(design.chip), what, after)
    begin = time.monotonic()
    assert Line(device).run(program, tmp_path, STEPS, RETRY) == (1, says + "\n")
    assert time.monotonic() - begin < 6


class Sensing(StillChip):
    """A chip on a board whose sensor has seen three frames once it is switched on."""

    control, device = 0, None

    def access(self, address: int, word: int | None) -> int:
        if address != ADDRESS["SENSOR_CTRL"]:
            return super().access(address, word)
        if word is not None:
            self.control = word
            for k in range(3 * (word & 1)):
                self.device.step(np.full(self.inputs, 1000 * k))
        return self.control


def test_frames_of_a_sensor_are_none_of_the_host_s(checked, tmp_path):
    design = still_design(aligned=False)
    design.save(tmp_path / "bundle")
    program = build(checked, tmp_path, SOURCES / "source.c")
    chip = Sensing(design.chip)
    chip.device = device = LinkDevice(chip)
    code, said = Line(device).run(program)
    assert code == 0, said
    network, state, want = design.network, design.network.reset(), []
    for k in (0, 0, 1, 2):  # the first one is the host's
        state, _ = network.step(state, np.full((1, chip.inputs), 1000 * k), False)
        want += state.layers[-1].r[0].tolist()
    assert list(map(int, said.split())) == want


def test_another_bundle_is_refused(checked, tmp_path):
    still_design(aligned=True).save(tmp_path / "bundle")
    program = build(checked, tmp_path, SOURCES / "driver.c")
    write_signals(tmp_path)
    other = compile_model(nets.network(), calibration=nets.signal(200)[0], lanes=2)
    code, said = Line(LinkDevice(StillChip(other.chip))).run(program, tmp_path, STEPS, RETRY)
    assert (code, said) == (1, "open: the chip was made from another bundle\n")


def test_any_bytes_on_the_line_are_borne(checked, tmp_path):
    """Noise, senseless frames, likely ones, damaged ones: no access out of bounds, no hanging."""
    fuzz = build(checked, tmp_path, SOURCES / "fuzz.c")
    for k in range(8 if SOAK else 1):
        command = [fuzz, str(SEED + k), "500" if SOAK else "20"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not done.stderr


def test_the_header_is_one_of_c_plus_plus_too(tmp_path):
    nets.design(nets.network()).save(tmp_path / "bundle")
    source = tmp_path / "use.cpp"
    source.write_text(
        '#include "vle.h"\n#include "vle_model.h"\n'
        "extern const vle_model model; const vle_model model = VLE_MODEL;\n"
        "extern const vle_window window; const vle_window window = VLE_WINDOW_LAYER0_WEIGHT;\n"
    )
    flags = ("-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'c'}", f"-I{tmp_path / 'bundle'}")
    subprocess.run(["c++", *flags, "-c", source, "-o", tmp_path / "use.o"], check=True)


def test_the_driver_alone_needs_no_library(tmp_path):
    """No allocation, no globals: all that it takes from outside is a copy and a fill."""
    told = ["cc", *STRICT, "-Os", "-c", str(ROOT / "c" / "vle.c"), "-o", str(tmp_path / "vle.o")]
    subprocess.run(told, check=True)
    listed = subprocess.run(
        ["nm", tmp_path / "vle.o"], check=True, capture_output=True, text=True
    ).stdout
    kinds = {line.split()[-1]: line.split()[-2] for line in listed.splitlines()}
    assert {name for name, kind in kinds.items() if kind == "U"} <= {
        *("memset", "memcpy", "memmove", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_")
    }
    assert not [name for name, kind in kinds.items() if kind in "BbDdCG"]


def test_the_example_of_the_documentation_runs(checked, tmp_path):
    """As it stands, over a terminal; the values are those of the design."""
    design = still_design(aligned=False)
    design.save(tmp_path / "bundle")
    text = (ROOT / "docs" / "c.md").read_text()
    source = tmp_path / "example.c"
    source.write_text("#define _DEFAULT_SOURCE\n" + re.findall(r"```c\n(.*?)```", text, re.S)[0])
    example = build(checked, tmp_path, source)
    ours, theirs = os.openpty()
    tty.setraw(ours)
    device = LinkDevice(StillChip(design.chip))
    with subprocess.Popen(
        [example, os.ttyname(theirs)], stdout=subprocess.PIPE, env=QUIET, text=True
    ) as program:
        begin = time.monotonic()
        while program.poll() is None and time.monotonic() < begin + PATIENCE:
            if select.select([ours], [], [], 0.05)[0]:
                os.write(ours, device.receive(os.read(ours, 1 << 16)))
        program.kill()
        said = [float(line) for line in program.stdout]
    os.close(ours)
    os.close(theirs)
    assert program.returncode == 0
    x = np.zeros((100, 2))
    x[:, 0] = np.float32(0.01) * np.arange(100, dtype=np.float32)
    assert said == [float(f"{value:g}") for value in design.run(x)[:, 0]]


def test_the_other_example_compiles(checked, tmp_path):
    """Of learning: in a function, with what stands before it in the text."""
    nets.design(nets.network()).save(tmp_path / "bundle")
    code = re.findall(r"```c\n(.*?)```", (ROOT / "docs" / "c.md").read_text(), re.S)[1]
    source = tmp_path / "learn.c"
    source.write_text(
        '#include "vle.h"\n#include "vle_model.h"\nenum { STEPS = 9 };\n'
        "int main(void) {\nstatic vle_device device;\nvle_error error;\n"
        "static float x[STEPS][VLE_INPUTS], y[STEPS][VLE_OUTPUTS], target[STEPS][VLE_OUTPUTS];\n"
        f"{code}return error != VLE_ERROR_CLOSED;\n}}\n"
    )
    done = subprocess.run([build(checked, tmp_path, source)], env=QUIET, check=False)
    assert done.returncode == 0
