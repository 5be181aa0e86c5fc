"""Inputs and rates finer than their range asks for, where clipping costs less than rounding."""

from __future__ import annotations

from vle.compiler.quantization.choice import Choice
from vle.compiler.search.judge import Judge

BELOW = 12  # bits of a rate: wider ones have nothing to gain
MOST = 3  # bits finer
GAIN = 0.99  # of the error that must remain at most, or the wider range is kept
CLIPPING = ("identity", "relu", "leaky_relu")  # functions whose rates a finer format just clips


def refined(judge: Judge, choice: Choice) -> Choice:
    """Return the choice with formats of inputs and rates of the least error on the data.

    One format at a time, from the inputs up, each a bit finer as long as that helps.
    """
    if judge.widths.rate >= BELOW or judge.known.source != "data":
        return choice
    error = judge.error(choice)
    for place in _places(judge):
        for _ in range(MOST):
            tried = choice.sharpened(place)
            found = judge.error(tried)
            if not found < GAIN * error:
                break
            choice, error = tried, found
    return choice


def _places(judge: Judge) -> list[int]:
    """List the formats that are free to choose: 0 of the inputs, 1 and on of the layers."""
    given = judge.given
    free = [0] if given.inputs is None else []
    for index, layer in enumerate(judge.network.layers):
        if layer.activation.name in CLIPPING and given.of(index).rate is None:
            free.append(index + 1)
    return free
