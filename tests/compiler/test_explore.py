"""`vle-explore`: many designs, each what the compiler makes of it, whoever computes them."""

import contextlib
import json

import numpy as np
import pytest
from nets import random_network, random_signal
from onnx_models import chain, f4, node

from vle.compiler import compile_model
from vle.compiler.cli.explore import main
from vle.compiler.explore.explore import explore_model
from vle.compiler.explore.pool import pool
from vle.compiler.frontend import Imported
from vle.compiler.planning.beside import BESIDE
from vle.errors import CompileError


def here(what, function, items):
    """In this process."""
    return map(function, items)


def task(seed=0):
    rng = np.random.default_rng(seed)
    network = random_network(rng, [6, 20, 12, 4], instantaneous=True, aligned=True)
    return Imported(network), random_signal(rng, 60, 3, 6)


def test_each_design_is_what_the_compiler_makes_of_it():
    model, x = task()
    found = explore_model(model, here, calibration=x, weight_bits=[8, 3], lanes=[1, 4], mixed=2)[
        "designs"
    ]
    assert [(d["weight_bits"], d["lanes"]) for d in found[:4]] == [
        ([8] * 3, 1),
        ([8] * 3, 4),
        ([3] * 3, 1),
        ([3] * 3, 4),
    ]
    assert sum(d["mixed"] for d in found) == 4
    for row in found:
        design = compile_model(
            model.network, calibration=x, weight_bits=row["weight_bits"], lanes=row["lanes"]
        )
        for name in ("memory_bits", "multipliers", "cycles_per_step"):
            assert row[name] == design.report[name]
        off, real = design.run(x) - model.network.run(x), model.network.run(x)
        assert row["error"] == pytest.approx(np.sqrt(np.mean(off**2) / np.mean(real**2)))


def test_the_front_is_what_no_other_design_beats():
    model, x = task(1)
    found = explore_model(
        model, here, calibration=x, weight_bits=[16, 6, 4, 2], lanes=[1, 3, 9], mixed=0
    )
    rows = [(d["error"], d["memory_bits"], d["cycles_per_step"]) for d in found["designs"]]
    for row, design in zip(rows, found["designs"], strict=True):
        better = [all(a <= b for a, b in zip(o, row, strict=True)) and o != row for o in rows]
        assert design["pareto"] == (not any(better))


def test_labels_make_it_accuracy():
    model, x = task(2)
    labels = model.network.run(x).sum(axis=0).argmax(axis=-1)
    found = explore_model(
        model, here, calibration=x, labels=labels, weight_bits=[16], lanes=[2], mixed=0
    )
    assert [d["accuracy"] for d in found["designs"]] == [1.0]


def test_workers_do_not_change_what_is_found():
    model, x = task(3)
    options = {"calibration": x, "weight_bits": [8, 5], "lanes": [1, 4], "mixed": 1}
    alone = explore_model(model, here, **options)
    seen = []
    with pool(2, None, lambda *done: seen.append(done)) as each:
        together = explore_model(model, each, **options)
    assert json.dumps(together) == json.dumps(alone)
    assert ("plans", 6, 6) in seen
    assert seen[0] == ("each layer alone", 0, 28)


@pytest.fixture
def model(tmp_path):
    nodes = (node("Gemm", "x", f4(3, 5), f4(5)), node("Tanh", "x"), node("MatMul", "x", f4(5, 2)))
    return chain(tmp_path / "m.onnx", ["n", 3], *nodes)


@pytest.fixture
def explored(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return left.value.code, *capsys.readouterr()

    return run


def test_the_command_writes_numbers_and_a_picture(explored, model, tmp_path):
    given = [
        model,
        "--weight-bits",
        "8,4",
        "--lanes",
        "1,2",
        "--mixed",
        0,
        "-j",
        1,
        "-o",
        tmp_path / "out",
    ]
    code, out, err = explored(*given)
    assert (code, err) == (0, "")
    assert "4 designs" in out
    assert "8 bit, 2 lanes: error" in out
    found = json.loads((tmp_path / "out" / "explore.json").read_text())
    assert len(found["designs"]) == 4
    assert (tmp_path / "out" / "explore.png").read_bytes()[:4] == b"\x89PNG"
    code, out, _ = explored(*given, "--json", "--board", "ulx3s-85f")
    offered = 83640 - BESIDE["ecp5"].cells  # the link has the rest
    assert [d["board"]["luts"][1] for d in json.loads(out)["designs"]] == [offered] * 4
    assert explored(*given, "-q") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--weight-bits", "99"], "weight bits must be in 2..16, not (99,)"),
        (["--lanes", "0"], "lanes must be in 1..1048576, not (0,)"),
        (["--lanes", "a"], "'a' is neither a number nor numbers separated by commas"),
        (["--mixed", "-1"], "mixed must be 0 or more, not -1"),
        (["-j", "0"], "workers must be 1 or more, or -1"),
        (["--board", "toaster"], "board must be one of"),
        (["--labels", "none.npy"], "none.npy: there is no such file"),
        (["--nonsense"], "No such option"),
    ],
)
def test_bad_input_is_one_line(explored, model, tmp_path, arguments, rule):
    (tmp_path / "work").mkdir()
    with contextlib.chdir(tmp_path / "work"):
        code, out, err = explored(model, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("vle-explore: error: ")
    assert rule in err
    assert err.count("\n") == 1
    assert list((tmp_path / "work").iterdir()) == []


def test_labels_without_data_and_designs_that_do_not_fit():
    model, _ = task()
    with pytest.raises(CompileError, match="labels need calibration data"):
        explore_model(model, here, labels=[0])
    wide = Imported(random_network(np.random.default_rng(0), [600, 600]))
    with pytest.raises(CompileError, match="none of the designs can be had on this board"):
        explore_model(wide, here, weight_bits=[16], lanes=[1], mixed=0, board="icebreaker")
