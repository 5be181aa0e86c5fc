"""Written node by node with `onnx.helper`."""

from functools import partial

import numpy as np
import onnx
from onnx_models import chain, f4, node, write

from corpus.case import Case

INT = np.int64
DENSE = node("Gemm", "x", f4(3, 5), f4(5, seed=1))
HEAD = node("MatMul", "x", f4(5, 2, seed=2))
RNN = (f4(1, 4, 3), f4(1, 4, 4, seed=1, scale=0.4), f4(1, 8, seed=2))
SQUEEZE = node("Squeeze", "x", INT([1]))
ONE, TWO = np.float32(1), np.float32(2)
make = onnx.helper.make_node


def static(name, *nodes, refused=None, shape=("n", 3), **more):
    return Case("helper", name, partial(_chain, list(shape), nodes, more), refused)


def _chain(shape, nodes, more, path):
    return chain(path, shape, *nodes, **more)


def over_time(name, *nodes, refused=None, last=False):
    layout = "time,last" if last else "time"
    return Case("helper", name, partial(_chain, ["T", "batch", 3], nodes, {}), refused, layout)


def graph(name, text, refused=None, layout="static", **arrays):
    """A model in ONNX's text form; arrays are stored with it."""
    return Case("helper", name, partial(_graph, text, arrays), refused, layout)


def _graph(text, arrays, path):
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> {text}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in arrays.items())
    for index, item in enumerate(model.graph.node):
        item.name = item.name or f"n{index}"
    onnx.save(model, path)


def _scan(path, *, states, body, start, initializers):
    """A Scan over the first axis; `body` is text with inputs of its own."""
    inner = onnx.parser.parse_graph(body)
    for index, item in enumerate(inner.node):
        item.name = f"b{index}"
    count = len(states)
    scan = make("Scan", [*states, "x"], [*(f"{s}_end" for s in states), "y"], "scan")
    scan.attribute.extend(
        [
            onnx.helper.make_attribute("body", inner),
            onnx.helper.make_attribute("num_scan_inputs", 1),
        ]
    )
    assert count == len(start)
    arrays = {**start, **initializers}
    constants = [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items()]
    write(path, ["T", 3, 3], [scan], constants, "y")


def scan(name, body, refused=None, start=None, **initializers):
    start = {"u0": np.zeros((3, 4), "f4")} if start is None else start
    states = list(start)
    return Case(
        "helper",
        name,
        partial(_scan, states=states, body=body, start=start, initializers=initializers),
        refused,
        "time",
    )


LEAKY = """step (float[3, 4] u, float[3, 3] xt) => (float[3, 4] u2, float[3, 4] r) {
  i = MatMul (xt, w) j = Add (i, b) d = Sub (j, u) s = Mul (d, k) u2 = Add (u, s) r = Tanh (u2) }"""
AHEAD = """step (float[3, 4] u, float[3, 3] xt) => (float[3, 4] u2, float[3, 4] r) {
  i = MatMul (xt, w) d = Sub (i, u) s = Mul (d, k) u2 = Add (u, s)
  a = Mul (d, g) p = Add (u, a) r = Sigmoid (p) }"""
DECAY = """step (float[3, 4] u, float[3, 3] xt) => (float[3, 4] u2, float[3, 4] r) {
  kept = Mul (u, l) i = MatMul (xt, w) u2 = Add (kept, i) r = Relu (u2) }"""
RECURRENT = """step (float[3, 4] u, float[3, 3] xt) => (float[3, 4] u2, float[3, 4] r) {
  old = Tanh (u) back = MatMul (old, rec) i = MatMul (xt, w) j = Add (i, back)
  d = Sub (j, u) s = Mul (d, k) u2 = Add (u, s) r = Tanh (u2) }"""
BESIDE = """step (float[3, 4] h, float[3, 3] xt) => (float[3, 4] h2, float[3, 4] r) {
  both = Concat <axis = 1> (xt, h) i = MatMul (both, wide) j = Add (i, b) h2 = Tanh (j)
  r = Identity (h2) }"""
STACKED = """step (float[3, 4] h, float[3, 4] u, float[3, 3] xt)
    => (float[3, 4] h2, float[3, 4] u2, float[3, 4] r) {
  i = MatMul (xt, w) back = MatMul (h, rec) j = Add (i, back) h2 = Tanh (j)
  c = MatMul (h2, rec) d = Sub (c, u) s = Mul (d, k) u2 = Add (u, s) r = Identity (u2) }"""
GATED = """step (float[3, 4] u, float[3, 3] xt) => (float[3, 4] u2, float[3, 4] r) {
  i = MatMul (xt, w) z = Sigmoid (i) u2 = Mul (z, u) r = Identity (u2) }"""
BEHIND = """step (float[3, 4] u, float[3, 3] xt) => (float[3, 4] u2, float[3, 4] r) {
  i = MatMul (xt, w) d = Sub (i, u) s = Mul (d, k) u2 = Add (u, s) r = Tanh (u) }"""
