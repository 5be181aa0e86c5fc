"""Rewritten by onnxruntime: quantised, or optimised for itself."""

import logging
from functools import partial

import numpy as np
import onnxruntime
from onnx_models import chain, f4, node
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from corpus.case import Case

LAYERS = (
    node("Gemm", "x", f4(8, 12), f4(12)),
    node("Relu", "x"),
    node("Gemm", "x", f4(12, 9, seed=1), f4(9, seed=1)),
    node("Relu", "x"),
    node("Gemm", "x", f4(9, 4, seed=2), f4(4, seed=2)),
)
BENT = (LAYERS[0], node("Tanh", "x"), *LAYERS[2:])
X = f4(200, 8, seed=3)


class Calibration(CalibrationDataReader):
    def __init__(self):
        self.batches = iter([{"x": X}])

    def get_next(self):
        return next(self.batches, None)


def static(nodes, options, path):
    plain = chain(path.with_suffix(".plain"), ["n", 8], *nodes)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it recommends to prepare the model
    try:
        quantize_static(plain, path, Calibration(), **options)
    finally:
        logging.disable(level)
    plain.unlink()


def dynamic(path):
    plain = chain(path.with_suffix(".plain"), ["n", 8], *LAYERS)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        quantize_dynamic(plain, path)
    finally:
        logging.disable(level)
    plain.unlink()


def optimized(path):
    plain = chain(path.with_suffix(".plain"), ["n", 8], *LAYERS)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    plain.unlink()


def case(name, refused=None, nodes=LAYERS, **options):
    return Case("onnxruntime", name, partial(static, nodes, options), refused)


U8, I8 = QuantType.QUInt8, QuantType.QInt8
GIVEN = {"x": [{"scale": np.array(1 / 32, "f4"), "zero_point": np.array(128, "u1")}]}
CASES = (
    case("unsigned", activation_type=U8, weight_type=I8),
    case("per channel", activation_type=U8, weight_type=I8, per_channel=True),
    case(
        "signed and symmetric",
        activation_type=I8,
        weight_type=I8,
        extra_options={"ActivationSymmetric": True},
    ),
    case("tanh", nodes=BENT, activation_type=U8, weight_type=I8),
    case(
        "given scale of the input",
        activation_type=U8,
        weight_type=I8,
        extra_options={"TensorQuantOverrides": GIVEN},
    ),
    case("operators", r"\(com.microsoft.QGemm\)", quant_format=QuantFormat.QOperator),
    Case("onnxruntime", "dynamic", dynamic, r"\((MatMulInteger|DynamicQuantizeLinear)\)"),
    Case("onnxruntime", "optimized for itself", optimized, r"\(com.microsoft.FusedGemm\)"),
)
