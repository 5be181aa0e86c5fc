"""What `compile_model` is given: of the right type, or refused by name."""

from __future__ import annotations

import numbers
import os

from vle.compiler.design import Design
from vle.compiler.frontend import Imported
from vle.compiler.planning.boards import Board
from vle.compiler.quantization.learning import LearningOptions
from vle.sim import Network

KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "model": ("a path, a Network or an Imported", (str, os.PathLike, Network, Imported)),
    "lanes": ("a whole number", (numbers.Integral,)),
    "board": ("a name or a Board", (str, Board)),
    "learning": ("a bool or LearningOptions", (bool, LearningOptions)),
    "like": ("a path or a Design", (str, os.PathLike, Design)),
}
NEEDED = ("model", "learning")


def check_types(**given: object) -> None:
    """Refuse values of another type; None is one where an argument may be left out.

    Raises
    ------
    TypeError
        Naming the argument.
    """
    for name, value in given.items():
        what, kinds = KINDS[name]
        if value is None and name not in NEEDED:
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise TypeError(f"{name} must be {what}, not {value!r:.60}")
