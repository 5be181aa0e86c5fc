"""What the compiler has to say: no number changes silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple


class Note(NamedTuple):
    """A sentence about a layer, and what differs from layer to layer in it."""

    text: str
    detail: str = ""


def joined(notes: Iterable[tuple[int, Note]]) -> tuple[str, ...]:
    """Say once what holds for several layers, their details in the order of the layers."""
    layers: dict[str, list[int]] = {}
    details: dict[str, list[str]] = {}
    for index, note in notes:
        layers.setdefault(note.text, []).append(index)
        details.setdefault(note.text, []).append(note.detail)
    return tuple(
        f"{_layers(which)}: {text}{_details(details[text])}" for text, which in layers.items()
    )


def _layers(which: list[int]) -> str:
    spans = ["-".join(map(str, dict.fromkeys((span[0], span[-1])))) for span in _spans(which)]
    return f"layer{'s' * (len(which) > 1)} {', '.join(spans)}"


def _spans(numbers: list[int]) -> Iterator[list[int]]:
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        yield [number for _, number in run]


def _details(details: list[str]) -> str:
    same = list(dict.fromkeys(details))
    shown = same if len(same) == 1 else details
    return f" ({', '.join(shown)})" if any(shown) else ""
