"""Numbers far from 1: within the bound, or one error that names the layer and the rule."""

import numpy as np
import pytest

from vle.compiler import compile_model
from vle.errors import CompileError
from vle.sim import Activation, Layer, Network
from vle.sim.activations import NAMES


def network(scale, activation, *, recurrent=False, seed=0):
    rng = np.random.default_rng(seed)
    return Network(
        tuple(
            Layer(
                scale * rng.normal(size=(o, i)),
                scale * rng.normal(size=o) * 0.1,
                2.0,
                1.0,
                activation,
                scale * rng.normal(size=(o, o)) if recurrent else None,
            )
            for i, o in ((3, 4), (4, 2))
        ),
        1.0,
    )


def judged(scale, activation, size, data, **options):
    """Compile for inputs up to `size`: "ok" for within the bound on them, or why it is refused."""
    reference = network(scale, activation, **options)
    x = size * np.random.default_rng(1).uniform(-1, 1, (40, 3))
    inputs = {"calibration": x} if data else {"input_range": (-size, size)}
    try:
        design = compile_model(reference, lanes=2, **inputs)
    except CompileError as error:
        return error.message
    bound = design.report["layers"][-1]["error_bound"]
    fixed = design.run(x)
    if bound is not None and not any(map(any, design.saturation)):
        assert np.abs(fixed - reference.run(x)).max() <= bound
    return "ok"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [False, True])
def test_any_magnitude_compiles_within_its_bound_or_is_refused(name, data):
    found = []
    for scale in (1e-300, 1e-20, 1e-9, 1e9, 1e300):
        found.append(judged(scale, name, 1.0, data))
    for size in (1e-300, 1e-8, 1e8, 1e300):
        found.append(judged(1.0, name, size, data))
        found.append(judged(1 / size, name, size, data))
    found.append(judged(1e9, name, 1.0, data, recurrent=True))
    assert all(text == "ok" or text.startswith("layer ") for text in found)


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_magnitudes_are_not_refused(name):
    assert [judged(scale, name, 1.0, data=False) for scale in (1e-5, 1e3)] == ["ok"] * 2


def test_nearly_flat_functions_of_small_potentials_are_not_refused():
    assert judged(1e-9, Activation("hard_sigmoid", 1e-6, 0.5), 1.0, data=False) == "ok"


@pytest.mark.parametrize(
    ("scale", "activation", "size", "said"),
    [
        (1e300, "relu", 1.0, r"layer 0: weights must be within \+-2\*\*64"),
        (1.0, "tanh", 1e300, r"layer 0: inputs must stay within \+-2\*\*64, not reach 1e\+300"),
        (1.0, "tanh", 1e-300, r"layer 0: inputs must reach 2\*\*-64 or be 0, not 1e-300"),
        (1e-20, "tanh", 1.0, r"layer 0: potentials must reach 2\*\*-64"),
        (1e15, "relu", 1e3, r"layer 1: potentials must stay within"),
        (1.0, Activation("leaky_relu", 1e300), 1.0, "layer 0: constants of leaky_relu must be"),
        (1e9, "tanh", 1.0, "layer 0: potentials must be finer for tanh"),
        (1.0, "sigmoid", 1e9, "layer 0: potentials must be finer for sigmoid"),
    ],
)
def test_what_is_beyond_any_format_is_named(scale, activation, size, said):
    with pytest.raises(CompileError, match=said):
        compile_model(network(scale, activation), input_range=(-size, size))
