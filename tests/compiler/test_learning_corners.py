"""Chips that learn, at the ends of formats, of arguments and of what a state may be."""

from dataclasses import replace

import numpy as np
from test_learning_design import compiled, network, signals

from vle.compiler import compile_model


def test_weights_at_both_ends_of_their_format_come_back(tmp_path):
    design = compiled(network())
    ends = []
    for layer in design.state.learning:
        odd = np.arange(layer.weight.size).reshape(layer.weight.shape) % 2
        ends.append(layer._replace(weight=np.where(odd, -(1 << 15), (1 << 15) - 1)))
    design.restore(replace(design.state, learning=tuple(ends)))
    design.export(tmp_path / "learned.onnx")
    back = compile_model(tmp_path / "learned.onnx", lanes=8)
    for spec, learned in zip(back.network.layers, ends, strict=True):
        assert np.array_equal(spec.weight, learned.weight)


def test_frozen_steps_learn_nothing_where_answers_are_waited_for():
    design = compiled(network())
    x, y = signals(20)
    before = design.state
    design.learn(x, y, rate=0.1, aligned=True, freeze=np.ones(20, bool))
    for old, new in zip(before.learning, design.state.learning, strict=True):
        assert np.array_equal(old.weight, new.weight)
        assert np.array_equal(old.bias, new.bias)
