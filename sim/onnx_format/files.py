"""ONNX files on disk: read with every failure named, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import ModelProto, checker

LIMIT = 2**31 - 1  # bytes that one protobuf message may have


def read_model_file(path: str | os.PathLike[str]) -> ModelProto:
    """Read a file as ONNX, its external data too, without judging what the model computes.

    Raises
    ------
    OSError
        If the file is not there or cannot be read.
    ValueError
        If it is not a whole ONNX model, or larger than one protobuf message may be.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: must be an ONNX file, not a folder")
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError(f"{path}: must be a regular file, not a device or a pipe")
    if size > LIMIT:
        raise ValueError(f"{path}: must be at most {LIMIT} bytes, not {size}; use external data")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise ValueError(
            f"{path}: must be an ONNX model; it is something else or cut off"
        ) from None
    if not model.ir_version or not (model.graph.node or model.graph.output):
        raise ValueError(f"{path}: must be an ONNX model; there is no graph in it")
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, checker.ValidationError) as error:
        raise ValueError(f"{path}: external data must be readable: {error}") from error
    return model


def write_model_file(model: ModelProto, path: str | os.PathLike[str]) -> None:
    """Check a model and write it; the file is there whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the model is larger than one protobuf message may be.
    """
    path = Path(path)
    try:
        checker.check_model(model, full_check=True)
        data = model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise ValueError(f"{path}: model must fit {LIMIT} bytes: {error}") from error
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
