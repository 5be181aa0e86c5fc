"""NIR graphs come in, and answer as forward Euler of NIR's own equations does."""

import nir
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SEED, SOAK
from nir_graphs import affine, cuba, entry, euler, exit_, graph, leaky, linear, read_here, vector

from vle.compiler import compile_model
from vle.compiler.cli.command import command
from vle.compiler.frontend import import_model, read_model
from vle.errors import CompileError

DT = 0.01


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    read_here(monkeypatch)


def written(g, tmp_path, name="graph.nir"):
    nir.write(tmp_path / name, g)
    return tmp_path / name


def examples():
    """Graphs, the order in which their nodes are heard, and the layers that they become."""
    rng = np.random.default_rng(7)
    ends = {"in": entry(3), "out": exit_(4)}
    a, b, c, d = affine(rng, 5, 3), affine(rng, 4, 5), linear(rng, 4, 5), affine(rng, 4, 4)
    back, wide = linear(rng, 5, 5, 0.7), linear(rng, 4, 3)
    scale = nir.Scale(vector(rng, 5))
    five, four, other = leaky(rng, 5), leaky(rng, 4), leaky(rng, 4)
    return {
        "one leaky layer": (
            graph({"in": entry(3), "a": a, "v": five, "out": exit_(5)}, "in>a>v>out"),
            "in a v out",
            1,
        ),
        "chain": (
            graph({**ends, "a": a, "v": five, "b": b, "w": four}, "in>a>v>b>w>out"),
            "in a v b w out",
            2,
        ),
        "readout": (
            graph({**ends, "a": a, "v": five, "s": scale, "b": b}, "in>a>v>s>b>out"),
            "in a v s b out",
            2,
        ),
        "static": (graph({**ends, "a": a, "s": scale, "b": b}, "in>a>s>b>out"), "in a s b out", 1),
        "recurrent": (
            graph(
                {**ends, "a": a, "v": five, "r": back, "b": b, "w": four},
                "in>a>v>b>w>out",
                "v>r>v",
            ),
            "in a r v b w out",
            2,
        ),
        "hears itself, at once and through a scale": (
            graph({"in": entry(5), "v": five, "s": scale, "out": exit_(5)}, "in>v>out", "v>s>v"),
            "in s v out",
            1,
        ),
        "synapses": (
            graph({**ends, "a": a, "v": five, "b": b, "w": cuba(rng, 4)}, "in>a>v>b>w>out"),
            "in a v b w out",
            3,
        ),
        "skips a layer": (
            graph(
                {**ends, "a": a, "v": five, "b": b, "w": four, "c": wide},
                "in>a>v>b>w>out",
                "in>c>w",
            ),
            "in a c v b w out",
            2,
        ),
        "branches of unlike depth": (
            graph(
                {**ends, "a": a, "v": five, "b": b, "w": four, "c": c, "d": d, "y": other},
                "in>a>v>b>w>d>y>out",
                "v>c>out",
            ),
            "in a v b w d y c out",
            4,
        ),
    }


@pytest.mark.parametrize("name", examples())
def test_a_graph_answers_as_its_equations_do(name, tmp_path):
    g, order, layers = examples()[name]
    x = np.random.default_rng(1).normal(size=(60, read_width(g)))
    network = import_model(written(g, tmp_path), dt=DT).network
    expected = euler(g, order.split(), x, DT)
    assert np.abs(network.run(x) - expected).max() < 1e-12
    assert len(network.layers) == layers
    assert np.abs(expected).max() > 0.1


def read_width(g):
    return int(next(n for n in g.nodes.values() if isinstance(n, nir.Input)).input_type["input"][0])


def random_graph(rng):
    """Integrators that hear any two signals before them, and some of them themselves."""
    nodes, order, edges, widths = {"in": entry(3)}, ["in"], [], {"in": 3}
    for index in range(rng.integers(1, 7)):
        name, width = f"v{index}", int(rng.integers(1, 5))
        nodes[name] = (leaky if rng.random() < 0.7 else cuba)(rng, width)
        for other in rng.choice(list(widths), size=min(2, len(widths)), replace=False):
            way = f"{other}-{name}"
            nodes[way] = affine(rng, width, widths[str(other)])
            edges.append(f"{other}>{way}>{name}")
            order.append(way)
        if type(nodes[name]) is nir.LI and rng.random() < 0.4:
            nodes[f"{name} loop"] = linear(rng, width, width, 0.7)
            edges.append(f"{name}>{name} loop>{name}")
            order.append(f"{name} loop")
        order.append(name)
        widths[name] = width
    for index, other in enumerate(rng.choice(list(widths), size=2, replace=False)):
        nodes[f"out{index}"] = affine(rng, 2, widths[str(other)])
        edges.append(f"{other}>out{index}>out")
        order.append(f"out{index}")
    nodes["out"] = exit_(2)
    return graph(nodes, *edges), [*order, "out"]


