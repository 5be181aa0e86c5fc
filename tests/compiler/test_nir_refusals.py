"""What NIR has and the chip has not is refused by name; damaged files too, and nothing else."""

import re

import h5py
import nir
import numpy as np
import pytest
from conftest import SEED, SOAK
from nir_graphs import affine, cuba, entry, exit_, graph, leaky, linear, read_here

from vle.compiler.frontend import import_model, read_model
from vle.compiler.frontend.nir import hdf5
from vle.compiler.frontend.nir.source import REFUSED
from vle.errors import CompileError

ONE = np.ones(2)
OTHERS = {
    "AvgPool2d": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
    "Conv1d": nir.Conv1d(8, np.ones((1, 1, 3)), 1, 0, 1, 1, np.ones(1)),
    "Conv2d": nir.Conv2d((8, 8), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.ones(1)),
    "CubaLIF": nir.CubaLIF(ONE, ONE, ONE, ONE, ONE),
    "Delay": nir.Delay(ONE),
    "I": nir.I(ONE),
    "IF": nir.IF(ONE, ONE),
    "LIF": nir.LIF(ONE, ONE, ONE, ONE),
    "SumPool2d": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
    "Threshold": nir.Threshold(ONE),
}


def refused(path, rule, dt=0.01):
    with pytest.raises(CompileError) as caught:
        import_model(path, dt=dt)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert re.fullmatch(rule, text.removeprefix(f"{path}: ")), text


def written(tmp_path, nodes, *edges):
    nir.write(tmp_path / "g.nir", graph(nodes, *edges))
    return tmp_path / "g.nir"


def test_every_node_of_nir_is_mapped_or_refused_here():
    known = {"Affine", "CubaLI", "Flatten", "Input", "LI", "Linear", "NIRGraph", "Output", "Scale"}
    named = set(nir.ir.__all__) - {"NIRNode", "str2NIRNode", "dict2NIRNode"}
    assert named == known | set(OTHERS)
    assert set(REFUSED) == set(OTHERS)


@pytest.mark.parametrize("kind", [*OTHERS, "inner LIF"])
def test_nodes_that_cannot_be_mapped(tmp_path, monkeypatch, kind):
    read_here(monkeypatch)
    inner, kind = kind.startswith("inner"), kind.removeprefix("inner ")
    nodes = {"in": entry(2), "n": OTHERS[kind], "out": exit_(2)}
    name = "n"
    if inner:
        inside = graph(nodes, "in>n>out")
        nodes, name = {"in": entry(2), "n": inside, "out": exit_(2)}, "n.n"
    path = written(tmp_path, nodes, "in>n>out")
    why = re.escape(REFUSED[kind])
    refused(path, rf"node {name} \({kind}\): {kind} cannot be mapped: {why}")


