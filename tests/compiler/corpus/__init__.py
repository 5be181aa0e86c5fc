"""Models of many producers, made anew for each run: what comes in, and what is refused by name."""

from corpus import by_helper, by_onnxruntime, by_onnxscript, by_sklearn, by_torch
from corpus.case import Case

CASES: tuple[Case, ...] = (
    *by_helper.CASES,
    *by_torch.CASES,
    *by_sklearn.CASES,
    *by_onnxscript.CASES,
    *by_onnxruntime.CASES,
)

__all__ = ["CASES", "Case"]