@pytest.mark.parametrize("seed", range(500 if SOAK else 40))
def test_random_graphs_answer_as_their_equations_do(seed, tmp_path):
    rng = np.random.default_rng([SEED, seed])
    g, order = random_graph(rng)
    x = rng.normal(size=(25, 3))
    network = import_model(written(g, tmp_path), dt=DT).network
    expected = euler(g, order, x, DT)
    assert np.abs(network.run(x) - expected).max() < 1e-11 * max(1, np.abs(expected).max())


def loop_of_two(rng):
    """Two layers that hear each other: `tau v' = v_leak - v + r (W x + b + C w)` and likewise w."""
    nodes = {"in": entry(2), "out": exit_(3), "a": affine(rng, 4, 2), "v": leaky(rng, 4)}
    nodes |= {"b": affine(rng, 3, 4), "w": leaky(rng, 3), "c": linear(rng, 4, 3, 0.8)}
    return graph(nodes, "in>a>v>b>w>out", "w>c>v")


def test_a_loop_of_two_layers_is_forward_euler_of_both(tmp_path):
    rng = np.random.default_rng(3)
    g = loop_of_two(rng)
    n = g.nodes
    imported = import_model(written(g, tmp_path), dt=DT)
    x = rng.normal(size=(50, 2))
    v, w, expected = np.zeros(4), np.zeros(3), []
    for frame in x:
        dv = n["a"].weight @ frame + n["a"].bias + n["c"].weight @ w
        dw = n["b"].weight @ v + n["b"].bias
        v, w = (
            v + DT / n["v"].tau * (n["v"].v_leak - v + n["v"].r * dv),
            w + DT / n["w"].tau * (n["w"].v_leak - w + n["w"].r * dw),
        )
        expected.append(w)
    assert np.abs(imported.network.run(x) - np.array(expected)).max() < 1e-12
    assert imported.notes == ("v, w hear each other one step later, in layer 0",)
    assert imported.network.layers[0].outputs == 7


def test_synapses_in_a_loop_are_forward_euler_of_all(tmp_path):
    rng = np.random.default_rng(4)
    node, back = cuba(rng, 3), linear(rng, 3, 3, 0.8)
    g = graph({"in": entry(3), "v": node, "r": back, "out": exit_(3)}, "in>v>out", "v>r>v")
    network = import_model(written(g, tmp_path), dt=DT).network
    x = rng.normal(size=(40, 3))
    i, v, expected = np.zeros(3), np.zeros(3), []
    for frame in x:
        di = -i + node.w_in * (frame + back.weight @ v)
        dv = node.v_leak - v + node.r * i
        i, v = i + DT / node.tau_syn * di, v + DT / node.tau_mem * dv
        expected.append(v)
    assert np.abs(network.run(x) - np.array(expected)).max() < 1e-12


def test_smaller_steps_come_to_the_solution_in_the_first_order(tmp_path):
    """The same file, the equations solved by fourth-order Runge and Kutta in fine steps."""
    rng = np.random.default_rng(5)
    g = loop_of_two(rng)
    n, path = g.nodes, written(g, tmp_path)

    def slope(t, v, w):
        x = np.sin(np.array([3.0, 5.0]) * t)
        dv = n["a"].weight @ x + n["a"].bias + n["c"].weight @ w
        dw = n["b"].weight @ v + n["b"].bias
        return (
            (n["v"].v_leak - v + n["v"].r * dv) / n["v"].tau,
            (n["w"].v_leak - w + n["w"].r * dw) / n["w"].tau,
        )

    t, h, v, w = 0.0, 1 / 1000, np.zeros(4), np.zeros(3)
    for _ in range(1000):
        k1 = slope(t, v, w)
        k2 = slope(t + h / 2, v + h / 2 * k1[0], w + h / 2 * k1[1])
        k3 = slope(t + h / 2, v + h / 2 * k2[0], w + h / 2 * k2[1])
        k4 = slope(t + h, v + h * k3[0], w + h * k3[1])
        v = v + h / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0])
        w = w + h / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])
        t += h
    errors = []
    for dt in (0.02, 0.01, 0.005):
        times = dt * np.arange(round(1 / dt))
        x = np.sin(times[:, None] * np.array([3.0, 5.0]))
        errors.append(np.abs(import_model(path, dt=dt).network.run(x)[-1] - w).max())
    assert errors[0] < 0.2
    assert 1.7 < errors[0] / errors[1] < 2.3
    assert 1.7 < errors[1] / errors[2] < 2.3


