"""Operators of `ai.onnx.ml`, as converters of scikit-learn write them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vle.compiler.frontend.chain import Operation
from vle.compiler.frontend.frame import Frame, Size
from vle.compiler.frontend.outputs import CLASSES, CLASSIFIER, HostStep
from vle.compiler.frontend.registry import Reading, operator
from vle.compiler.frontend.steps import Elementwise, Floats, Matrix

Sizes = tuple[Size, ...]


@operator("ai.onnx.ml.Scaler", "folded into a layer")
def _scaler(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    width = frame.width(operation)
    scale, offset = (
        np.asarray(operation.attributes.get(name, default), dtype=np.float64)
        for name, default in (("scale", [1.0]), ("offset", [0.0]))
    )
    for what, array in (("scale", scale), ("offset", offset)):
        if array.shape not in ((1,), (width,)):
            raise operation.refuse(f"{what} must be 1 or {width} numbers, not {array.size}")
    scale, offset = (np.broadcast_to(a, width) for a in (scale, offset))
    step = Elementwise(operation.node, scale, -scale * offset)
    return Reading(frame.with_features(width), (step,))


def _coefficients(operation: Operation, frame: Frame, count: int) -> tuple[Floats, Floats]:
    width = frame.width(operation)
    weight = np.asarray(operation.attributes.get("coefficients", ()), dtype=np.float64)
    bias = np.asarray(operation.attributes.get("intercepts", [0.0] * count), dtype=np.float64)
    if weight.size != count * width or bias.size != count or not count:
        rule = f"coefficients must be {count} x {width} and intercepts {count}"
        raise operation.refuse(f"{rule}, not {weight.size} and {bias.size}")
    return weight.reshape(count, width), bias


@operator("ai.onnx.ml.LinearRegressor", "layer", "without post_transform")
def _regressor(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    operation.require(post_transform=b"NONE")
    weight, bias = _coefficients(operation, frame, operation.attributes.get("targets", 1))
    return Reading(frame.with_features(len(bias)), (Matrix(operation.node, weight, bias),))


_TRANSFORMS = {b"SOFTMAX": "Softmax", b"LOGISTIC": "Sigmoid"}


@operator(
    CLASSIFIER,
    "layer; what makes probabilities or a label of its scores is left to the host",
    "a score for each class; post_transform NONE, SOFTMAX or LOGISTIC",
)
def _classifier(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    attributes = operation.attributes
    labels = attributes.get("classlabels_ints") or attributes.get("classlabels_strings") or ()
    names = tuple(label.decode() if isinstance(label, bytes) else label for label in labels)
    weight, bias = _coefficients(operation, frame, len(names))
    step = Matrix(operation.node, weight, bias)
    frame = frame.with_features(len(bias))
    ended = replace(frame, ended=f"{operation.node} must be the last")
    note = f"{operation.node}: outputs are the scores of its classes"
    if operation.output_index == 0:
        return Reading(ended, (step,), note, HostStep("Class", names))
    transform = attributes.get("post_transform", b"NONE")
    if transform == b"NONE":
        return Reading(frame, (step,), note)
    if transform not in _TRANSFORMS:
        raise operation.refuse(f"post_transform must be SOFTMAX, LOGISTIC or NONE, not {transform}")
    return Reading(ended, (step,), note, HostStep(_TRANSFORMS[transform]))


@operator("ai.onnx.ml.Normalizer", "nothing: left to the host", "at the end, L1")
def _normalizer(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    operation.require(norm=b"L1")
    ended = replace(frame, ended=frame.ended or f"{operation.node} must be the last")
    note = f"{operation.node} is left to the host"
    return Reading(ended, note=note, host=HostStep("Normalize"))


@operator("ai.onnx.ml.ZipMap", "nothing: names the classes", "at the end")
def _zipmap(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    attributes = operation.attributes
    labels = attributes.get("classlabels_int64s") or attributes.get("classlabels_strings") or ()
    names = ", ".join(
        label.decode() if isinstance(label, bytes) else str(label) for label in labels
    )
    ended = replace(frame, ended=frame.ended or f"{operation.node} must be the last")
    return Reading(ended, note=f"{operation.node}: outputs are the classes {names}, in this order")


@operator(CLASSES, "nothing: the label of a class is left to the host", "behind ArgMax")
def _labels(operation: Operation, frame: Frame, sizes: Sizes) -> Reading:
    labels = operation.constant(0, text=True)
    if operation.data_index != 1 or labels is None or not frame.ended:
        raise operation.refuse("must name the class that ArgMax found")
    return Reading(frame, host=HostStep("Labels", tuple(labels.ravel().tolist())))
