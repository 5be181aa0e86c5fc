"""The model-local functions of the domain `vle`, in ONNX's own text form.

Everything is double precision, so that the file equals the float64 reference. Constants that are
not exact in single precision are inputs, not attributes: an ONNX attribute holds a 32-bit float.
"""

from __future__ import annotations

from functools import cache

import onnx.parser
from onnx import FunctionProto

DOMAIN = "vle"
DOMAIN_VERSION = 1
OPSET = 21
IR_VERSION = 10

LAYER = "Layer"
RECURRENT_LAYER = "RecurrentLayer"

_NEURONS = """
  d = Sub (current, u)
  ratio = Div (tau_r, tau_m)
  ahead = Mul (ratio, d)
  prosp_u = Add (u, ahead)
  alpha = Div (dt, tau_m)
  leak = Mul (alpha, d)
  u_next = Add (u, leak)
"""

_LAYERS = {
    LAYER: f"""Layer (x, u, weight, bias, tau_m, tau_r, dt) => (u_next, prosp_u) {{
  current = Gemm <transB = 1> (x, weight, bias){_NEURONS}}}""",
    RECURRENT_LAYER: f"""RecurrentLayer (x, r, u, weight, recurrent, bias, tau_m, tau_r, dt)
    => (u_next, prosp_u) {{
  below = Gemm <transB = 1> (x, weight, bias)
  own = Gemm <transB = 1> (r, recurrent)
  current = Add (below, own){_NEURONS}}}""",
}

_ACTIVATIONS = {
    "Identity": "Identity (p) => (r) { r = Identity (p) }",
    "Relu": "Relu (p) => (r) { r = Relu (p) }",
    "LeakyRelu": """LeakyRelu (p, alpha) => (r) {
  zero = Constant <value = double {0.0}> ()
  negative = Less (p, zero)
  scaled = Mul (alpha, p)
  r = Where (negative, scaled, p)
}""",
    "Tanh": "Tanh (p) => (r) { r = Tanh (p) }",
    "Sigmoid": "Sigmoid (p) => (r) { r = Sigmoid (p) }",
    "Softplus": """Softplus (p) => (r) {
  one = Constant <value = double {1.0}> ()
  size = Abs (p)
  minus = Neg (size)
  small = Exp (minus)
  sum = Add (one, small)
  tail = Log (sum)
  ramp = Relu (p)
  r = Add (ramp, tail)
}""",
    "HardTanh": """HardTanh (p) => (r) {
  low = Constant <value = double {-1.0}> ()
  high = Constant <value = double {1.0}> ()
  r = Clip (p, low, high)
}""",
    "HardSigmoid": """HardSigmoid (p, alpha, beta) => (r) {
  low = Constant <value = double {0.0}> ()
  high = Constant <value = double {1.0}> ()
  scaled = Mul (alpha, p)
  shifted = Add (scaled, beta)
  r = Clip (shifted, low, high)
}""",
}

ACTIVATION_OF = {
    "Identity": "identity",
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "HardTanh": "hard_tanh",
    "HardSigmoid": "hard_sigmoid",
}
"""Our name of the activation that a function computes."""

FUNCTION_OF = {name: function for function, name in ACTIVATION_OF.items()}
"""The function that computes an activation."""

CONSTANTS_OF = {"leaky_relu": ("alpha",), "hard_sigmoid": ("alpha", "beta")}
"""The constants that an activation takes as further inputs."""

NAMES = (*_LAYERS, *_ACTIVATIONS)


def text(name: str) -> str:
    """Body of a function as ONNX text."""
    return (_LAYERS | _ACTIVATIONS)[name]


@cache
def function(name: str) -> FunctionProto:
    """One function of the domain, as it is stored in a model."""
    header = f'<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>'
    return onnx.parser.parse_function(f"{header} {text(name)}")