def test_graphs_within_graphs_are_dissolved(tmp_path):
    rng = np.random.default_rng(6)
    back, node = linear(rng, 3, 3, 0.5), leaky(rng, 3)
    parts = {"in": entry(3), "v": node, "r": back, "out": exit_(3)}
    inner = graph(parts, "in>v>out", "v>r>v")
    a, flat = affine(rng, 3, 6), nir.Flatten({"input": np.array([2, 3])}, 0)
    picture = nir.Input({"input": np.array([2, 3])})
    g = graph({"in": picture, "f": flat, "a": a, "v": inner, "out": exit_(3)}, "in>f>a>v>out")
    same = graph({**parts, "in": entry(6), "a": a}, "in>a>v>out", "v>r>v")
    assert read(g, tmp_path) == read(same, tmp_path)


def read(g, tmp_path):
    return import_model(written(g, tmp_path), dt=DT).network


def test_signals_that_lead_nowhere_are_left_out_and_named(tmp_path):
    rng = np.random.default_rng(8)
    a, v, probe = affine(rng, 3, 3), leaky(rng, 3), leaky(rng, 3)
    g = graph({"in": entry(3), "a": a, "v": v, "p": probe, "out": exit_(3)}, "in>a>v>out", "v>p")
    imported = import_model(written(g, tmp_path), dt=DT)
    assert imported.notes == ("p (LI) does not lead to the output and is left out",)
    assert len(imported.network.layers) == 1


def test_the_step_stands_in_the_metadata_or_is_asked_for(tmp_path):
    rng = np.random.default_rng(9)
    nodes = {"in": entry(3), "v": leaky(rng, 3), "out": exit_(3)}
    path = written(graph(nodes, "in>v>out", metadata={"dt": 0.02}), tmp_path)
    imported = import_model(path)
    assert imported.network.dt == 0.02
    assert imported.notes == ("a step is 0.02, as the metadata of the graph say; --dt overrides",)
    assert import_model(path, dt=0.01).network.dt == 0.01
    assert import_model(path, dt=0.01).notes == ()
    bare = written(graph(nodes, "in>v>out"), tmp_path)
    with pytest.raises(CompileError, match=r"graph.nir: dt must be given \(--dt\)"):
        read_model(bare)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(CompileError, match="dt must be a positive number"):
            import_model(bare, dt=wrong)
    with pytest.raises(CompileError, match=r"node v \(LI\): time constants must be at least"):
        import_model(bare, dt=10.0)


@pytest.mark.parametrize("name", ["graph.nir", "named_otherwise.h5"])
def test_it_compiles(tmp_path, name):
    g, order, _ = examples()["recurrent"]
    path = written(g, tmp_path, name)
    x = np.random.default_rng(2).uniform(-1, 1, (80, 3))
    design = compile_model(path, dt=DT, calibration=x, lanes=12)
    expected = euler(g, order.split(), x, DT)
    assert np.abs(design.run(x) - expected).max() < 2e-3 * np.abs(expected).max()


def test_the_command_compiles_and_refuses(tmp_path):
    g, _, _ = examples()["chain"]
    path, out = written(g, tmp_path), tmp_path / "bundle"
    run = CliRunner().invoke
    arguments = [str(path), "-o", str(out), "--no-verilog", "--lanes", "4"]
    done = run(command, [*arguments, "--dt", "0.01"], standalone_mode=False)
    assert done.return_value == 0, done.output
    assert (out / "design.json").exists()
    refused = run(command, arguments, standalone_mode=False)
    assert refused.return_value == 2
    assert refused.output.startswith(f"vle-compile: error: {path}: dt must be given (--dt)")
    with pytest.raises(CompileError, match="dt must be left out: the network has its own"):
        compile_model(read(g, tmp_path), dt=0.1)
    with pytest.raises(CompileError, match="dt must be left out: the steps of ONNX"):
        import_model("examples/models/mnist1d.onnx", dt=0.1)
