"""From a float network to exact integers, a plan of the circuit, and a bundle of files."""

from vle.compiler.compile import compile_model
from vle.compiler.design import Design
from vle.compiler.quantization.learning import LearningOptions
from vle.compiler.search.goal import Goal

__all__ = ["Design", "Goal", "LearningOptions", "compile_model"]
