"""A network as a NIR graph answers as it did, and what NIR cannot say is said."""

from dataclasses import replace

import nir
import numpy as np
import pytest
from nir_graphs import euler, read_here

from vle.compiler.frontend import import_model
from vle.compiler.frontend.nir import save
from vle.sim import Layer, Network

DT = 0.1


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    read_here(monkeypatch)


def leaky(rng, out, in_, recurrent=False):
    own = rng.normal(size=(out, out)) / (2 * np.sqrt(out)) if recurrent else None
    weight = rng.normal(size=(out, in_)) / np.sqrt(in_)
    return Layer(weight, rng.normal(size=out), rng.uniform(DT, 1, out), DT, "identity", own)


def network_of_integrators(seed=0):
    rng = np.random.default_rng(seed)
    layers = (leaky(rng, 5, 3), leaky(rng, 4, 5, recurrent=True), leaky(rng, 2, 4))
    return Network(layers, DT, aligned=True)


def looking_ahead(seed=0):
    """Layers with any look-ahead, or none, or without memory, and all of it in one layer."""
    rng = np.random.default_rng(seed)
    layers = [leaky(rng, 5, 3), leaky(rng, 4, 5), leaky(rng, 4, 4), leaky(rng, 2, 4)]
    tau = [rng.uniform(2 * DT, 1, layer.outputs) for layer in layers]
    tau_r = [np.full(5, DT), tau[1] * 0.7, tau[2], rng.uniform(DT, 2, 2)]
    tau_r[1][0], tau_r[1][1] = DT, tau[1][1]
    pairs = zip(layers, tau, tau_r, strict=True)
    return Network([replace(a, tau_m=m, tau_r=r) for a, m, r in pairs], DT, aligned=True)


def test_integrators_come_back_as_they_were(tmp_path):
    network = network_of_integrators()
    save(network, tmp_path / "g.nir")
    assert import_model(tmp_path / "g.nir").network == network
    assert [path.name for path in tmp_path.iterdir()] == ["g.nir"]


def test_what_is_written_obeys_the_equations_of_nir(tmp_path):
    network = network_of_integrators(1)
    save(network, tmp_path / "g.nir")
    g = nir.read(tmp_path / "g.nir")  # with its own check of types
    order = ["input", "layer0.current", "layer0", "layer1.current", "layer1.recurrent", "layer1"]
    order += ["layer2.current", "layer2", "output"]
    x = np.random.default_rng(2).normal(size=(40, 3))
    assert np.abs(euler(g, order, x, DT) - network.run(x)).max() < 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_layers_that_look_ahead_answer_as_they_did(tmp_path, seed):
    network = looking_ahead(seed)
    save(network, tmp_path / "g.nir")
    x = np.random.default_rng(seed).normal(size=(40, 3))
    back = import_model(tmp_path / "g.nir").network
    assert np.abs(back.run(x) - network.run(x)).max() < 1e-11
    kinds = [type(node).__name__ for node in nir.read(tmp_path / "g.nir").nodes.values()]
    assert kinds.count("LI") == 3
    assert "Scale" in kinds


def test_what_nir_cannot_say_is_noted(tmp_path):
    network = network_of_integrators()
    notes = save(network, tmp_path / "g.nir")
    assert notes == (
        "NIR says nothing of steps: dt = 0.1 is in the metadata",
        "NIR says nothing of learning: loss squared_error, gamma, beta and the rule are left out",
    )
    rng = np.random.default_rng(3)
    layers = [replace(a, backward=rng.normal(size=a.weight.T.shape)) for a in network.layers]
    notes = save(Network(layers, DT, aligned=False), tmp_path / "g.nir")
    assert notes[2] == "NIR says nothing of backward matrices, which are left out"
    assert notes[3].endswith(
        "its output t is that of run(aligned=True), which answers 2 steps earlier"
    )


def test_what_nir_has_no_nodes_for_is_refused(tmp_path):
    rng = np.random.default_rng(4)
    first, second = leaky(rng, 4, 3), leaky(rng, 4, 4, recurrent=True)
    cases = {
        "activation of layer1 must be identity, as NIR has no other, not tanh": (
            replace(leaky(rng, 4, 4), activation="tanh"),
        ),
        "tau_r of layer1 must be dt = 0.1, as a loop of NIR has no other look-ahead, not 0.5": (
            replace(second, tau_r=np.full(4, 0.5)),
        ),
        "tau_m of layer1 must be longer than dt = 0.1, or equal to tau_r": (
            replace(leaky(rng, 4, 4), tau_m=np.full(4, DT), tau_r=np.full(4, 0.5)),
        ),
    }
    for rule, (layer,) in cases.items():
        with pytest.raises(ValueError, match=rule):
            save(Network((first, layer), DT), tmp_path / "g.nir")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="absent"):
        save(network_of_integrators(), tmp_path / "absent" / "g.nir")
