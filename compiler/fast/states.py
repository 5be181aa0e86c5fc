"""States as the words of `Layer`, and back; counts."""

from __future__ import annotations

from vle.compiler.fast.words import Record, Words
from vle.compiler.fixed import Raw
from vle.compiler.layer import Saturation
from vle.compiler.learning.errors import Scale
from vle.compiler.learning.step import Clamped, LearningState
from vle.compiler.learning.time_constants import Logs, Sensitivity
from vle.compiler.learning.traces import Trace
from vle.compiler.network import LayerState


def run_words(state: LayerState) -> Words:
    """Words of a layer's state, of all sequences of the batch."""
    flags = {"start": int(state.start), "waiting": int(state.waiting)}
    return {"u": state.u, "r": state.r, **flags}


def state_words(state: LearningState) -> Words:
    """Words of what a layer carries from step to step."""
    words: dict[str, int | Raw] = {
        **{name: getattr(state, name) for name in ("weight", "bias", "prime", "v", "down", "loop")},
        "noise": state.noise,
        "mantissa": state.rate.mantissa,
        "rate_exponent": state.rate.exponent,
        "tau_mantissa": state.tau_rate.mantissa,
        "tau_exponent": state.tau_rate.exponent,
        "exponent": state.scale.exponent,
        "quiet": state.scale.quiet,
        "before": state.exponent,
    }
    if state.logs is not None:
        words |= state.logs._asdict()
    if state.trace is not None:
        words |= {"low_pass": state.trace.low, "bar": state.trace.bar}
    if state.sensitivity is not None:
        names = ("sense_low", "sense_m", "sense_r")
        words |= dict(zip(names, state.sensitivity, strict=True))
    return words


def run_state(record: Record, index: int) -> LayerState:
    """State of a layer after a run, of all sequences of the batch."""
    words, flags = record.arrays[index], (record.scalar(index, n) for n in ("start", "waiting"))
    return LayerState(words["u"], words["r"], *map(bool, flags))


def learning_state(record: Record, index: int, before: LearningState) -> LearningState:
    """Read what a layer carries after a run; registers stay as they were."""
    words = record.arrays[index]
    trace, sense = before.trace, before.sensitivity
    names = ("sense_low", "sense_m", "sense_r")
    return LearningState(
        weight=words["weight"],
        bias=words["bias"],
        logs=None if before.logs is None else Logs(words["log_m"], words["log_r"]),
        rate=before.rate,
        tau_rate=before.tau_rate,
        scale=Scale(record.scalar(index, "exponent"), record.scalar(index, "quiet")),
        noise=record.scalar(index, "noise"),
        exponent=record.scalar(index, "before"),
        prime=words["prime"],
        v=words["v"],
        down=words["down"],
        loop=words["loop"],
        trace=None if trace is None else Trace(words["low_pass"], words["bar"]),
        sensitivity=None if sense is None else Sensitivity(*(words[name] for name in names)),
    )


def clamped(record: Record, index: int) -> Clamped:
    """How many words a layer clamped while it learned."""
    return Clamped(*record.arrays[index]["clamped"].tolist())


def saturation(record: Record, index: int) -> Saturation:
    """How many words a layer clamped, in all sequences of the batch."""
    return Saturation(*record.arrays[index]["saturated"].tolist())
