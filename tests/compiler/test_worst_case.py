"""Proven bounds and intervals against brute force: frames that push every sum as far as it goes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs
from nets import random_network, random_signal

from vle.compiler import compile_model
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.quantization.intervals import Interval, worst_case
from vle.compiler.quantization.proof import prove

SIZES = st.lists(st.integers(1, 8), min_size=2, max_size=4)


def adversaries(design, rng, patterns=32):
    """Frames `(n, inputs)` at the ends of the input's format: all signs, or those of the weights.

    The signs that push a sum of the first layer up and down; those that a product of all matrices
    says would push the sums above; and random ones.
    """
    fmt, n = design.input_format, design.network.layers[0].inputs
    signs, through = [], np.eye(n)
    for layer in design.network.layers:
        through = layer.weight[:, : layer.inputs] @ through
        signs += [through >= 0, through < 0]
    signs.append(rng.integers(0, 2, (patterns, n)).astype(bool))
    if n <= 6:
        signs.append(np.array(list(product([False, True], repeat=n))))
    return np.where(np.concatenate(signs), fmt.high, fmt.low).astype(np.int64)


def sums(layer, x):
    """Every partial sum, in one order, as exact integers: `(n, outputs, columns)`."""
    order = np.random.default_rng(0).permutation(layer.columns)
    return (x[:, None, order] * layer.weight[None][:, :, order]).cumsum(axis=2)


def heard(design, x):
    """What each layer hears in every step of signals `(T, batch, inputs)` of raw words."""
    run = design.run_raw(x, aligned=False, trace=True)
    below = [x, *run.r[:-1]]
    for layer, words, own in zip(design.network.layers, below, run.r, strict=True):
        parts = [words if layer is design.network.layers[0] else before(words)]
        parts += [before(own)] * layer.recurrent
        yield layer, np.concatenate(parts, axis=2).reshape(-1, layer.columns)


def before(words):
    """Words of the step before, 0 after a reset."""
    return np.concatenate([np.zeros_like(words[:1]), words[:-1]])


def pushed(design, rng):
    """Largest partial sum that brute force reaches, beside the bounds; per layer."""
    frames = adversaries(design, rng)
    held = np.repeat(frames[None], 12, axis=0)  # until the rates have settled
    noisy = frames[rng.integers(0, len(frames), (40, 8))]
    proofs = prove(design.chip)
    found = []
    for x in (held, noisy):
        for (layer, words), proof, worst in zip(
            heard(design, x), proofs, worst_case(design.network), strict=True
        ):
            every = sums(layer, words)
            reached = np.abs(every).max(axis=(0, 2))
            assert (reached <= proof.bounds).all()
            assert int(reached.max()) < 1 << (proof.width - 1)
            full = every[:, :, -1]
            assert (worst.acc.low <= full).all()
            assert (full <= worst.acc.high).all()
            found.append((reached, proof.bounds, full.min(axis=0), full.max(axis=0), worst.acc))
    first = found[0]  # of frames held at the ends, all signs among them
    if not design.network.layers[0].recurrent:
        assert np.array_equal(first[2], first[4].low)
        assert np.array_equal(first[3], first[4].high)
    return found


@settings(max_examples=runs(20))
@given(SIZES, st.booleans(), st.booleans(), st.integers(2, 16), st.integers(0, 2**32 - 1))
def test_no_sum_passes_its_bound(sizes, recurrent, instantaneous, bits, seed):
    """A thousand networks in a soak."""
    rng = np.random.default_rng(seed)
    kind = "tanh" if recurrent else None  # others can grow without end
    options = {"recurrent": recurrent, "instantaneous": instantaneous, "activation": kind}
    network = random_network(rng, sizes, **options)
    design = compile_model(network, input_range=(-1, 1), weight_bits=bits, lanes=2)
    pushed(design, rng)


@settings(max_examples=runs(20))
@given(SIZES, st.booleans(), st.integers(3, 16), st.integers(0, 2**32 - 1))
def test_no_word_leaves_its_interval(sizes, recurrent, bits, seed):
    """Potentials and rates of random and of extreme signals within a range of the inputs."""
    rng = np.random.default_rng(seed)
    kind = "tanh" if recurrent else None
    network = random_network(rng, sizes, recurrent=recurrent, activation=kind)
    x = random_signal(rng, 40, 3, sizes[0])
    design = compile_model(network, calibration=x, weight_bits=bits, lanes=2)
    low, high = np.sort(rng.integers(-3000, 3000, (2, sizes[0])), axis=0)
    inputs = Interval(low, high)
    worst = worst_case(design.network, inputs)
    words = rng.integers(low, high + 1, (60, 4, sizes[0]))
    ends = np.where(rng.integers(0, 2, words.shape) > 0, high, low)
    for signal in (words, ends, np.repeat(ends[:1], 60, axis=0)):
        run = design.run_raw(signal, aligned=False, trace=True)
        for u, r, found in zip(run.u, run.r, worst, strict=True):
            assert (found.u.low <= u).all()
            assert (u <= found.u.high).all()
            rate = found.rate.with_zero()
            assert (rate.low <= r).all()
            assert (r <= rate.high).all()


def test_an_accumulator_that_is_too_narrow_is_refused_by_the_proof():
    rng = np.random.default_rng(0)
    design = compile_model(random_network(rng, [6, 5, 3]), input_range=(-1, 1), lanes=1)
    (proof, _) = prove(design.chip)
    with pytest.raises(ValueError, match="accumulators must hold"):
        type(proof)(proof.layer, proof.width - proof.slack - 1, proof.bounds, None)


def test_the_interval_is_tighter_where_rates_have_one_sign():
    rng = np.random.default_rng(1)
    network = random_network(rng, [6, 8, 4], activation="relu", instantaneous=True)
    design = compile_model(network, input_range=(0, 1), lanes=2)
    folding = Folding((EngineSpec(1, 1, (0, 1)),))
    bounds = prove(ChipSpec(design.network, folding))[1].bounds
    inside = worst_case(design.network)[1].acc
    assert (np.maximum(-inside.low, inside.high) < 0.95 * bounds).all()


def test_the_report_shows_the_worst_case_beside_what_was_seen():
    rng = np.random.default_rng(2)
    network = random_network(rng, [6, 8, 4], activation="tanh")
    x = random_signal(rng, 50, 2, 6)
    for row in compile_model(network, calibration=x, lanes=2).report["layers"]:
        for kind in ("current", "prosp", "u", "rate"):
            low, high = row["worst_case"][kind]
            step = 2.0 ** -row["formats"]["rate" if kind == "rate" else "u"]["f_bits"]
            assert low <= row["ranges"][kind][0] + 4 * step
            assert high >= row["ranges"][kind][1] - 4 * step
        assert max(map(abs, row["worst_case"]["sum"])) <= row["proof"]["bound"]
