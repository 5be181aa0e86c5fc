"""The bundled model: every potential and every rate of every step, at three foldings."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from chip_in_simulation import ChipInSimulation
from expected import Expected

from vle.compiler import compile_model
from vle.sim.tasks.mnist1d import read_samples

MODELS = Path(__file__).parents[1] / "examples" / "models"
SAMPLES = 200 if os.environ.get("VLE_SOAK") else 20


@pytest.mark.parametrize("lanes", [12, 48, 100])
def test_no_word_differs(lanes):
    calibration = np.load(MODELS / "mnist1d_calibration.npy")
    design = compile_model(MODELS / "mnist1d.onnx", calibration=calibration, lanes=lanes)
    x, _ = read_samples(MODELS / "mnist1d_test.npz")
    frames = design.input_format.quantize(x[:, :SAMPLES])
    got = design.run_raw(frames, trace=True)
    chip = ChipInSimulation(design.chip)
    words = 0
    for sample in range(SAMPLES):
        want = Expected.of_arrays([u[:, sample] for u in got.u], [r[:, sample] for r in got.r])
        chip.device.reset()
        words += chip.compare_with(want, frames[:, sample])
    chip.close()
    print(f"{lanes} lanes: {SAMPLES} samples, {words:,} state words, 0 differ")
    assert words == 2 * SAMPLES * len(x) * sum(layer.outputs for layer in design.network.layers)
