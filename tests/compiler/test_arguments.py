"""Arguments of another type are one line that names them."""

import numpy as np
import pytest

from vle.compiler import compile_model
from vle.sim import Layer, Network

NETWORK = Network((Layer(np.ones((1, 1)), np.zeros(1), 1.0, 1.0, "identity"),), dt=1.0)


@pytest.mark.parametrize(
    ("model", "change", "rule"),
    [
        (None, {}, "model must be a path, a Network or an Imported, not None"),
        (NETWORK.layers, {}, "model must be a path"),
        (NETWORK, {"lanes": 2.5}, r"lanes must be a whole number, not 2\.5"),
        (NETWORK, {"lanes": "4"}, "lanes must be a whole number, not '4'"),
        (NETWORK, {"lanes": True}, "lanes must be a whole number, not True"),
        (NETWORK, {"board": 3}, "board must be a name or a Board, not 3"),
        (NETWORK, {"learning": None}, "learning must be a bool or LearningOptions, not None"),
        (NETWORK, {"learning": 3}, "learning must be a bool or LearningOptions, not 3"),
        (NETWORK, {"like": 3}, "like must be a path or a Design, not 3"),
    ],
)
def test_other_types(model, change, rule):
    with pytest.raises(TypeError, match=rule):
        compile_model(model, **change)


def test_numbers_of_numpy_are_numbers():
    assert compile_model(NETWORK, lanes=np.int64(2)).folding.lanes <= 2
