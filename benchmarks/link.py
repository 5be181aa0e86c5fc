"""The simulated device over the link, the chip on its own ports, and both beside each other.

Steps per second of CPU time, best of several interleaved runs in one process: the device is
`device.v` around `top.v`, driven by the link of the driver; the bare loop is that of
`vle.host.verilated` on the same `top.v`. And the CPU time of importing the driver.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vle.compiler import Design, compile_model
from vle.compiler.bundle.manifest import describe
from vle.host.bundle import Bundle
from vle.host.link.session import Session
from vle.host.link.simulated_line import SimulatedLine
from vle.host.link.transport import LinkTransport
from vle.host.verilated import VerilatedChip
from vle.hw import verilog
from vle.sim import Layer, Network

MODELS = Path(__file__).parents[1] / "examples" / "models"
LEAST = 0.5  # of the bare loop's steps per second
SECONDS = 0.4  # that an import of the driver may take


@dataclass(frozen=True)
class Case:
    """A design, and how many steps are run at a time, how often."""

    name: str
    design: Design
    steps: int
    times: int


def small() -> Design:
    """2-8-1 on 4 lanes: 8 clocks per step, of which the link has its share."""
    rng = np.random.default_rng(0)
    hidden = Layer(rng.normal(size=(8, 2)), np.zeros(8), 1.0, 0.4, "tanh")
    output = Layer(rng.normal(0, 0.5, (1, 8)), np.zeros(1), 0.4, 0.4, "identity")
    return compile_model(Network((hidden, output), dt=0.1), input_range=(-1, 1), lanes=4)


def bundled() -> Design:
    """The bundled model on 48 lanes, as `make sim` runs it."""
    calibration = np.load(MODELS / "mnist1d_calibration.npy")
    return compile_model(MODELS / "mnist1d.onnx", calibration=calibration, lanes=48)


def measure(case: Case) -> dict:
    """Run the same frames both ways, in turn."""
    design = case.design
    top, device = verilog.generate(design.chip), verilog.generate_device(design.chip)
    line = SimulatedLine(top, device)
    bundle = Bundle.of_json(describe(design.chip, design.reference), Path())
    linked, bare = LinkTransport.of(Session(line), bundle), VerilatedChip(top)
    x = np.random.default_rng(1).uniform(-1, 1, (case.steps, bundle.inputs))
    raw, start = design.input_format.quantize(x).astype(np.int32), np.zeros(case.steps, bool)
    best = [float("inf")] * 2
    for _ in range(case.times):
        answers = []
        for place, transport in enumerate((linked, bare)):
            begin = time.process_time()
            answers.append(transport.exchange(raw, start, bundle.outputs))
            best[place] = min(best[place], time.process_time() - begin)
        assert np.array_equal(*answers), "words differ"
    begin = line.cycle
    linked.exchange(raw, start, bundle.outputs)
    return {
        "name": case.name,
        "cycles_per_step": float(design.cycles_per_step),
        "cycles_per_step_over_the_link": round((line.cycle - begin) / case.steps, 2),
        "steps_per_second": round(case.steps / best[0]),
        "steps_per_second_bare": round(case.steps / best[1]),
        "ratio": round(best[1] / best[0], 3),
    }


def import_seconds(times: int = 7) -> float:
    """CPU seconds of `import vle.host` in a new interpreter, best of some, less the interpreter."""
    program = "import time; begin = time.process_time(); {}; print(time.process_time() - begin)"
    words = [sys.executable, "-c", program.format("import vle.host")]
    return min(float(subprocess.check_output(words)) for _ in range(times))


def main() -> None:
    """Measure all, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in (Case("small", small(), 5000, 20), Case("bundled", bundled(), 360, 5)):
        rows.append(measure(case))
        row = rows[-1]
        print(
            f"{row['name']:8} {row['steps_per_second']:8,} steps per second over the link,"
            f" {row['steps_per_second_bare']:8,} bare: {row['ratio']:.2f}, asked {LEAST}"
            f"{'' if row['ratio'] >= LEAST else '  MISSED'}",
            flush=True,
        )
    seconds = import_seconds()
    print(f"import vle.host {seconds:.3f} s, asked {SECONDS}")
    facts = {"simulated_device": rows, "import_seconds": round(seconds, 4)}
    (out / "link.json").write_text(json.dumps(facts, indent=2) + "\n")
    sys.exit(any(row["ratio"] < LEAST for row in rows) or seconds > SECONDS)


if __name__ == "__main__":
    main()
