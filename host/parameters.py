"""What a chip computes with: read, checked, written."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from vle.host.checks import instance
from vle.host.chip import Chip, Raw


@dataclass(frozen=True)
class Parameters:
    """Raw words of one layer; None where the layer has none of a kind.

    Parameters
    ----------
    weight
        Shape `(outputs, columns)`, the columns of its own rates last.
    bias
        Shape `(outputs,)`, as all that follow but the table.
    scale
        Of a chip that does not learn.
    alpha, rho
        Constants of the neurons; where time constants learn they follow from `log_m` and `log_r`.
    table_value, table_delta
        Entries of the activation's table, and from each to the next; None also to leave the table
        as it is.
    kappa, beta
        Constants of the errors, of a chip that learns; likewise.
    log_m, log_r
        Logarithms of time constants that learn.
    """

    weight: Raw
    bias: Raw
    scale: Raw | None = None
    alpha: Raw | None = None
    rho: Raw | None = None
    table_value: Raw | None = None
    table_delta: Raw | None = None
    kappa: Raw | None = None
    beta: Raw | None = None
    log_m: Raw | None = None
    log_r: Raw | None = None


KINDS = tuple(field.name for field in fields(Parameters))


def is_parameter(kind: str) -> bool:
    """Whether words of a kind are parameters, not state."""
    return kind in KINDS


def read(chip: Chip) -> list[Parameters]:
    """Read the parameters of all layers; the chip must be halted."""
    return [
        Parameters(**{k: chip.get(k, layer) for k in chip.kinds(layer) if is_parameter(k)})
        for layer in range(len(chip.bundle.layers))
    ]


def checked(chip: Chip, parameters: list[Parameters]) -> list[dict[str, Raw]]:
    """Return the words that are to be written, by layer and kind.

    Raises
    ------
    TypeError, ValueError
        Where any of them does not fit.
    """
    instance("parameters", parameters, list)
    for layer, words in enumerate(parameters):
        instance(f"parameters[{layer}]", words, Parameters)
    if len(parameters) != len(chip.bundle.layers):
        raise ValueError(f"parameters must be of {len(chip.bundle.layers)} layers")
    found = [_layer(chip, index, words) for index, words in enumerate(parameters)]
    check_shared(chip, found)
    return found


def _layer(chip: Chip, index: int, parameters: Parameters) -> dict[str, Raw]:
    layer, own = chip.bundle.layers[index], set(filter(is_parameter, chip.kinds(index)))
    given = {kind: raw for kind, raw in vars(parameters).items() if raw is not None}
    tables = {kind for kind in KINDS if kind.startswith("table")}
    if len(tables & set(given)) == 1 or (tables & set(given)) - own:
        rule = "both or neither" if layer.entries else "None where a layer has no table"
        raise ValueError(f"{layer.name}: table_value and table_delta must be {rule}")
    for kind in KINDS:
        if kind in given and kind not in own:
            raise ValueError(f"{layer.name}: {kind} must be None where a layer has none")
        if kind in own - tables and kind not in given:
            raise ValueError(f"{layer.name}: {kind} must be given")
    words = {kind: chip.check(kind, index, raw) for kind, raw in given.items()}
    check_sums(chip, index, words)
    return words


def check_sums(chip: Chip, index: int, words: dict[str, Raw]) -> None:
    """Prove that nothing of a layer with these words overflows.

    Raises
    ------
    ValueError
        Where something can.
    """
    layer = chip.bundle.layers[index]
    layer.check_accumulator(words["weight"])
    if "table_value" in words:
        layer.check_table(words["table_value"], words["table_delta"])


def check_shared(chip: Chip, parameters: list[dict[str, Raw]]) -> None:
    """Refuse two tables for layers of an engine whose tables are equal: they have only one.

    Raises
    ------
    ValueError
        Naming the layers.
    """
    first: dict[int, int] = {}
    for (kind, layer), window in chip.bundle.map.windows.items():
        if not kind.startswith("table"):
            continue
        other = first.setdefault(window.base, layer)
        if not np.array_equal(parameters[other].get(kind, []), parameters[layer].get(kind, [])):
            names = " and ".join(chip.bundle.layers[k].name for k in (other, layer))
            raise ValueError(f"{kind} must be the same for {names}, which share a table")


def write(chip: Chip, words: list[dict[str, Raw]]) -> None:
    """Write words that were checked; the chip must be halted."""
    for index, kinds in enumerate(words):
        for kind, raw in kinds.items():
            chip.put(kind, index, raw)
