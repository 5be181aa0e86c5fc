"""NIR graphs, both ways: of leaky integrators and what is linear (docs/nir.md).

The passes: `source` (file to flat graph), `signals` (each node as an affine map of what has
memory), `levels` (what has memory to layers). `export` goes the other way.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vle.errors import CompileError

if TYPE_CHECKING:
    from vle.sim import Network

__all__ = ["is_nir", "read_graph", "save"]

MAGIC = b"\x89HDF\r\n\x1a\n"


def is_nir(path: Path) -> bool:
    """Whether a file is named, or begins, like a NIR graph."""
    if path.suffix == ".nir":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_graph(path: Path, dt: float | None = None) -> tuple[Network, tuple[str, ...]]:
    """Read a NIR graph as a network, with notes on what the file does not show.

    Parameters
    ----------
    path
        The file.
    dt
        Length of a step in the unit of the graph's time constants; None: as the metadata of the
        graph say.

    Raises
    ------
    CompileError
        Naming node and rule, if the graph cannot be read or mapped.
    """
    if find_spec("nir") is None:
        raise CompileError("NIR graphs need the extra nir: pip install 'vle[nir]'")
    from vle.compiler.frontend.nir.levels import build_network  # noqa: PLC0415 - imports nir
    from vle.compiler.frontend.nir.signals import read_system  # noqa: PLC0415
    from vle.compiler.frontend.nir.source import read_source, step_length  # noqa: PLC0415

    graph = read_source(path)
    with np.errstate(all="ignore"):  # what is not finite is refused, with its layer
        system = read_system(graph)
        step, notes = step_length(graph, dt, timed=bool(system.integrators))
        network, more = build_network(system, step)
    return network, notes + system.notes + more


def save(network: Network, path: str | Path) -> tuple[str, ...]:
    """Write a network as a NIR graph; see `vle.compiler.frontend.nir.export.save`."""
    from vle.compiler.frontend.nir import export  # noqa: PLC0415 - imports nir

    return export.save(network, path)
