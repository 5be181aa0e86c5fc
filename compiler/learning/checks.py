"""Whether a state is one that a network that learns can be in: kinds, shapes, words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vle.compiler.fixed import Raw
from vle.compiler.layer import LayerSpec
from vle.compiler.learning.derivative import PRIME_WIDTH
from vle.compiler.learning.errors import HIGHEST, LOWEST, PATIENCE, SUM_WIDTH
from vle.compiler.learning.spec import LearningSpec
from vle.compiler.learning.step import LearningState
from vle.compiler.learning.time_constants import LOG_WIDTH, SENSITIVITY_WIDTH
from vle.compiler.learning.traces import GUARD
from vle.compiler.network import LayerState

if TYPE_CHECKING:
    from vle.compiler.learning.network import LearningNetwork, LearnState

Words = dict[str, Raw | None]


def check(net: LearningNetwork, state: LearnState) -> None:
    """Refuse a state that is none of a network.

    Raises
    ------
    ValueError
        Where kinds or shapes of words differ, or words do not fit.
    """
    wanted, rows = net.reset(), list(zip(state.run.layers, state.learning, strict=False))
    shapes = [_shapes(words_of(*row)) for row in rows]
    own = zip(wanted.run.layers, wanted.learning, strict=True)
    lengths = {len(state.run.layers), len(state.learning)}
    if lengths != {len(net.learning)} or shapes != [_shapes(words_of(*row)) for row in own]:
        raise ValueError("state must be of this network: its layers differ")
    for layer, learning, row in zip(net.network.layers, net.learning, rows, strict=True):
        limits = limits_of(layer, learning)
        for kind, raw in words_of(*row).items():
            if raw is not None:
                _check_words(f"{layer.name}: {kind} of the state", raw, limits[kind])
        _check_registers(layer.name, row[1])


def words_of(run: LayerState, own: LearningState) -> Words:
    """Return the words of a layer's state by kind; None where it has none of a kind."""
    names = ("weight", "bias", "prime", "v", "down", "loop")
    words: Words = {"u": run.u, "r": run.r, **{name: getattr(own, name) for name in names}}
    for kinds, group in (
        (("log_m", "log_r"), own.logs),
        (("trace_low", "trace_bar"), own.trace),
        (("sense_low", "sense_m", "sense_r"), own.sensitivity),
    ):
        words |= dict.fromkeys(kinds) if group is None else dict(zip(kinds, group, strict=True))
    return words


def limits_of(layer: LayerSpec, learning: LearningSpec) -> dict[str, tuple[int, int]]:
    """Lowest and highest word of each kind."""
    heard = learning.heard_width(layer)
    widths = {
        **{"u": layer.u_format.width, "r": layer.rate_format.width, "bias": layer.u_format.width},
        **{"weight": layer.weight_width, "prime": PRIME_WIDTH, "v": learning.v_width},
        **{"down": SUM_WIDTH, "loop": SUM_WIDTH},
        **{"trace_low": heard + GUARD, "trace_bar": heard},
        **dict.fromkeys(("sense_low", "sense_m", "sense_r"), SENSITIVITY_WIDTH),
    }
    found = {kind: (-(1 << width - 1), (1 << width - 1) - 1) for kind, width in widths.items()}
    return found | dict.fromkeys(("log_m", "log_r"), (0, (1 << LOG_WIDTH) - 1))


def _shapes(words: Words) -> dict[str, tuple[int, ...] | None]:
    return {kind: None if raw is None else raw.shape for kind, raw in words.items()}


def _check_words(what: str, raw: Raw, limits: tuple[int, int]) -> None:
    low, high = limits
    outside = raw.size and not low <= int(raw.min()) <= int(raw.max()) <= high
    if raw.dtype.kind not in "iu" or outside:
        raise ValueError(f"{what} must be integers in {low}..{high}")


def _check_registers(name: str, own: LearningState) -> None:
    for what, word, low, high in (
        ("exponent", own.scale.exponent, LOWEST, HIGHEST),
        ("exponent of the step before", own.exponent, LOWEST, HIGHEST),
        ("steps with small errors", own.scale.quiet, 0, PATIENCE - 1),
        ("draws", own.noise, 1, (1 << 32) - 1),
    ):
        if not low <= word <= high:
            raise ValueError(f"{name}: {what} of the state must be in {low}..{high}, not {word!r}")
