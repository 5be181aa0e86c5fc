import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import runs

from vle.compiler.fixed import Fixed
from vle.compiler.quantization.approximate import approximate, reach
from vle.sim import Activation
from vle.sim.activations import NAMES


def formats(name, u_i, u_width, r_width):
    """Formats such as the compiler chooses them: rates cover what potentials can make of them."""
    u = Fixed(u_i, u_width - u_i)
    high = float(u.real(u.high))
    bounded = name in ("tanh", "sigmoid", "hard_tanh", "hard_sigmoid")
    i_bits = 1 if bounded else u_i + 1
    f_bits = r_width - i_bits
    if not bounded:
        f_bits = min(f_bits, u.f_bits)
    return u, Fixed(r_width - f_bits, f_bits), high


@settings(max_examples=runs(150))
@given(
    st.sampled_from(NAMES),
    st.integers(1, 9),
    st.integers(16, 30),
    st.integers(6, 18),
    st.integers(0, 2**32 - 1),
)
def test_circuit_is_within_its_bound(name, u_i, u_width, r_width, seed):
    phi = Activation(name)
    u, r, high = formats(name, u_i, u_width, r_width)
    made = approximate(phi, u, r)
    rng = np.random.default_rng(seed)
    near = np.clip(rng.normal(size=3000) * 3, -high, high)
    raw = np.concatenate([u.quantize(near), rng.integers(u.low, u.high + 1, 3000), [u.low, u.high]])
    rate, saturated = made.circuit.run(raw)
    assert saturated == 0
    assert rate.min() >= r.low
    assert rate.max() <= r.high
    assert np.abs(r.real(rate) - phi(u.real(raw))).max() <= made.error


def test_every_potential_of_a_small_format_is_within_the_bound():
    for name in NAMES:
        u, r, _ = formats(name, 4, 14, 10)
        raw = np.arange(u.low, u.high + 1)
        made = approximate(Activation(name), u, r)
        off = np.abs(r.real(made.circuit.run(raw)[0]) - Activation(name)(u.real(raw)))
        assert off.max() <= made.error
        assert made.error < 20 * off.max()  # and not a bound that says nothing


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_a_table_of_16_bit_rates_is_better_than_their_rounding(name):
    made = approximate(Activation(name), Fixed(5, 19), Fixed(1, 15))
    raw = np.arange(-(1 << 23), 1 << 23, 97)
    off = Fixed(1, 15).real(made.circuit.run(raw)[0]) - Activation(name)(Fixed(5, 19).real(raw))
    assert np.abs(off).max() <= 1.5 * 2.0**-15
    assert len(made.circuit.value) <= 1024


def test_narrow_rates_get_a_small_table():
    assert len(approximate(Activation("tanh"), Fixed(5, 19), Fixed(1, 7)).circuit.value) == 256


def test_relu_passes_potentials_on_and_counts_only_its_upper_end():
    u, r = Fixed(6, 18), Fixed(4, 12)
    circuit = approximate(Activation("relu"), u, r).circuit
    rate, count = circuit.run(u.quantize(np.array([-31.0, -0.1, 0.0, 1.0, 2.5, 7.75, 8.5])))
    assert r.real(rate).tolist() == [0, 0, 0, 1, 2.5, 7.75, float(r.real(r.high))]
    assert count == 1


@given(st.sampled_from(NAMES), st.floats(-20, 20), st.floats(0, 20))
def test_reach_holds_every_rate(name, low, width):
    phi = Activation(name)
    rates = phi(np.linspace(low, low + width, 101))
    ends = reach(phi, low, low + width)
    assert ends[0] <= rates.min() + 1e-12
    assert ends[1] >= rates.max() - 1e-12


def test_leaky_slopes_of_either_sign():
    phi = Activation("leaky_relu", alpha=-0.25)
    made = approximate(phi, Fixed(4, 12), Fixed(4, 12))
    raw = np.arange(-(1 << 15), 1 << 15)
    off = Fixed(4, 12).real(made.circuit.run(raw)[0]) - phi(Fixed(4, 12).real(raw))
    assert np.abs(off).max() <= made.error
    assert reach(phi, -2.0, 1.0) == (0.0, 1.0)


def test_bounds_that_no_potential_reaches_are_not_off():
    phi, u, r = Activation("hard_sigmoid", 0.0, 0.25), Fixed(4, 20), Fixed(0, 16)
    found = approximate(phi, u, r)
    assert found.error <= r.step
    assert not any("bound" in note.text for note in found.notes)
    rate, _ = found.circuit.run(np.array([u.low, 0, u.high]))
    assert np.abs(r.real(rate) - 0.25).max() <= found.error
