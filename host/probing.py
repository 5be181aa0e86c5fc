"""Chosen words of a run: which to watch, and what was seen of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vle.host.checks import integers
from vle.host.chip import Chip, Raw
from vle.host.registers import BYTES

KINDS = {"u": 1, "r": 2, "v": 3, "e": 4, "exponent": 5, "weight": 6}
KIND_AT, LAYER_AT = 28, 20  # bits of a selector
STEP_AT, STEPS = 16, 1 << 16  # of the number of a word


@dataclass(frozen=True)
class Probe:
    """A word to watch.

    Parameters
    ----------
    kind
        ``u``, ``r``, ``v``, ``e``, ``exponent`` or ``weight``.
    layer
        Index of its layer.
    neuron
        Index of its neuron, the row of a weight.
    column
        Of a weight.
    """

    kind: str
    layer: int
    neuron: int = 0
    column: int = 0


@dataclass(frozen=True)
class Probed:
    """What a probe has seen.

    Parameters
    ----------
    probe
        What it watches.
    step
        Steps since it was set, shape `(n,)`; words that were lost are missing.
    raw
        Words, shape `(n,)`.
    value
        The same in real units.
    """

    probe: Probe
    step: Raw
    raw: Raw
    value: NDArray[np.float64]


def selector(chip: Chip, probe: Probe) -> int:
    """Return the word of a register that chooses a word to watch.

    Raises
    ------
    ValueError
        For one that this chip has not.
    """
    if probe.kind not in KINDS:
        raise ValueError(f"kind of a probe must be one of {', '.join(KINDS)}, not {probe.kind!r}")
    integers("layer of a probe", probe.layer, (0, len(chip.bundle.layers) - 1))
    rows, columns = chip.bundle.layers[probe.layer].shape("weight")
    integers("neuron of a probe", probe.neuron, (0, rows - 1))
    kind = KINDS[probe.kind] << KIND_AT
    if probe.kind != "weight":
        return kind | probe.layer << LAYER_AT | probe.neuron
    integers("column of a probe", probe.column, (0, columns - 1))
    return kind | int(chip.addresses("weight", probe.layer)[probe.neuron, probe.column]) // BYTES


class Probing:
    """The probes of a chip, and how far each has come.

    Parameters
    ----------
    chip
        The chip.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.registers = [name for name in chip.bundle.map.address if name.startswith("PROBE[")]
        self.probes: tuple[Probe, ...] = ()
        self.reached: list[int] = []

    def set(self, probes: tuple[Probe, ...]) -> None:
        """Watch these words from the next step on, and no others.

        Raises
        ------
        ValueError
            For words that this chip has not, and for too many.
        """
        if len(probes) > len(self.registers):
            raise ValueError(f"probes must be {len(self.registers)} at most, not {len(probes)}")
        words = [selector(self.chip, probe) for probe in probes]
        words += [0] * (len(self.registers) - len(words))
        self.chip.until_idle()
        for name, word in zip(self.registers, words, strict=True):
            self.chip.write(name, word)
        self.chip.transport.take_probes()
        self.probes, self.reached = probes, [0] * len(probes)

    def take(self) -> list[Probed]:
        """Return what was seen since the last call, or since the probes were set."""
        self.chip.until_idle()
        rows = self.chip.transport.take_probes()
        return [self._probed(k, rows[rows["user"] & 0xFF == k]) for k in range(len(self.probes))]

    def _probed(self, k: int, rows: NDArray[Any]) -> Probed:
        """Count steps on, which come modulo `STEPS`; those of words that were lost count, too."""
        probe, user = self.probes[k], rows["user"].astype(np.int64)
        low = user >> STEP_AT
        step = self.reached[k] + np.cumsum(np.diff(low, prepend=self.reached[k]) % STEPS)
        if len(step):
            self.reached[k] = int(step[-1])
        raw = rows["word"].astype(np.int64)
        exponent = (user >> 8 & 0xFF).astype(np.uint8).view(np.int8).astype(np.int64)
        return Probed(probe, step, raw, self._real(probe, raw, exponent))

    def _real(self, probe: Probe, raw: Raw, exponent: Raw) -> NDArray[np.float64]:
        layer = self.chip.bundle.layers[probe.layer]
        assert layer.learning is not None
        guard = layer.learning.v_width - layer.learning.error_width
        points = {"u": layer.u.f_bits, "r": layer.rate.f_bits, "v": guard}
        points["weight"] = layer.learning.weight_point
        place = exponent if probe.kind in ("v", "e") else exponent * 0
        return np.asarray(np.ldexp(raw.astype(np.float64), place - points.get(probe.kind, 0)))
