"""Float against integers within the derived bound; what quantisation must do and refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs
from nets import random_network, random_signal

from vle.compiler import compile_model
from vle.compiler.quantization.bounds import rate_errors, real_weight
from vle.compiler.quantization.calibration import calibrate
from vle.compiler.quantization.formats import Widths
from vle.compiler.quantization.quantize import quantize
from vle.compiler.quantization.ranges import Range, bound, observe
from vle.compiler.run import Session, run_raw
from vle.errors import CompileError
from vle.sim import Activation, Layer, Network, dynamics
from vle.sim.activations import NAMES

SIZES = st.lists(st.integers(1, 12), min_size=2, max_size=4)


def rates_of(network, x, aligned):
    """Rates of every layer in every step, flush included: per layer `(steps, batch, outputs)`."""
    batch = x.shape[1:-1]
    late = network.latency_steps if aligned else 0
    frames = np.concatenate([x, np.zeros((late, *x.shape[1:]))])
    held = True if aligned else None
    state = dynamics.reset(network.parameters, batch, errors=False, held=held)
    rates = []
    for t, frame in enumerate(frames):
        start = np.full(batch, aligned and t == 0)
        state, _ = dynamics.step(
            network.parameters, state, frame, None, network.settings, start=start
        )
        rates.append([layer.r for layer in state])
    return [np.stack(layer) for layer in zip(*rates, strict=True)]


def within_bound(network, x, known, widths, *, aligned=False):
    made = quantize(network, known.ranges, widths, known.moments)
    bounds = rate_errors(network, made.network, made.approximations, known.ranges)
    session = Session()
    words = made.network.layers[0].x_format.quantize(x)
    got = run_raw(made.network, session, words, aligned=aligned, trace=True)
    assert not any(map(any, session.saturation))
    every = zip(rates_of(network, x, aligned), got.r, made.network.layers, bounds, strict=True)
    for real, raw, spec, limit in every:
        assert raw.shape == real.shape
        assert (np.abs(spec.rate_format.real(raw) - real) <= limit).all()
    return made, bounds


@settings(max_examples=runs(40))
@given(
    SIZES,
    st.sampled_from(NAMES),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.integers(4, 16),
    st.integers(0, 2**32 - 1),
)
def test_integers_are_within_the_derived_bound(sizes, name, kinds, bits, seed):
    data, instantaneous, aligned = kinds
    rng = np.random.default_rng(seed)
    network = random_network(rng, sizes, activation=name, instantaneous=instantaneous)
    x = random_signal(rng, 60, 3, sizes[0])
    known = calibrate(network, x if data else None, (-1, 1))
    within_bound(network, x, known, Widths(weight=bits), aligned=aligned)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "hard_tanh", "hard_sigmoid"])
@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0, 30.0])
def test_formats_cut_nothing_off_that_no_counter_would_show(name, scale):
    rng = np.random.default_rng(6)
    layer = Layer(scale * rng.normal(size=(8, 3)), scale * rng.normal(size=8), 2.0, 1.0, name)
    network = Network((layer,), 1.0)
    x = random_signal(rng, 50, 2, 3)
    made = quantize(network, calibrate(network, x).ranges, Widths())
    spec = made.network.layers[0]
    every = np.linspace(spec.u_format.low, spec.u_format.high, 9999).astype(np.int64)
    rate, _ = spec.activation.run(every)
    off = np.abs(spec.rate_format.real(rate) - layer.activation(spec.u_format.real(every)))
    assert off.max() <= 2 * spec.rate_format.step


def test_what_saturates_on_the_calibration_data_is_noted():
    rng = np.random.default_rng(7)
    network = random_network(rng, [4, 9, 9, 3], activation="relu")
    x = random_signal(rng, 80, 4, 4)
    report = compile_model(network, calibration=x, weight_bits=2, rate_bits=4).report
    counted = sum(sum(layer["saturation"].values()) for layer in report["layers"])
    assert (counted > 0) == any("saturate on the calibration data" in n for n in report["notes"])


def test_the_bound_shrinks_with_the_widths():
    rng = np.random.default_rng(0)
    network = random_network(rng, [6, 12, 12, 4], activation="tanh", instantaneous=True)
    x = random_signal(rng, 50, 4, 6)
    known = calibrate(network, None, (-1, 1))
    wide, narrow = (
        within_bound(network, x, known, Widths(weight=w, rate=r, potential=u))[1][-1].max()
        for w, r, u in ((16, 18, 30), (8, 10, 20))
    )
    assert wide < 0.02 * narrow
    assert wide < 0.01


@settings(max_examples=runs(25))
@given(SIZES, st.integers(2, 16), st.booleans(), st.integers(0, 2**32 - 1))
def test_nearest_weights_are_within_half_a_step(sizes, bits, recurrent, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, sizes, recurrent=recurrent, activation="tanh")
    known = calibrate(network, None, (-1, 1))
    made = quantize(network, known.ranges, Widths(weight=bits))
    for layer, spec in zip(network.layers, made.network.layers, strict=True):
        matrix = layer.weight
        if recurrent:
            matrix = np.concatenate([matrix, layer.recurrent], axis=1)
        got = real_weight(spec)
        columns = np.full(spec.columns, spec.x_format.f_bits)
        columns[spec.inputs :] = spec.rate_format.f_bits
        step = np.ldexp(
            spec.scale[:, None] * 1.0, columns - spec.u_format.f_bits - spec.scale_shift
        )
        assert (np.abs(got - matrix) <= step / 2 * (1 + 1e-9)).all()
        assert (np.abs(spec.weight) <= (1 << (bits - 1)) - 1).all()


def test_compensation_on_data_beats_rounding_to_the_nearest():
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(24, 24)) @ np.diag(np.linspace(2, 0.01, 24))
    x = np.tanh(random_signal(rng, 200, 8, 24) @ mixing)
    network = random_network(rng, [24, 30, 10], activation="tanh")
    known = calibrate(network, x)
    real = network.run(x)

    def error(moments):
        made = quantize(network, known.ranges, Widths(weight=6), moments)
        words = made.network.layers[0].x_format.quantize(x)
        got = run_raw(made.network, Session(), words, aligned=False).output
        return np.sqrt(np.mean((made.network.layers[-1].rate_format.real(got) - real) ** 2))

    assert error(known.moments) < 0.7 * error(None)


def read_back(design):
    """The float network that the words on a chip stand for."""
    layers = []
    for layer, spec in zip(design.reference.layers, design.network.layers, strict=True):
        matrix = real_weight(spec)
        dt = design.reference.dt
        tau_m = dt / np.ldexp(spec.alpha.astype(float), -spec.alpha_shift)
        tau_r = tau_m * np.ldexp(spec.rho.astype(float), -spec.rho_shift)
        layers.append(
            Layer(
                matrix[:, : spec.inputs],
                spec.u_format.real(spec.bias),
                tau_m,
                np.maximum(tau_r, dt),
                layer.activation,
                matrix[:, spec.inputs :] if spec.recurrent else None,
            )
        )
    return Network(tuple(layers), design.reference.dt)


@settings(max_examples=runs(15))
@given(SIZES, st.booleans(), st.integers(3, 16), st.integers(0, 2**32 - 1))
def test_a_network_read_back_from_a_chip_becomes_the_same_integers(sizes, recurrent, bits, seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, sizes, recurrent=recurrent)
    x = random_signal(rng, 40, 2, sizes[0])
    design = compile_model(network, calibration=x, weight_bits=bits, lanes=3)
    again = compile_model(read_back(design), like=design)
    assert again.chip == design.chip
    assert np.array_equal(again.run(x), design.run(x))


def test_plain_leaky_integrators_can_be_read_back():
    """Their tau_r is dt, the smallest that a network takes."""
    tau_m = np.geomspace(1, 70, 30)
    layer = Layer(np.ones((30, 2)), np.zeros(30), tau_m, 1.0, "tanh")
    design = compile_model(Network((layer,), 1.0), input_range=(-1, 1))
    spec = design.network.layers[0]
    rho, alpha = spec.rho * 2.0**-spec.rho_shift, spec.alpha * 2.0**-spec.alpha_shift
    assert (rho >= alpha).all()
    assert compile_model(read_back(design), like=design).chip == design.chip


def test_a_design_to_be_like_must_have_the_same_layers(tmp_path):
    design = compile_model(one([[1.0, 2.0]]), input_range=(-1, 1))
    design.save(tmp_path / "b")
    assert compile_model(one([[1.0, 2.0]]), like=tmp_path / "b").chip == design.chip
    with pytest.raises(CompileError, match="layers must be those of the design"):
        compile_model(one([[1.0]]), like=design)
    for other in ("tanh", Activation("leaky_relu", 0.5)):
        with pytest.raises(CompileError, match="design to be like: 2-1 relu, not 2-1 "):
            compile_model(one([[1.0, 2.0]], activation=other), like=design)
    flat, steep = (one([[1.0]], activation=Activation("leaky_relu", a)) for a in (0.1, 0.2))
    with pytest.raises(CompileError, match=r"1-1 leaky_relu\(0.1\), not 1-1 leaky_relu\(0.2\)"):
        compile_model(steep, like=compile_model(flat))


def test_intervals_hold_for_every_signal_within_them():
    """Also in recurrent layers, whose rates an interval must map into itself."""
    rng = np.random.default_rng(4)
    for aligned in (False, True):
        network = random_network(rng, [3, 8, 6], recurrent=True, aligned=aligned)
        ranges = bound(network, Range(np.full(3, 0.5), np.ones(3)))
        assert ranges is not None
        x = rng.uniform(0.5, 1, (200, 4, 3))
        for layer, seen in zip(ranges, observe(network, x).ranges, strict=True):
            for name in ("current", "u", "prosp", "r"):
                assert (getattr(seen, name).low >= getattr(layer, name).low).all()
                assert (getattr(seen, name).high <= getattr(layer, name).high).all()


def one(weight, *, tau_m=1.0, tau_r=1.0, activation="relu"):
    weight = np.asarray(weight, dtype=float)
    return Network((Layer(weight, np.zeros(len(weight)), tau_m, tau_r, activation),), 1.0)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (one([[1e9, 0.0], [1e-9, 1e-9]]), "weights of neuron 1 must not vanish"),
        (one([[1.0], [1.0]], tau_m=[1.0, 1e5]), "alpha of neuron 1 must be represented within 1%"),
        (one([[1.0], [1.0]], tau_r=[1e3, 1.0], tau_m=[1.0, 4e3]), "must be represented within 1%"),
    ],
)
def test_what_cannot_be_held_is_refused(network, said):
    with pytest.raises(CompileError, match=said):
        compile_model(network, input_range=(-1, 1), weight_bits=8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calibration": np.zeros((5, 3))}, r"must be of shape \(T, 2\)"),
        ({"calibration": np.zeros(5)}, r"must be of shape"),
        ({"calibration": np.zeros((0, 2))}, "must not be empty"),
        ({"calibration": np.full((5, 2), np.nan)}, "must be finite"),
        ({"calibration": [["a", "b"]]}, "must be numbers"),
        ({"input_range": (1, -1)}, "not reversed"),
        ({"input_range": (0, np.inf)}, "must be finite"),
        ({"input_range": ([0, 0, 0], 1)}, "two arrays of 2"),
        ({"weight_bits": 1}, "weight bits must be in 2..16"),
        ({"weight_bits": 17}, "weight bits must be in 2..16, not 17"),
        ({"rate_bits": 40}, "rate bits must be in"),
        ({"lanes": 0}, "lanes must be 1 or more"),
        ({"board": "mine"}, "board must be one of ulx3s-85f"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(CompileError, match=said):
        compile_model(one([[1.0, 2.0]]), **options)


def test_silent_inputs_and_dead_neurons_compile():
    network = one(np.zeros((3, 2)))
    design = compile_model(network, calibration=np.zeros((4, 2)))
    assert np.array_equal(design.run(np.zeros((4, 2))), np.zeros((4, 3)))


def test_a_recurrent_layer_without_settled_intervals_is_probed():
    rng = np.random.default_rng(3)
    loop = 0.3 * np.sign(rng.normal(size=(6, 6)))
    layer = Layer(rng.normal(size=(6, 2)), np.zeros(6), 2.0, 2.0, "identity", loop)
    design = compile_model(Network((layer,), 1.0), input_range=(-1, 1))
    assert design.report["calibration"]["source"] == "probes"
    assert any("do not settle" in note for note in design.report["notes"])


def test_constants_that_are_off_are_noted():
    """1/810 beside 1 in 18 bits is 161.8 steps, off by 0.11 %."""
    network = one([[1.0], [1.0]], tau_m=[1.0, 810.0], tau_r=1.0)
    notes = compile_model(network, input_range=(-1, 1)).report["notes"]
    assert any("layer 0: alpha is off by more than 0.1%" in note for note in notes)
    notes = compile_model(one([[1.0]], tau_m=3.0), input_range=(-1, 1)).report["notes"]
    assert not any("is off by more than" in note for note in notes)


def test_errors_that_can_grow_are_noted():
    text = "layer 0: errors can grow without bound in learning"
    for size, recurrence, noted in ((0.4, True, False), (0.6, True, True), (0.6, False, False)):
        loop = size * np.array([[0.0, 1.0], [-1.0, 0.0]])
        layer = Layer(np.ones((2, 1)), np.zeros(2), 4.0, 2.0, "tanh", loop)
        network = Network((layer,), 1.0, error_recurrence=recurrence)
        notes = compile_model(network, input_range=(-1, 1)).report["notes"]
        assert any(note.startswith(text) and "(1.2)" in note for note in notes) == noted


def test_rounded_weights_that_can_saturate_within_intervals_are_noted():
    """Seven weights of 0.52 beside 1 all become 1 where a weight has two bits."""
    network = one(0.688 * np.array([[1.0] + [0.52] * 7]))
    for bits, noted in ((2, True), (8, False)):
        design = compile_model(network, input_range=(-1, 1), weight_bits=bits)
        text = "layer 0: as its weights are rounded, words can saturate within the input range"
        assert (text in design.report["notes"]) == noted
        design.run(np.ones((5, 8)))
        assert (design.saturation[0].rate > 0) == noted


def test_small_channels_are_noted():
    x = random_signal(np.random.default_rng(5), 50, 2, 3) * [1.0, 1e-4, 1.0]
    notes = compile_model(one(np.ones((2, 3))), calibration=x).report["notes"]
    assert any("inputs 1 use less than 7 of 16 bits" in note for note in notes)


def test_long_recordings_are_looked_at_all_over():
    x = np.zeros((100_000, 1))
    x[::1000] = np.linspace(0, 1, 100)[:, None]
    known = calibrate(one([[1.0]]), x)
    assert known.x.shape == (2048, 48, 1)
    assert known.ranges[0].r.high[0] > 0.95
    assert any("48 stretches of 2048 steps" in note for note in known.notes)


def test_nothing_stated_is_noted():
    notes = compile_model(one([[1.0, 2.0]])).report["notes"]
    assert any("taken to be within -1..1" in note for note in notes)
    assert any("neither lanes nor a board" in note for note in notes)


def test_a_design_to_be_like_brings_its_own_lanes():
    design = compile_model(one([[1.0, 2.0]]))
    with pytest.raises(CompileError, match="lanes and board must not be given with like"):
        compile_model(one([[1.0, 2.0]]), like=design, lanes=3)
