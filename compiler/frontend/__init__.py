"""Front ends: a file that a user brings becomes a network, or is refused by name.

The passes, each in a file of its own: `source` (file to ONNX model), `chain` (graph to one chain of
operations), `reading` (operations to steps, by the operators registered in `linear`,
`activations`, `shapes`, `recurrent`, `outputs`), `layers` (steps to layers). NIR graphs have
passes of their own, in `nir`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vle.errors import CompileError

if TYPE_CHECKING:
    from onnx import ModelProto

    from vle.compiler.frontend.outputs import HostStep
    from vle.compiler.quantization.given import LayerGrid, RateGrid
    from vle.sim import Network

__all__ = ["Imported", "import_model", "read_model"]


@dataclass(frozen=True)
class Imported:
    """A network that came from a file.

    Parameters
    ----------
    network
        What the chip is to compute; `aligned` where the model knows no delay between its layers.
    notes
        What the user should know, such as a softmax that is left to the host.
    host
        What the host is to do with the answers, in order, to have those of the model.
    grids
        Of each layer, of a model that was quantised before; empty: the compiler's choice.
    inputs
        Of the inputs, likewise.
    file
        Where it came from.
    """

    network: Network
    notes: tuple[str, ...] = ()
    host: tuple[HostStep, ...] = ()
    grids: tuple[LayerGrid, ...] = ()
    inputs: RateGrid | None = None
    file: str | None = None

    def finish(self, answer: NDArray[Any]) -> NDArray[Any]:
        """Do what is left to the host: from answers ``(..., outputs)`` to those of the model."""
        for step in self.host:
            answer = step.apply(answer)
        return answer


def read_model(path: str | os.PathLike[str]) -> Network:
    """Read a model as a network; see `import_model`."""
    return import_model(path).network


def import_model(path: str | os.PathLike[str], *, dt: float | None = None) -> Imported:
    """Read a model: a network that vle wrote, a chain of dense and Elman layers as ONNX, or NIR.

    Parameters
    ----------
    path
        The file.
    dt
        Length of a step of a NIR graph, in the unit of its time constants; None: as its metadata
        say. ONNX models bring their own.

    Raises
    ------
    CompileError
        Naming file, node and rule, if the file is not a model or the model cannot be mapped.
    """
    from vle.compiler.frontend.nir import is_nir, read_graph  # noqa: PLC0415
    from vle.compiler.frontend.source import read_source  # noqa: PLC0415 - imports onnx
    from vle.sim.onnx_format import FormatError, from_model, is_ours  # noqa: PLC0415

    try:
        if is_nir(Path(path)):
            return Imported(*read_graph(Path(path), dt), file=str(path))
        if dt is not None:
            raise CompileError("dt must be left out: the steps of ONNX models are their own")
        model = read_source(Path(path))
        if is_ours(model):
            return Imported(from_model(model), file=str(path))
        return replace(_import_foreign(model), file=str(path))
    except CompileError as error:
        raise CompileError(error.message, file=str(path), node=error.node) from error
    except RecursionError:
        raise CompileError("graph must be less deep", file=str(path)) from None
    except FormatError as error:
        raise CompileError(error.message, file=str(path), node=error.node) from error


def _import_foreign(model: ModelProto) -> Imported:
    """Map a model of another producer, in steps of 1."""
    from vle.compiler.frontend.chain import build_chain  # noqa: PLC0415
    from vle.compiler.frontend.graph import Graph  # noqa: PLC0415
    from vle.compiler.frontend.layers import build_layers  # noqa: PLC0415
    from vle.compiler.frontend.outputs import choose_output  # noqa: PLC0415
    from vle.compiler.frontend.reading import check_valid, read_steps  # noqa: PLC0415
    from vle.compiler.frontend.registry import check_operators  # noqa: PLC0415
    from vle.compiler.frontend.stepping import read_loop, step_loop  # noqa: PLC0415
    from vle.sim import Network  # noqa: PLC0415

    with np.errstate(all="ignore"):  # what is not finite is refused, with its node
        graph = Graph(model)
        check_operators(graph)
        loop = step_loop(graph)
        output = choose_output(graph) if loop is None else ("", ())
        check_valid(graph)
        if loop is None:
            script = read_steps(graph, build_chain(graph, *output))
        else:
            script = read_loop(graph, loop)
        built = build_layers(script.steps, script.inputs)
    if not built.layers:
        raise CompileError("model must have at least one layer, not none")
    network = Network(built.layers, 1.0, aligned=True)
    return Imported(network, script.notes + built.notes, script.host, built.grids, built.inputs)
