"""Written by onnxscript from Python functions, and rewritten by its optimizer."""

from functools import partial

import onnx
import onnxscript
from onnx_models import f4
from onnxscript import FLOAT, script
from onnxscript import opset18 as op

from corpus.case import Case

W_, V_, B_ = (onnx.numpy_helper.from_array(a) for a in (f4(3, 5), f4(5, 2), f4(5)))
own = onnxscript.values.Opset("mine", 1)


@script(own)
def dense(x, w, b):
    return op.Tanh(op.Add(op.MatMul(x, w), b))


@script()
def with_function(x: FLOAT[None, 3]) -> FLOAT[None, 2]:
    w, v, b = op.Constant(value=W_), op.Constant(value=V_), op.Constant(value=B_)
    return op.MatMul(dense(x, w, b), v)


@script()
def mish_like(x: FLOAT[None, 3]) -> FLOAT[None, 5]:
    a = op.MatMul(x, op.Constant(value=W_))
    return a * op.Tanh(op.Log(1.0 + op.Exp(a)))


@script()
def softplus(x: FLOAT[None, 3]) -> FLOAT[None, 5]:
    return op.Log(1.0 + op.Exp(op.MatMul(x, op.Constant(value=W_))))


@script()
def sharp(x: FLOAT[None, 3]) -> FLOAT[None, 5]:
    a = op.MatMul(x, op.Constant(value=W_))
    return 3.0 * (1.0 - 2.0 / (1.0 + op.Exp(4.0 * a + 0.5)))


@script()
def halves(x: FLOAT[None, 4]) -> FLOAT[None, 4]:
    first, last = op.Split(x, num_outputs=2, axis=1)
    return op.Tanh(op.Concat(last, first, axis=1))


@script()
def counted(x: FLOAT[None, 3]) -> FLOAT[None, 3]:
    total = op.Identity(x)
    for _ in range(3):
        total = op.Tanh(total)
    return total


@script()
def chosen(x: FLOAT[None, 3]) -> FLOAT[None, 3]:
    if op.ReduceSum(x) > 0.0:  # noqa: SIM108 - it is to become an If
        y = op.Relu(x)
    else:
        y = op.Neg(x)
    return y


@script()
def largest(x: FLOAT[None, 3]) -> FLOAT[None, 1]:
    values, _ = op.TopK(op.MatMul(x, op.Constant(value=W_)), op.Constant(value_ints=[1]))
    return values


def write(function, optimized, path):
    model = function.to_model_proto()
    if optimized:
        model = onnxscript.optimizer.optimize(model)
    for index, item in enumerate(model.graph.node):
        item.name = item.name or f"n{index}"
    onnx.save(model, path)


def case(name, function, refused=None, optimized=False):
    return Case("onnxscript", name, partial(write, function, optimized), refused)


CASES = (
    case("function", with_function),
    case("function, optimized", with_function, optimized=True),
    case("softplus", softplus),
    case("softplus, optimized", softplus, optimized=True),
    case("a sharp tanh", sharp),
    case("mish", mish_like, r"\(\w+\): Mish"),
    case("halves", halves, r"\(\w+\)"),
    case("loop", counted, r"\(Loop\)"),
    case("choice", chosen, r"\(If\)"),
    case("largest", largest, r"\(TopK\)"),
)