W, REC, B4 = f4(3, 4), f4(4, 4, seed=1, scale=0.3), f4(4, seed=2)
K = np.float32([0.1, 0.25, 0.5, 1.0])

COMES_IN = (
    static("two layers", DENSE, node("Tanh", "x"), HEAD),
    static("opset 9", DENSE, node("Clip", "x", min=-1.0, max=1.0), HEAD, opset=9),
    static("opset 11", DENSE, node("Clip", "x", -ONE, ONE), HEAD, opset=11),
    static("newest opset", DENSE, node("Relu", "x"), HEAD, opset=onnx.defs.onnx_opset_version()),
    static("batch normalisation", DENSE, node("BatchNormalization", "x", *[f4(5) ** 2 + ONE] * 4)),
    static("relu6 of Max and Min", DENSE, node("Max", "x", ONE * 0), node("Min", "x", TWO), HEAD),
    static(
        "hard sigmoid of Add Clip Div",
        DENSE,
        node("Add", "x", np.float32(3)),
        node("Clip", "x", ONE * 0, np.float32(6)),
        node("Div", "x", np.float32(6)),
        HEAD,
    ),
    static("double precision", node("MatMul", "x", f4(3, 4).astype("f8")), kind=11),
    graph(
        "sigmoid of Exp",
        """m (float[n, 3] x) => (float[n, 4] y) {
        a = MatMul (x, w) m = Neg (a) e = Exp (m) s = Add (one, e) y = Div (one, s) }""",
        w=W,
        one=ONE,
    ),
    graph(
        "tanh of Exp",
        """m (float[n, 3] x) => (float[n, 4] y) {
        a = MatMul (x, w) b = Mul (a, two) e = Exp (b) u = Sub (e, one) v = Add (e, one)
        y = Div (u, v) }""",
        w=W,
        one=ONE,
        two=TWO,
    ),
    graph(
        "softplus without overflow",
        """m (float[n, 3] x) => (float[n, 4] y) {
        a = MatMul (x, w) z = Abs (a) m = Neg (z) e = Exp (m) s = Add (one, e) l = Log (s)
        r = Relu (a) y = Add (r, l) }""",
        w=W,
        one=ONE,
    ),
    graph(
        "leaky relu of Where",
        """m (float[n, 3] x) => (float[n, 4] y) {
        a = MatMul (x, w) c = Less (a, zero) s = Mul (a, k) y = Where (c, s, a) }""",
        w=W,
        zero=ONE * 0,
        k=np.float32(0.3),
    ),
    graph(
        "linear skip",
        """m (float[n, 3] x) => (float[n, 3] y) {
        a = MatMul (x, w) b = Add (a, x) y = Relu (b) }""",
        w=f4(3, 3),
    ),
    graph(
        "two inputs beside each other",
        """m (float[n, 3] a, float[n, 2] b) => (float[n, 2] y) {
        c = Mul (a, two) x = Concat <axis = 1> (c, b) h = MatMul (x, w) t = Tanh (h)
        y = MatMul (t, v) }""",
        w=f4(5, 6),
        v=f4(6, 2),
        two=TWO,
    ),
    graph(
        "two inputs, each with its matrix",
        """m (float[n, 3] a, float[n, 2] b) => (float[n, 4] y) {
        c = MatMul (a, w) d = MatMul (b, v) s = Add (c, d) y = Sigmoid (s) }""",
        w=W,
        v=f4(2, 4),
    ),
    over_time("elman", node("RNN", "x", *RNN, hidden_size=4), SQUEEZE),
    over_time(
        "elman from a state",
        node("RNN", "x", *RNN, "", np.tile(f4(4), (1, 3, 1)), hidden_size=4),
        SQUEEZE,
        node("MatMul", "x", f4(4, 2)),
    ),
    over_time(
        "last state",
        node("RNN", "x", *RNN, hidden_size=4, output=["", "h"]),
        node("Squeeze", "x", INT([0])),
        last=True,
    ),
    scan("leaky integrators", LEAKY, w=W, b=B4, k=K),
    scan(
        "leaky integrators from a state", LEAKY, start={"u0": np.tile(B4, (3, 1))}, w=W, b=B4, k=K
    ),
    scan("integrators that look ahead", AHEAD, w=W, k=K, g=np.float32([0.3, 0.5, 0.5, 1.0])),
    scan("decay of its own", DECAY, w=W, l=np.float32([0.9, 0.5, 0.0, 0.2])),
    scan("recurrent leaky integrators", RECURRENT, w=W, rec=REC, k=K),
    scan("elman of a Concat", BESIDE, wide=f4(7, 4, scale=0.5), b=B4),
    scan(
        "elman and integrators",
        STACKED,
        start={"h0": np.zeros((3, 4), "f4"), "u0": np.zeros((3, 4), "f4")},
        w=W,
        rec=REC,
        k=K,
    ),
)


