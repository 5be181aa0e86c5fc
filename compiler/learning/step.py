"""One step of a network that learns: what every word on the chip must equal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vle.compiler.fixed import Raw, round_shift
from vle.compiler.layer import Constants, LayerSpec, Neurons, Saturation
from vle.compiler.learning import errors, noise, time_constants, traces, updates
from vle.compiler.learning.errors import Errors, Scale
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec, Points
from vle.compiler.learning.time_constants import Logs, Sensitivity
from vle.compiler.learning.traces import Trace


class Clamped(NamedTuple):
    """How many words were clamped while a layer learned.

    Neurons in whose errors one was; signals of updates; weights; biases; filtered inputs.
    """

    error: int = 0
    signal: int = 0
    weight: int = 0
    bias: int = 0
    trace: int = 0


class LearningState(NamedTuple):
    """What a layer that learns carries from step to step, beside `LayerState`.

    Parameters, which a reset keeps: `weight`, `bias`, `logs`, `rate`, `tau_rate`, `scale`, `noise`.
    State, which it clears: the others. `down` and `loop` are sums of the step before, in units of
    `2**(exponent + Points.sums)`; `v` is in units of `2**(exponent - guard)`.
    """

    weight: Raw  # (outputs, columns)
    bias: Raw  # (outputs,)
    logs: Logs | None
    rate: Rate
    tau_rate: Rate
    scale: Scale  # of the coming step
    noise: int
    exponent: int  # of the step before
    prime: Raw  # (outputs,)
    v: Raw  # (outputs,)
    down: Raw  # (inputs,)
    loop: Raw  # (outputs,); of length 0 where errors do not recur
    trace: Trace | None
    sensitivity: Sensitivity | None


class Above(NamedTuple):
    """What a layer hears from above: words and their exponent; None: nothing in this step."""

    words: Raw
    exponent: int


class Stepped(NamedTuple):
    """One layer after a step."""

    u: Raw
    r: Raw
    state: LearningState
    errors: Errors
    exponent: int  # of `errors`
    saturation: Saturation
    clamped: Clamped


def begin(layer: LayerSpec, learning: LearningSpec) -> LearningState:
    """State of a layer at power-up."""
    logs = Logs(learning.log_m, learning.log_r) if learning.time_constants else None
    blank = LearningState(
        weight=layer.weight,
        bias=layer.bias,
        logs=logs,
        rate=learning.rate,
        tau_rate=learning.tau_rate,
        scale=Scale(learning.exponent),
        noise=learning.seed,
        exponent=learning.exponent,
        prime=np.zeros(layer.outputs, np.int64),
        v=np.zeros(layer.outputs, np.int64),
        down=np.zeros(layer.inputs, np.int64),
        loop=np.zeros(layer.outputs if layer.recurrent and learning.loop else 0, np.int64),
        trace=None,
        sensitivity=None,
    )
    return cleared(layer, learning, blank)


def cleared(layer: LayerSpec, learning: LearningSpec, state: LearningState) -> LearningState:
    """State after a reset: what was learned stays, all else is 0."""
    trace = sensitivity = None
    if learning.filtered:
        zero = np.zeros((learning.groups, layer.columns), np.int64)
        trace = Trace(zero, zero)
    if learning.filtered and learning.time_constants:
        none = np.zeros(layer.outputs, np.int64)
        sensitivity = Sensitivity(none, none, none)
    return state._replace(
        exponent=state.scale.exponent,
        prime=state.prime * 0,
        v=state.v * 0,
        down=state.down * 0,
        loop=state.loop * 0,
        trace=trace,
        sensitivity=sensitivity,
    )


class Flags(NamedTuple):
    """What a step is to a layer: a sequence starts here; it waits for one; this step updates."""

    start: bool = False
    held: bool = False
    learn: bool = True


class Job(NamedTuple):
    """A layer, its learning, and its state after the step before."""

    layer: LayerSpec
    learning: LearningSpec
    state: LearningState

    @property
    def points(self) -> Points:
        """Binary points."""
        return Points.of(self.layer, self.learning)

    @property
    def constants(self) -> time_constants.Constants:
        """Words per neuron of this step."""
        if self.state.logs is not None:
            return time_constants.derive(self.state.logs)
        alpha, rho = self.layer.alpha, self.layer.rho
        return time_constants.Constants(alpha, rho, self.learning.beta, self.learning.kappa)


def step_layer(job: Job, x: Raw, u: Raw, above: list[Above], flags: Flags) -> Stepped:
    """One step of a layer that learns.

    Errors first, from the step before; then the products with the weights, forward and backward,
    and the update of the weights by this step's errors; then the neurons, with the parameters from
    before the update.

    Parameters
    ----------
    job
        The layer after the step before.
    x
        What it hears, own rates of the step before included, shape `(columns,)`.
    u
        Potentials, `(outputs,)`; 0 where a sequence starts here.
    above
        What it hears from above.
    flags
        Where a sequence starts, and where the layer waits for one, its errors are 0.
    """
    layer, learning, state = job
    got = _errors(job, above, blank=flags.start or flags.held)
    signal = _signal(job, got, flags.learn)
    weight, bias = _update(job, signal.words, x)
    sums = round_shift(_product(got.e, state.weight), job.points.drop)
    words = Constants(state.bias, job.constants.alpha, job.constants.rho)
    neurons = layer.neurons(_product(x, state.weight.T)[None], u[None], words)
    prime = learning.derivative.run(layer.activation, neurons.prosp[0], neurons.r[0])
    trace, bars = _trace(job, x, flags)
    masters = _logs(job, got, neurons, flags.learn)
    keep = int(not flags.held)
    after = state._replace(
        weight=weight.words,
        bias=bias.words,
        logs=masters.logs,
        scale=got.scale,
        noise=noise.advance(state.noise),
        exponent=state.scale.exponent,
        prime=prime * keep,
        v=got.v,
        down=sums[: layer.inputs],
        loop=sums[layer.inputs :] if _loops(job) else state.loop,
        trace=trace,
        sensitivity=_sense(job, neurons, flags),
    )
    return Stepped(
        neurons.u[0] * keep,
        neurons.r[0] * keep,
        after,
        got,
        state.scale.exponent,
        neurons.saturation if keep else Saturation(),
        Clamped(
            got.saturated,
            signal.saturated + masters.saturated,
            weight.saturated,
            bias.saturated,
            bars,
        ),
    )


def _product(a: Raw, matrix: Raw) -> Raw:
    """Return `a @ matrix`, exact: sums fit 53 bits."""
    product: Raw = (a.astype(np.float64) @ matrix.astype(np.float64)).astype(np.int64)
    return product


def _loops(job: Job) -> bool:
    return job.layer.recurrent and job.learning.loop


def _errors(job: Job, above: list[Above], *, blank: bool) -> Errors:
    _, learning, state = job
    parts = [(part.words, part.exponent) for part in above]
    if _loops(job):
        parts.append((state.loop, state.exponent + job.points.sums))
    if not parts or blank:
        parts = [(state.prime * 0, state.scale.exponent)]
    keep = int(not blank)
    unit = errors.ErrorFilter(
        job.constants.kappa,
        job.constants.beta,
        learning.kappa_shift,
        learning.beta_shift,
        learning.prime_shift,
        learning.error_width,
        learning.v_width,
    )
    return unit.step(parts, state.prime * keep, (state.v * keep, state.exponent), state.scale)


def _signal(job: Job, got: Errors, learn: bool) -> updates.Updated:
    """Learning signal of the weights: of `inst_e` by filtered inputs, of `e` otherwise."""
    state, error = job.state, got.inst_e if job.learning.filtered else got.e
    draws = noise.signal_draws(state.noise, len(error))
    rate = state.rate if learn else Rate()
    point = job.points.signal + state.scale.exponent
    return updates.learning_signal(rate, error, point, draws)


def _update(job: Job, signal: Raw, x: Raw) -> tuple[updates.Updated, updates.Updated]:
    """Weights and biases after this step."""
    layer, learning, state = job
    heard = x if state.trace is None else state.trace.bar[learning.group]
    rows = noise.row_draws(state.noise, layer.outputs)
    columns = noise.column_draws(state.noise, layer.columns)
    weight = updates.update_weights(
        state.weight, signal, heard, learning.update_shift, (rows, columns), layer.weight_width
    )
    draws = rows + noise.bias_draw(state.noise) & 0xFFFF
    shift, width = job.points.bias, layer.u_format.width
    return weight, updates.update_bias(state.bias, signal, shift, draws, width)


def _trace(job: Job, x: Raw, flags: Flags) -> tuple[Trace | None, int]:
    layer, learning, state = job
    if state.trace is None:
        return None, 0
    first = learning.first
    alpha, rho = job.constants.alpha[first], job.constants.rho[first]
    trace = state.trace._replace(low=state.trace.low * (not flags.start))
    words = (alpha, layer.alpha_shift, rho, layer.rho_shift)
    return traces.advance(trace, x, words, learning.bar_drop, learning.heard_width(layer))


class Masters(NamedTuple):
    """Masters of the time constants after a step, and how many of their signals were clamped."""

    logs: Logs | None
    saturated: int = 0


def _logs(job: Job, got: Errors, neurons: Neurons, learn: bool) -> Masters:
    """Update the masters of the time constants.

    `log_m -= e d`, `log_r += inst_e rho d` by the prospective rule; by the filtered one
    `log_m += inst_e bar_m`, `log_r += inst_e bar_r`, with the sensitivities of the step before.
    """
    _, learning, state = job
    if state.logs is None:
        return Masters(None)
    rate, points = state.tau_rate if learn else Rate(), job.points
    point, shift = points.tau + state.scale.exponent, points.tau_shift
    rows = noise.row_draws(state.noise, len(got.e))
    draws = noise.signal_draws(state.noise, len(got.e))
    sense = state.sensitivity
    error_m, factor_m = (-got.e, neurons.d[0]) if sense is None else (got.inst_e, sense.bar_m)
    factor_r = neurons.ahead[0] if sense is None else sense.bar_r
    signal_m = updates.learning_signal(rate, error_m, point, draws ^ 0xFFFF)
    signal_r = updates.learning_signal(rate, got.inst_e, point, draws ^ 0xFFFF)
    noise_m, noise_r = rows + draws & 0xFFFF, rows - draws & 0xFFFF
    step_m, step_r, high = signal_m.words * factor_m, signal_r.words * factor_r, learning.log_high
    logs = Logs(
        time_constants.update(state.logs.log_m, step_m, shift, noise_m, high),
        time_constants.update(state.logs.log_r, step_r, shift, noise_r, high),
    )
    return Masters(logs, signal_m.saturated + signal_r.saturated)


def _sense(job: Job, neurons: Neurons, flags: Flags) -> Sensitivity | None:
    sense = job.state.sensitivity
    if sense is None:
        return None
    before = sense._replace(low=sense.low * (not flags.start))
    after = time_constants.sense(before, neurons.d[0], neurons.ahead[0], job.constants)
    return Sensitivity(*(word * (not flags.held) for word in after))