RNG = np.random.default_rng(0)
LI = leaky(RNG, 2)
ENDS = {"in": entry(2), "out": exit_(2)}
NAN = nir.Linear(np.full((2, 2), np.nan))
WRONG = {
    "no input": ({"v": LI, "out": exit_(2)}, ["v>out"], r"node graph \(NIRGraph\): must have one "
                 r"Input node, not 0"),
    "two outputs": ({**ENDS, "v": LI, "w": exit_(2)}, ["in>v>out", "v>w"], r"node graph "
                    r"\(NIRGraph\): must have one Output node, not 2: out, w"),
    "a loop without memory": (
        {**ENDS, "a": linear(RNG, 2, 2), "b": linear(RNG, 2, 2)},
        ["in>a>b>out", "b>a"],
        r"node [ab] \(Linear\): a loop must pass through LI or CubaLI, not only [ab] -> [ab] -> "
        r"[ab]",
    ),
    "width of weights": (
        {**ENDS, "a": linear(RNG, 2, 3)},
        ["in>a>out"],
        r"node a \(Linear\): weight must be of shape \(out, 2\), as its input is, not \(2, 3\)",
    ),
    "stacked weights": (
        {**ENDS, "a": nir.Linear(np.ones((2, 2, 2)))},
        ["in>a>out"],
        r"node a \(Linear\): weight must be of shape .*, not \(2, 2, 2\)",
    ),
    "width of an LI": (
        {**ENDS, "a": affine(RNG, 3, 2), "v": LI},
        ["in>a>v>out"],
        r"node v \(LI\): must hear 2 elements, not 3",
    ),
    "width of a sum": (
        {**ENDS, "a": affine(RNG, 3, 2), "v": LI, "b": linear(RNG, 2, 2)},
        ["in>a>v>out", "in>b>v"],
        r"node v \(LI\): must hear signals of one width, not 3 of a and 2 of b",
    ),
    "width of a scale": (
        {**ENDS, "a": nir.Scale(np.ones(3))},
        ["in>a>out"],
        r"node a \(Scale\): scale must have 2 elements, as many as its signal, not 3",
    ),
    "width of the output": (
        {**ENDS, "a": affine(RNG, 3, 2)},
        ["in>a>out"],
        r"node out \(Output\): must hear 2 elements, not 3",
    ),
    "not a number": (
        {**ENDS, "a": NAN},
        ["in>a>out"],
        r"node a \(Linear\): weight must be real numbers, all finite",
    ),
    "overflow": (
        {**ENDS, "a": nir.Linear(np.full((2, 2), 1e200)), "b": nir.Scale(1e200 * ONE)},
        ["in>a>b>out"],
        r"layer 0, of the output: weight must be finite, not inf",
    ),
    "no time": (
        {**ENDS, "v": nir.LI(tau=0 * ONE, r=ONE, v_leak=ONE)},
        ["in>v>out"],
        r"node v \(LI\): tau must be positive, not 0\.0",
    ),
    "short synapses": (
        {**ENDS, "v": nir.CubaLI(ONE / 1000, ONE, ONE, ONE)},
        ["in>v>out"],
        r"node v \(CubaLI\): time constants must be at least the step of 0\.01, not 0\.001",
    ),
    "nothing heard": ({**ENDS, "v": LI, "a": linear(RNG, 2, 2)}, ["in>v>out", "a>v"],
                      r"node a \(Linear\): must hear another node, not none"),
    "output heard": ({**ENDS, "v": LI}, ["in>v>out", "out>v"],
                     r"node out \(Output\): the output must not be heard by other nodes"),
    "input hears": ({**ENDS, "v": LI}, ["in>v>out", "v>in"],
                    r"node in \(Input\): the input must hear no other node"),
    "an edge twice": ({**ENDS, "v": LI}, ["in>v>out", "in>v"], r"edge in -> v must be given once"),
    "an edge to nowhere": ({**ENDS, "v": LI}, ["in>v>out", "v>w"],
                           r"edge v -> w must join nodes of the graph; w is none"),
    "too large": (
        {"in": entry(2), "a": nir.Linear(np.ones((9000, 2))), "s": nir.Scale(np.ones(9000) * 2),
         "v": nir.LI(*np.ones((3, 9000))), "r": nir.Scale(np.ones(9000)), "out": exit_(9000)},
        ["in>a>s>v>out", "v>r>v"],
        r"node v \(LI\): must make a matrix of at most \d+ weights, not 9000 x 9000",
    ),
    "too wide": ({"in": entry(10**6), "out": exit_(10**6)}, ["in>out"],
                 r"layer 0 must have at most \d+ weights, not 1000000 x 1000000"),
    "no shape": ({"in": entry(0), "out": exit_(0)}, ["in>out"],
                 r"node in \(Input\): shape must be of positive numbers, not \[0\]"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_graphs_that_break_a_rule(tmp_path, monkeypatch, what):
    read_here(monkeypatch)
    nodes, edges, rule = WRONG[what]
    refused(written(tmp_path, nodes, *edges), rule)


def test_files_that_are_no_graphs(tmp_path):
    refused(tmp_path / "absent.nir", "there is no such file")
    (tmp_path / "folder.nir").mkdir()
    refused(tmp_path / "folder.nir", "must be a NIR file, not a folder, a device or a pipe")
    (tmp_path / "text.nir").write_text("weights")
    refused(tmp_path / "text.nir", r"must be a NIR graph; it cannot be read: .*")
    nir.write(tmp_path / "node.nir", LI)
    refused(tmp_path / "node.nir", "must be a graph, not a single LI")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["numbers"] = np.ones(3)
    refused(tmp_path / "other.h5", "must be a NIR graph: this HDF5 file has no group 'node'")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    path = written(tmp_path, {**ENDS, "v": LI}, "in>v>out")
    monkeypatch.setattr("vle.compiler.frontend.nir.find_spec", lambda name: None)
    refused(path, r"NIR graphs need the extra nir: pip install 'vle\[nir\]'")


def test_a_file_that_unpacks_to_more_than_the_limit(tmp_path):
    path = written(tmp_path, {**ENDS, "v": LI}, "in>v>out")
    with h5py.File(path, "r+") as file:
        file["node/nodes/v"].create_dataset("huge", (2**40,), "f8", chunks=(1024,))
    assert path.stat().st_size < 1e5
    refused(path, r"must be a NIR graph; it must hold at most 2147483648 bytes of numbers, not \d+")


def test_a_node_of_another_tool(tmp_path):
    path = written(tmp_path, {**ENDS, "v": LI}, "in>v>out")
    with h5py.File(path, "r+") as file:
        del file["node/nodes/v/type"]
        file["node/nodes/v/type"] = "Resonator"
    refused(path, r"node v \(Resonator\): Resonator cannot be mapped: NIR has no such node")


def test_damaged_files_are_read_or_refused(tmp_path):
    rng = np.random.default_rng(SEED)
    nodes = {**ENDS, "a": affine(rng, 2, 2), "v": cuba(rng, 2), "r": linear(rng, 2, 2)}
    whole = written(tmp_path, nodes, "in>a>v>out", "v>r>v").read_bytes()
    path, read = tmp_path / "damaged.nir", 0
    for case in range(1000 if SOAK else 15):
        data = bytearray(whole)
        if case % 3 == 0:
            data = data[: rng.integers(len(data))]
        for place in rng.integers(len(data), size=case % 3 * 4) if data else ():
            data[place] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        text = answer(path)
        read += not text
        assert not text or text.startswith(f"{path}: ")
        assert "\n" not in text
    assert read > 0


@pytest.mark.parametrize(
    ("program", "rule"),
    [
        ("import os; os.abort()", "it is damaged; the HDF5 library ended with -6"),
        ("import time; time.sleep(9)", "it must be readable within 0.5 s; it is damaged"),
    ],
)
def test_a_library_that_crashes_or_hangs(tmp_path, monkeypatch, program, rule):
    path = written(tmp_path, {**ENDS, "v": LI}, "in>v>out")
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "program.py"))
    monkeypatch.setattr(hdf5, "SECONDS", 0.5)
    refused(path, f"must be a NIR graph; {rule}")


def answer(path):
    try:
        import_model(path, dt=0.001)
    except CompileError as error:
        return str(error)
    return ""


def test_time_constants_in_single_precision_may_be_one_step(tmp_path):
    short = nir.LI(*np.array([[0.01, 0.01], [1, 1], [0, 0]], np.float32))
    path = written(tmp_path, {**ENDS, "v": short}, "in>v>out")
    assert import_model(path, dt=0.01).network.layers[0].tau_m.min() == 0.01


def test_read_model_takes_what_brings_its_step(tmp_path):
    path = written(tmp_path, {**ENDS, "a": affine(RNG, 2, 2)}, "in>a>out")
    assert read_model(path).dt == 1.0
