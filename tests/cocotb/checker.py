"""Where model and chip meet: frames, start flags, state words, counters."""

from __future__ import annotations

import numpy as np
from expected import Expected, differing_words


def check_frames(want: Expected, got: list[tuple[np.ndarray, bool]]) -> None:
    """Every word of every output frame, and its start flag."""
    assert len(got) == len(want.outputs)
    for step, (words, start) in enumerate(got):
        assert words.tolist() == want.outputs[step].tolist(), f"output frame {step}"
        assert start == want.start[step], f"start flag of output frame {step}"


def check_state(want: Expected, trace: np.ndarray) -> int:
    """Every `u` and `r` of every step; returns how many words were compared."""
    differing, compared = differing_words(want, trace)
    assert differing == 0, f"{differing} of {compared} state words differ"
    assert compared > 0
    return compared
