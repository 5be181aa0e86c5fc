"""The state of a network that learns as the words of its chip, and back.

Words are named by kind and layer as the windows of a chip are, registers as its registers.
"""

from __future__ import annotations

import numpy as np

from vle.compiler.fixed import Raw
from vle.compiler.learning.errors import Scale
from vle.compiler.learning.network import LearningNetwork, LearnState
from vle.compiler.learning.rate import EXPONENT_WIDTH, MANTISSA_WIDTH, Rate
from vle.compiler.learning.step import LearningState
from vle.compiler.learning.time_constants import Logs, Sensitivity
from vle.compiler.learning.traces import Trace
from vle.compiler.network import LayerState, NetworkState

Words = dict[tuple[str, int], Raw]
Registers = dict[str, int]
FIXED = ("alpha", "rho", "kappa", "beta")  # where time constants do not learn


def words_of(net: LearningNetwork, state: LearnState) -> Words:
    """Return all words but those of tables; of windows that a chip has not, too."""
    found: Words = {}
    for index, (layer, learning) in enumerate(zip(net.network.layers, net.learning, strict=True)):
        run, own = state.run.layers[index], state.learning[index]
        kinds = {
            **{"weight": own.weight, "bias": own.bias, "u": run.u[0]},
            **{"rate": run.r[0], "loop": run.r[0]},
            **{"v": own.v, "prime": own.prime, "down": own.down, "loop_error": own.loop},
            **{"alpha": layer.alpha, "rho": layer.rho},
            **{"kappa": learning.kappa, "beta": learning.beta},
        }
        if own.logs is not None:
            kinds |= {"log_m": own.logs.log_m, "log_r": own.logs.log_r}
        if own.trace is not None:
            kinds |= {"trace_low": own.trace.low, "trace_bar": own.trace.bar}
        if own.sensitivity is not None:
            names = ("sense_low", "sense_m", "sense_r")
            kinds |= dict(zip(names, own.sensitivity, strict=True))
        found |= {(kind, index): words for kind, words in kinds.items()}
    return found


def registers_of(state: LearnState) -> Registers:
    """Return flags, exponents, draws and rates; no flag says that a memory reads 0."""
    found = {"FLAGS": int(state.run.fresh)}
    for index, (run, own) in enumerate(zip(state.run.layers, state.learning, strict=True)):
        found[f"LAYER_FLAGS[{index}]"] = int(run.waiting) | int(run.start) << 4
        found[f"EXPONENT[{index}]"] = (
            _byte(own.scale.exponent) | own.scale.quiet << 8 | _byte(own.exponent) << 16
        )
        found[f"NOISE[{index}]"] = own.noise
        for kind, rate in (("RATE", own.rate), ("TAU_RATE", own.tau_rate)):
            found[f"{kind}[{index}]"] = rate_word(rate)
    return found


def state_of(net: LearningNetwork, words: Words, registers: Registers) -> LearnState:
    """Return the state that a chip was in.

    Parameters
    ----------
    net
        Its network.
    words, registers
        All that it has, words 0 where a flag says so.

    Raises
    ------
    ValueError
        Where words or registers are missing, and constants are not those of the network.
    """
    try:
        return _state_of(net, words, registers)
    except KeyError as missing:
        raise ValueError(f"words must be those of this design, {missing} among them") from None


def _state_of(net: LearningNetwork, words: Words, registers: Registers) -> LearnState:
    layers = range(len(net.learning))
    learned = tuple(_learning(net, index, words, registers) for index in layers)
    runs = tuple(_run(index, words, registers) for index in layers)
    return LearnState(NetworkState(runs, bool(registers["FLAGS"])), learned)


def _learning(
    net: LearningNetwork, index: int, words: Words, registers: Registers
) -> LearningState:
    begin = net.reset().learning[index]
    own = {kind: raw.astype(np.int64) for (kind, layer), raw in words.items() if layer == index}
    for kind in FIXED if begin.logs is None else ():
        holder = net.network.layers[index] if kind in FIXED[:2] else net.learning[index]
        if not np.array_equal(own[kind], getattr(holder, kind)):
            raise ValueError(f"{net.network.layers[index].name}: {kind} must be as compiled")
    packed = registers[f"EXPONENT[{index}]"]
    trace, sense = begin.trace, begin.sensitivity
    if trace is not None:
        trace = Trace(own["trace_low"], own["trace_bar"])
    if sense is not None:
        sense = Sensitivity(own["sense_low"], own["sense_m"], own["sense_r"])
    return begin._replace(
        weight=own["weight"],
        bias=own["bias"],
        logs=None if begin.logs is None else Logs(own["log_m"], own["log_r"]),
        rate=rate_of(registers[f"RATE[{index}]"]),
        tau_rate=rate_of(registers[f"TAU_RATE[{index}]"]),
        scale=Scale(_signed(packed), packed >> 8 & 0xFF),
        noise=registers[f"NOISE[{index}]"],
        exponent=_signed(packed >> 16),
        prime=own["prime"],
        v=own["v"],
        down=own.get("down", begin.down),  # nobody hears the errors of the first layer
        loop=own.get("loop_error", begin.loop),
        trace=trace,
        sensitivity=sense,
    )


def _run(index: int, words: Words, registers: Registers) -> LayerState:
    flags = registers[f"LAYER_FLAGS[{index}]"]
    u, r = (words[kind, index].astype(np.int64)[None] for kind in ("u", "rate"))
    return LayerState(u, r, bool(flags >> 4 & 1), bool(flags & 1))


def rate_word(rate: Rate) -> int:
    """Return a rate as a register holds it."""
    return rate.mantissa | (rate.exponent % (1 << EXPONENT_WIDTH)) << MANTISSA_WIDTH


def rate_of(word: int) -> Rate:
    """Return the rate that a register holds."""
    return Rate(word % (1 << MANTISSA_WIDTH), _signed(word >> MANTISSA_WIDTH))


def _byte(value: int) -> int:
    return value % (1 << EXPONENT_WIDTH)


def _signed(word: int) -> int:
    low = word & 0xFF
    return low - ((low & 0x80) << 1)
