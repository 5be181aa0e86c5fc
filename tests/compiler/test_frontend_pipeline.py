"""A feedforward file as a pipeline: output frame t + L - 1 is onnxruntime's answer to frame t."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_models import chain, f4, in_onnxruntime, node

from vle.compiler import compile_model
from vle.compiler.quantization.bounds import rate_errors
from vle.compiler.quantization.calibration import calibrate
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.quantize import quantize

SINGLE = 1e-5  # of the largest value: what single precision adds in onnxruntime


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    widths=st.lists(st.integers(1, 24), min_size=2, max_size=6),
    operator=st.sampled_from(["Relu", "Tanh", "Sigmoid", "Softplus", "LeakyRelu", "HardSigmoid"]),
)
def test_each_answer_is_late_by_the_layers_and_within_the_bound(
    tmp_path_factory, seed, widths, operator
):
    """Ranges are those of intervals, so the bound is for every input within -1..1."""
    nodes = []
    for index, (below, above) in enumerate(pairwise(widths)):
        weight = f4(below, above, seed=seed + index, scale=1.5 / np.sqrt(below))
        nodes += [node("Gemm", "x", weight, f4(above, seed=seed)), node(operator, "x")]
    path = chain(tmp_path_factory.mktemp("pipe") / "m.onnx", ["n", widths[0]], *nodes)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (40, widths[0])).astype(np.float32)
    x[10:20] = np.sign(x[10:20])  # the corners

    design = compile_model(path, input_range=(-1, 1))
    known = calibrate(design.reference, None, (-1, 1))
    made = quantize(design.reference, known.ranges, Widths())
    assert made.network == design.network
    bound = rate_errors(design.reference, made.network, made.approximations, known.ranges)[-1]

    late = len(design.network.layers) - 1
    assert design.latency_steps == late
    found = design.run(x, aligned=False)[late:]
    expected = in_onnxruntime(path, x)[: len(found)]
    assert np.all(np.abs(found - expected) <= bound + SINGLE * (1 + np.abs(expected).max()))
    assert sum(sum(counts) for counts in design.saturation) == 0
    assert np.array_equal(design.run(x, aligned=True)[: len(found)], found)
