"""From a float network to exact integers, a plan of the circuit, and a bundle of files."""

from vle.compiler.compile import compile_model
from vle.compiler.design import Design
from vle.compiler.quantization.learning import LearningOptions

__all__ = ["Design", "LearningOptions", "compile_model"]
