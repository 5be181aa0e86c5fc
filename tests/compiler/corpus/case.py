"""One file of the corpus."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A model, and what is to become of it.

    Parameters
    ----------
    producer, name
        Who writes it, and what it is.
    write
        Writes it to a path.
    refused
        Node and operator that the refusal names, as a regular expression; None: it compiles.
    layout
        `static` (frames first), `time` (T, batch, inputs), `batch` (batch, T, inputs); `last` after
        a comma: the answer is that of the last step.
    output
        Which of the outputs counts.
    """

    producer: str
    name: str
    write: Callable[[Path], object]
    refused: str | None = None
    layout: str = "static"
    output: int = 0

    def __str__(self) -> str:
        return f"{self.producer}-{self.name}".replace(" ", "_")
