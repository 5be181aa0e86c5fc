"""Models that are quantised already: QuantizeLinear, DequantizeLinear, and QONNX's Quant."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Frame, Size
from vle.compiler.frontend.registry import Reading, operator
from vle.compiler.frontend.steps import Elementwise, Rounding

Sizes = tuple[Size, ...]
QONNX = "qonnx.custom_op.general"
HONOURED = "the grid of a layer's rates where the chip can hold it, else a note says what is finer"


def _scale(operation: Operation, frame: Frame) -> tuple[float, NDArray[np.float64]]:
    """Scale and zero point, which must be one for all features."""
    if operation.data_index != 0:
        raise operation.refuse("scale and zero point must be constants")
    scale = operation.number(1, 1.0)
    if not np.isfinite(scale) or scale <= 0:
        raise operation.refuse(f"scale must be positive and finite, not {scale}")
    zero = operation.constant(2)
    point = np.zeros(()) if zero is None else zero.astype(np.float64)
    if point.size != 1:
        raise operation.refuse(f"zero point must be one number, not of shape {point.shape}")
    return scale, point.reshape(())


def _limits(operation: Operation) -> tuple[float, float]:
    """Return the ends of the integer type: that of the zero point, or uint8."""
    zero = operation.constant(2)
    kind = np.dtype(np.uint8)
    if zero is not None:
        kind = zero.dtype
    elif operation.attributes.get("output_dtype", 0):
        kind = helper.tensor_dtype_to_np_dtype(operation.attributes["output_dtype"])
    found = re.fullmatch(r"(u?)int(\d+)", str(kind))  # NumPy itself has none of 4 bits
    if found is None:
        raise operation.refuse(f"must round to integers, not to {kind}")
    bits = int(found[2])
    return (0.0, 2.0**bits - 1) if found[1] else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


@operator("QuantizeLinear", HONOURED, "to integers; one constant scale and zero point")
def _quantize(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    scale, zero = _scale(operation, frame)
    low, high = _limits(operation)
    step = Rounding(operation.node, scale, int(low - zero), int(high - zero))
    return Reading(replace(frame, integers=(scale, float(zero))), (step,))


@operator("DequantizeLinear", "nothing, behind QuantizeLinear; of an input, its scale")
def _dequantize(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    scale, zero = _scale(operation, frame)
    if frame.integers is None:
        step = Elementwise(operation.node, np.array(scale), -scale * zero)
        return Reading(frame, (step,))
    if frame.integers != (scale, float(zero)):
        raise operation.refuse("scale and zero point must be those of the QuantizeLinear before it")
    return Reading(replace(frame, integers=None))


@operator(f"{QONNX}.Quant", HONOURED, "constant scale, zeropt 0, constant bitwidth, ROUND")
def _quant(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    scale, zero = _scale(operation, frame)
    attributes = operation.attributes
    if zero != 0:
        raise operation.refuse(f"zeropt must be 0, not {zero:g}")
    mode = attributes.get("rounding_mode", b"ROUND")
    if mode not in (b"ROUND", b"HALF_EVEN"):
        raise operation.refuse(f"rounding_mode must be ROUND, not {mode.decode()}")
    low, high = quant_limits(
        operation.number(3, 8), attributes.get("signed", 1), attributes.get("narrow", 0)
    )
    return Reading(frame, (Rounding(operation.node, scale, low, high),))


def quant_limits(bits: float, signed: int, narrow: int) -> tuple[int, int]:
    """Return the ends of the integers of QONNX's `Quant`."""
    if signed:
        return -(2 ** int(bits - 1)) + int(bool(narrow)), 2 ** int(bits - 1) - 1
    return 0, 2 ** int(bits) - 1 - int(bool(narrow))
