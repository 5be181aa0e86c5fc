"""From a float network to exact integers, a plan of the circuit, and a bundle of files."""

from vle.compiler.compile import compile_model
from vle.compiler.design import Design

__all__ = ["Design", "compile_model"]