def _quant(path):
    """QONNX's Quant, brought along as a function so that any runtime can run it."""
    function = onnx.parser.parse_function(
        '<domain: "qonnx.custom_op.general", opset_import: ["": 21]>'
        "Quant (x, s, z, bits) => (y) { q = Div (x, s) r = Round (q)"
        " low = Constant <value = float {-128.0}> () high = Constant <value = float {127.0}> ()"
        " c = Clip (r, low, high) y = Mul (c, s) }"
    )
    domain = "qonnx.custom_op.general"
    given = (np.float32(0), np.float32(8))
    quant = partial(node, "Quant", "x", domain=domain, signed=1, narrow=0, rounding_mode="ROUND")
    fine, coarse = quant(np.float32(1 / 32), *given), quant(np.float32(1 / 16), *given)
    function.attribute.extend(["signed", "narrow", "rounding_mode"])
    return chain(path, ["n", 3], fine, DENSE, coarse, HEAD, functions=[function])


REFUSED = (
    *(
        static(name, DENSE, node(name, "x", name="odd"), refused=rf"odd \({name}\)")
        for name in ("Elu", "Selu", "Erf", "Softsign", "HardSwish", "Exp", "ReduceMean", "Sin")
    ),
    *(
        static(name, DENSE, node(name, "x", name="odd"), refused=rf"odd \({name}\)")
        for name in (
            "Cos",
            "Log",
            "Sqrt",
            "Round",
            "ReduceMax",
            "LpNormalization",
            "Shrink",
            "Atan",
        )
    ),
    *(
        over_time(
            name,
            node(name, "x", f4(1, n * 4, 3), f4(1, n * 4, 4), hidden_size=4),
            refused=rf"\({name}\)",
        )
        for name, n in (("LSTM", 4), ("GRU", 3))
    ),
    over_time(
        "reverse rnn",
        node("RNN", "x", *RNN, hidden_size=4, direction="reverse"),
        refused=r"\(RNN\)",
    ),
    over_time(
        "rnn from many states",
        node("RNN", "x", *RNN, "", f4(1, 3, 4), hidden_size=4),
        refused=r"\(RNN\): initial_h",
    ),
    Case(
        "helper",
        "convolution over time",
        partial(_chain, ["n", 3, 9], (node("Conv", "x", f4(4, 3, 2)),), {}),
        r"conv0 \(Conv\)",
    ),
    static("softmax in between", DENSE, node("Softmax", "x"), HEAD, refused=r"\(MatMul\)"),
    static("product of signals", DENSE, node("Mul", "x", "x"), HEAD, refused=r"\(Mul\)"),
    static("sum over a frame", DENSE, node("CumSum", "x", INT(1)), refused=r"\(CumSum\)"),
    graph(
        "skip over an activation",
        """m (float[n, 3] x) => (float[n, 3] y) {
        a = MatMul (x, w) t = Tanh (a) y = Add (t, x) }""",
        r"n2 \(Add\)",
        w=f4(3, 3),
    ),
    graph(
        "swish",
        """m (float[n, 3] x) => (float[n, 4] y) {
        a = MatMul (x, w) s = Sigmoid (a) y = Mul (a, s) }""",
        r"n2 \(Mul\): .*Swish",
        w=W,
    ),
    graph(
        "attention",
        """m (float[n, 3] x) => (float[n, 3] y) {
        q = MatMul (x, w) k = MatMul (x, v) kt = Transpose <perm = [1, 0]> (k)
        s = MatMul (q, kt) p = Softmax (s) y = MatMul (p, x) }""",
        r"n5 \(MatMul\)",
        w=f4(3, 3),
        v=f4(3, 3),
    ),
    graph(
        "a weight that is an input",
        """m (float[n, 3] x, float[3, 4] w) => (float[n, 4] y) { y = MatMul (x, w) }""",
        r"n0 \(MatMul\)",
    ),
    graph(
        "two towers",
        """m (float[n, 3] a, float[n, 3] b) => (float[n, 8] y) {
        c = MatMul (a, w) d = MatMul (b, w) e = Relu (c) f = Relu (d)
        y = Concat <axis = 1> (e, f) }""",
        r"n4 \(Concat\)",
        w=W,
    ),
    graph(
        "a choice",
        """m (float[3] x) => (float[3] y) {
        s = ReduceSum (x) c = Greater (s, zero)
        y = If (c) <then_branch = t () => (float[3] p) { p = Tanh (x) },
                    else_branch = e () => (float[3] q) { q = Relu (x) }> }""",
        r"n2 \(If\)",
        zero=np.float32([0]),
    ),
    scan("gates", GATED, r"\(Mul\)", w=W),
    scan("a rate before its step", BEHIND, r"\(Tanh\): .*after their step", w=W, k=K),
)

CASES = (*COMES_IN, Case("helper", "QONNX Quant", _quant), *REFUSED)
