"""First pass: a file on disk to an ONNX model."""

from __future__ import annotations

from pathlib import Path

import onnx.inliner
from onnx import ModelProto

from vle.errors import CompileError
from vle.sim.onnx_format import is_ours
from vle.sim.onnx_format.files import read_model_file

QONNX = "qonnx.custom_op.general"  # known by name, not by what functions it may bring


def read_source(path: Path) -> ModelProto:
    """Read a model; functions of other origin are replaced by what they compute.

    Raises
    ------
    CompileError
        If there is no such file, or it is not a whole ONNX model.
    """
    try:
        model = read_model_file(path)
    except FileNotFoundError:
        raise CompileError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise CompileError(one_line(error).removeprefix(f"{path}: ")) from error
    if not model.functions or is_ours(model):
        return model
    try:
        kept = [(f.domain, f.name) for f in model.functions if f.domain == QONNX]
        return onnx.inliner.inline_selected_functions(model, kept, exclude=True)
    except Exception as error:  # the inliner raises what its C++ raises
        raise CompileError(f"its functions must be inlinable: {one_line(error)}") from error


def one_line(error: object) -> str:
    """Text of an error without its line breaks, 300 characters at most."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."
