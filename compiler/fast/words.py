"""The fields that Python and C++ share, and the header that declares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vle.compiler.fixed import Raw
from vle.compiler.learning import errors, noise, time_constants, top, traces, updates
from vle.compiler.learning.derivative import PRIME_WIDTH

Words = Mapping[str, int | Raw]

SCALARS = (
    *("inputs", "outputs", "columns", "start", "waiting", "learns"),
    *("scale_shift", "alpha_shift", "rho_shift", "u_width", "weight_width", "rate_width"),
    *("is_table", "act_shift", "negative_slope", "positive_slope", "offset", "low", "high"),
    *("counts_low", "counts_high", "entries", "tail_shift"),
    *("derivative", "prime_negative", "prime_positive", "prime_one", "prime_linear", "prime_move"),
    *("prime_tail", "loops", "groups", "learns_tau", "senses", "prime_shift", "kappa_shift"),
    *("beta_shift", "error_width", "v_width", "update_shift", "bar_drop", "heard_width"),
    *("log_high", "sums_point", "drop", "signal_point", "bias_point", "tau_point", "tau_shift"),
    *("mantissa", "rate_exponent", "tau_mantissa", "tau_exponent"),
    *("exponent", "quiet", "before", "noise"),
)
ARRAYS = (
    *("weight", "scale", "bias", "alpha", "rho", "value", "delta", "u", "r"),
    *("kappa", "beta", "group", "first", "log_m", "log_r", "prime", "v", "down", "loop"),
    *("low_pass", "bar", "sense_low", "sense_m", "sense_r"),
    *("saturated", "clamped", "trace_u", "trace_r", "trace_v", "trace_e", "trace_exponent"),
)
RUN_SCALARS = (
    *("steps", "batch", "layers", "wide", "fresh", "cross_entropy", "rate_bits", "error_bits"),
    *("probes", "traces"),
)
RUN_ARRAYS = ("x", "target", "flags", "output", "probe", "probed", "top_exp2", "log_exp2")

LAYER = np.dtype([(name, np.int64) for name in (*SCALARS, *ARRAYS)])
RUN = np.dtype([(name, np.int64) for name in (*RUN_SCALARS, *RUN_ARRAYS)])

_MODULES = (
    (errors, ("GUARD", "LEFT", "RIGHT", "LOWEST", "HIGHEST", "PATIENCE")),
    (noise, ("ROW", "COLUMN", "SIGNAL")),
    (updates, ("SIGNAL_WIDTH", "SIGNAL_LEFT")),
    (top, ("PROBABILITY_BITS", "LOG2E_SHIFT", "LOG2E", "RECIPROCAL", "FAR")),
    (time_constants, ("LOG_BITS", "CONSTANT_WIDTH", "UNIT_SHIFT", "RATIO_SHIFT", "MANTISSA")),
    (time_constants, ("SENSITIVITY_WIDTH",)),
)
CONSTANTS = {name: int(getattr(module, name)) for module, names in _MODULES for name in names} | {
    "DRAW_WIDTH": noise.WIDTH,
    "TRACE_GUARD": traces.GUARD,
    "PRIME_WIDTH": PRIME_WIDTH,
    "TOP_FRACTION": top.FRACTION,
    "TOP_INDEX": top.INDEX,
    "LOG_INDEX": time_constants.INDEX,
}


def header() -> str:
    """C++ declarations of the constants of the Python modules, and of the two structures."""
    lines = [f"constexpr Int {name} = {value};" for name, value in CONSTANTS.items()]
    structures = (("Layer", SCALARS, ARRAYS), ("Run", RUN_SCALARS, RUN_ARRAYS))
    for name, scalars, arrays in structures:
        fields = [f"  Int {field};" for field in scalars] + [f"  Int *{field};" for field in arrays]
        lines += [f"struct {name} {{", *fields, "};"]
    return "\n".join(lines) + "\n"


class Record:
    """Structures in memory, and the arrays that they point to, which a run changes in place.

    Parameters
    ----------
    dtype
        `LAYER` or `RUN`.
    rows
        Words of each structure: integers, and arrays that are copied; what is missing is 0.
    """

    def __init__(self, dtype: np.dtype[np.void], rows: Sequence[Words]) -> None:
        self.memory = np.zeros(len(rows), dtype)
        self.arrays: list[dict[str, Raw]] = []
        for structure, words in zip(self.memory, rows, strict=True):
            copies = {
                name: np.array(word, dtype=np.int64, order="C")
                for name, word in words.items()
                if isinstance(word, np.ndarray)
            }
            self.arrays.append(copies)
            for name, word in words.items():
                structure[name] = copies[name].ctypes.data if name in copies else word

    @property
    def address(self) -> int:
        """Where the first structure is."""
        return int(self.memory.ctypes.data)

    def scalar(self, row: int, name: str) -> int:
        """Read a word after a run."""
        return int(self.memory[row][name])
