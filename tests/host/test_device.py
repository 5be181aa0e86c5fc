"""The driver on a chip in simulation: the same answers as the design, and nothing lost."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from vle.compiler import Design, compile_model
from vle.compiler.network import NetworkSpec
from vle.errors import DeviceError, TransportError
from vle.host import Snapshot, open_device
from vle.sim import Activation, Layer, Network


def network(*, aligned: bool) -> Network:
    """Two inputs, a recurrent layer, a slow layer, one output."""
    rng = np.random.default_rng(3)
    layers = (
        Layer(
            weight=rng.normal(0, 1, (5, 2)),
            bias=rng.normal(0, 0.3, 5),
            tau_m=np.full(5, 1.0),
            tau_r=np.full(5, 1.0),
            activation=Activation("tanh"),
            recurrent=rng.normal(0, 0.4, (5, 5)),
        ),
        Layer(
            weight=rng.normal(0, 0.7, (3, 5)),
            bias=rng.normal(0, 0.3, 3),
            tau_m=np.array([1.0, 2.0, 4.0]),
            tau_r=np.array([0.5, 1.0, 1.0]),
            activation=Activation("relu"),
        ),
        Layer(
            weight=rng.normal(0, 1, (1, 3)),
            bias=np.zeros(1),
            tau_m=np.ones(1),
            tau_r=np.ones(1),
            activation=Activation("identity"),
        ),
    )
    return Network(layers, dt=0.5, aligned=aligned)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("device") / "bundle"
    design = compile_model(network(aligned=True), input_range=(-1.0, 1.0), lanes=5)
    design.save(path, verilog=True)
    return path


@pytest.fixture(scope="module")
def design():
    return compile_model(network(aligned=True), input_range=(-1.0, 1.0), lanes=5)


@pytest.fixture
def device(folder):
    with open_device(f"sim:{folder}") as opened:
        yield opened


def signal(steps: int, *batch: int) -> np.ndarray:
    return np.random.default_rng(4).uniform(-1, 1, (steps, *batch, 2))


@pytest.mark.parametrize("aligned", [None, True, False])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_run_is_the_design_s(device, design, aligned, batch):
    x = signal(20, *batch)
    got = device.run(x, aligned=aligned)
    assert got.shape == (20, *batch, 1)
    assert np.array_equal(got, design.run(x, aligned=aligned))


def test_runs_continue(device, design):
    x = signal(30)
    whole = design.run(x, aligned=False)
    parts = [device.run(x[:11], aligned=False), device.run(x[11:], aligned=False, reset=False)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_values_beyond_the_format_are_clamped_and_counted(device, design):
    x = signal(8)
    x[3, 0] = 1e3
    assert np.array_equal(device.run(x), design.run(x))
    assert device.input_saturation == design.input_saturation == 1
    assert device.saturation().tolist() == [list(counts) for counts in design.saturation]
    device.clear_counters()
    assert (device.input_saturation, device.steps, device.saturation().any()) == (0, 0, False)


def test_state_survives(device, folder):
    x = signal(30)
    device.run(x[:10], aligned=False)
    state = device.read_state()
    rest = device.run(x[10:], aligned=False, reset=False)
    with open_device(f"sim:{folder}") as other:
        other.load_state(state)
        assert np.array_equal(other.run(x[10:], aligned=False, reset=False), rest)


def test_state_survives_in_mid_sequence(device, design, folder):
    """The flag of a sequence has reached only the first layer; the others wait."""
    x = signal(4)
    frames = design.input_format.quantize(x).astype(np.int32)
    start = np.arange(4) == 0
    device.reset()
    whole = device.transport.exchange(frames, start, 1)
    for cut in (1, 2, 3):
        device.reset()
        device.transport.exchange(frames[:cut], start[:cut], 1)
        state = device.read_state()
        with open_device(f"sim:{folder}") as other:
            other.load_state(state)
            rest = other.transport.exchange(frames[cut:], start[cut:], 1)
        assert np.array_equal(rest, whole[cut:]), cut


def test_state_after_reset_is_zero(device):
    """The words of the run before are still in the memories: only the flags say that they are 0."""
    device.run(signal(10), aligned=False)
    assert all(words.any() for words in device.read_state().words.values())
    device.reset()
    state = device.read_state()
    assert not any(words.any() for words in state.words.values())
    assert {kind for kind, _ in state.words} == {"u", "rate", "loop"}


def test_refused_state_changes_nothing(device):
    x = signal(12)
    device.run(x[:6], aligned=False)
    state = device.read_state()
    word = {key: value + 1 for key, value in state.words.items()}
    flag = next(name for name in state.flags if "LAYER" in name)
    for change, rule in (
        ({"words": dict(list(word.items())[1:])}, r"state.words must be those of this chip"),
        ({"words": {**word, ("u", 9): word["u", 0]}}, r"differ in \('u', 9\)"),
        ({"words": {**word, ("u", 2): word["u", 2] * 0 + (1 << 40)}}, "u must be integers in"),
        ({"words": word, "flags": {}}, "state.flags must be those of this chip"),
        ({"words": word, "flags": {**state.flags, "CTRL": 1}}, "differ in CTRL"),
        ({"words": word, "flags": {**state.flags, flag: 1 << 7}}, "must be integers in 0..31"),
    ):
        with pytest.raises(ValueError, match=rule):
            device.load_state(replace(state, **change))
    now = device.read_state()
    assert now.flags == state.flags
    assert all(np.array_equal(now.words[key], words) for key, words in state.words.items())


def test_parameters_are_the_design_s(device, design):
    for words, layer in zip(device.read_parameters(), design.network.layers, strict=True):
        for name in ("weight", "scale", "bias", "alpha", "rho"):
            assert np.array_equal(getattr(words, name), getattr(layer, name)), name


def test_parameters_change(device, design):
    x = signal(12)
    before = device.run(x)
    kept = device.read_parameters()
    device.write_parameters([replace(words, bias=words.bias // 2) for words in kept])
    after = device.run(x)
    assert not np.array_equal(after, before)
    device.write_parameters(kept)
    assert np.array_equal(device.run(x), before)


def test_refused_parameters_change_nothing(device):
    kept = device.read_parameters()
    for change, rule in (
        ({"weight": kept[2].weight + (1 << 15)}, "weight must be integers in -32768..32767"),
        (dict.fromkeys(("table_value", "table_delta"), np.zeros(4, int)), "must be None where"),
        ({"bias": kept[2].bias[:0]}, r"bias must be of shape \(1,\)"),
        ({"scale": kept[2].scale * 1.0}, "scale must be integers"),
    ):
        with pytest.raises(ValueError, match=rule):
            device.write_parameters([*kept[:2], replace(kept[2], **change)])
    narrow = replace(device.bundle.layers[0], acc_width=20)
    with pytest.raises(ValueError, match=r"sum of neuron \d must fit 20 bits, not reach \d+"):
        narrow.check_accumulator(kept[0].weight)
    with pytest.raises(ValueError, match="must be of 3 layers"):
        device.write_parameters(kept[:2])
    for words, now in zip(kept, device.read_parameters(), strict=True):
        assert np.array_equal(words.weight, now.weight)


@pytest.fixture(scope="module")
def two_tables(tmp_path_factory):
    """Three layers with tables on one engine, two of them the same."""
    rng, layers = np.random.default_rng(8), []
    for name in ("tanh", "sigmoid", "tanh"):
        layers.append(
            Layer(
                weight=rng.normal(0, 1, (2, 2)),
                bias=np.zeros(2),
                tau_m=np.ones(2),
                tau_r=np.ones(2),
                activation=Activation(name),
            )
        )
    path = tmp_path_factory.mktemp("tables") / "bundle"
    made = compile_model(Network(tuple(layers), dt=1.0), input_range=(-1.0, 1.0), lanes=1)
    assert len(made.chip.folding.engines) == 1
    made.save(path, verilog=True)
    return path


def changed(words, delta):
    """Other tables, whose ends still fit."""
    return replace(words, table_value=words.table_value // 2 + delta, table_delta=words.table_delta)


def test_tables_change(two_tables, tmp_path):
    design = Design.load(two_tables)
    with open_device(f"sim:{two_tables}") as device:
        kept = device.read_parameters()
        for words, layer in zip(kept, design.network.layers, strict=True):
            assert words.table_value.tolist() == list(layer.activation.value)
            assert words.table_delta.tolist() == list(layer.activation.delta)
        device.export(tmp_path / "back.onnx")
        shared = np.array_equal(kept[0].table_value, kept[2].table_value)
        other = [changed(kept[0], 3), changed(kept[1], 5), changed(kept[2], 3 if shared else 7)]
        device.write_parameters(other)
        for words, now in zip(other, device.read_parameters(), strict=True):
            assert np.array_equal(words.table_value, now.table_value)
            assert np.array_equal(words.table_delta, now.table_delta)
        layers = [
            replace(
                layer,
                activation=replace(
                    layer.activation,
                    value=tuple(words.table_value.tolist()),
                    delta=tuple(words.table_delta.tolist()),
                ),
            )
            for layer, words in zip(design.network.layers, other, strict=True)
        ]
        chip = replace(design.chip, network=NetworkSpec(tuple(layers)))
        x = signal(20)
        assert np.array_equal(device.run(x), replace(design, chip=chip).run(x))
        assert not np.array_equal(device.run(x), design.run(x))
        with pytest.raises(ValueError, match="table_value must be as compiled to export"):
            device.export(tmp_path / "back.onnx")
        device.write_parameters([replace(w, table_value=None, table_delta=None) for w in kept])
        assert np.array_equal(device.read_parameters()[1].table_value, other[1].table_value)


def test_alpha_above_one_is_refused(two_tables):
    """The word has room for it, but the potential would wrap."""
    with open_device(f"sim:{two_tables}") as device:
        kept, plain = device.read_parameters(), device.bundle.plain["layers"][1]
        one = 1 << plain["alpha_shift"]
        assert kept[1].alpha.max() == one < (1 << plain["constant_width"]) - 1
        with pytest.raises(ValueError, match=rf"layer1.alpha must be integers in 0\.\.{one}$"):
            device.write_parameters([kept[0], replace(kept[1], alpha=kept[1].alpha + 1), kept[2]])


def test_refused_tables_change_nothing(two_tables):
    with open_device(f"sim:{two_tables}") as device:
        kept = device.read_parameters()
        lowest = kept[1].table_value * 0 + device.bundle.layers[1].rate.limits[0]
        for change, rule in (
            ({"table_value": None}, "table_value and table_delta must be both or neither"),
            ({"table_value": kept[1].table_value[:-1]}, "table_value must be of shape"),
            ({"table_value": lowest - 1}, "table_value must be integers in"),
            (
                {"table_delta": kept[1].table_delta * 0 - 1, "table_value": lowest},
                r"table_value \+ table_delta must be integers in",
            ),
        ):
            with pytest.raises(ValueError, match=rule):
                device.write_parameters([kept[0], replace(kept[1], **change), kept[2]])
        assert np.array_equal(kept[0].table_value, kept[2].table_value)
        with pytest.raises(ValueError, match="the same for layer 0 and layer 2, which share"):
            device.write_parameters([*kept[:2], changed(kept[2], 1)])
        for words, now in zip(kept, device.read_parameters(), strict=True):
            assert np.array_equal(words.table_value, now.table_value)


def test_export_is_the_network_within_a_step_of_each_word(device, tmp_path):
    path = tmp_path / "back.onnx"
    device.export(path)
    back, original = Network.load(path), network(aligned=True)
    x = signal(25)
    assert np.abs(back.run(x) - original.run(x)).max() < 2e-3
    for got, want in zip(back.layers, original.layers, strict=True):
        assert np.allclose(got.weight, want.weight, atol=2e-4)
        assert np.allclose(got.tau_m, want.tau_m, rtol=1e-4)
        assert np.allclose(got.tau_r, want.tau_r, rtol=1e-4)
    assert (back.dt, back.aligned) == (original.dt, original.aligned)


def test_export_names_the_extra(device, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "vle.sim", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install '\.\[sim\]'"):
        device.export(tmp_path / "x.onnx")


def test_wrong_words_are_refused(device, design):
    high = design.input_format.high
    for words in ([[0.9, -0.9]], [[high + 1, 0]], [[0, -high - 2]], np.full((1, 1, 2), 1 << 33)):
        for run in (device.run_raw, design.run_raw):
            with pytest.raises(ValueError, match=rf"x must be integers in {-high - 1}\.\.{high}"):
                run(words)
    ends = [[high, -high - 1]] * 5
    assert np.array_equal(device.run_raw(ends), design.run_raw(ends).output)


@pytest.mark.parametrize(
    ("x", "rule"),
    [
        (np.zeros((4, 3)), r"of shape \(T, 2\) or \(T, batch, 2\), not \(4, 3\)"),
        (np.zeros(4), "of shape"),
        (np.full((4, 2), np.nan), "must be finite"),
    ],
)
def test_wrong_signals_are_refused(device, x, rule):
    with pytest.raises(ValueError, match=rule):
        device.run(x)
    with pytest.raises(ValueError, match="one sequence"):
        device.run(np.zeros((4, 1, 2)), reset=False)


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("build", "of the form sim:DIR"),
        ("usb:1", "usb: is not supported"),
        ("serial:/dev/nowhere", "/dev/nowhere cannot be opened"),
        ("serial:/dev/null", "/dev/null cannot be opened"),
        ("serial:/dev/null?rate=1", "after . in an address must come baud=N, not 'rate=1'"),
        ("serial:/dev/null?baud=0", "baud in an address must be above 0"),
        ("serial:/dev/null?baud=²", "after . in an address must come baud=N"),
        ("serial:?baud=9", "of the form sim:DIR"),
        ("spi:nowhere", "must be of the form /dev/spidev0.0, not 'nowhere'"),
        ("sim:/nowhere", "has no design.json"),
        ("axi:/nowhere", "has no design.json"),
    ],
)
def test_addresses_that_lead_nowhere(address, rule):
    with pytest.raises(TransportError, match=rule):
        open_device(address)


def test_damaged_bundles(folder, tmp_path):
    (tmp_path / "top.v").write_text((folder / "top.v").read_text())
    plain = json.loads((folder / "design.json").read_text())
    for text, rule in (
        ("{", "must be a bundle"),
        ("{}", "lacks 'format'"),
        ("[]", "its design.json is damaged"),
        (json.dumps({**plain, "layers": []}), "layers in design.json must be one or more"),
        (json.dumps({**plain, "board": 5}), "board in design.json must be an object, not 5"),
    ):
        (tmp_path / "design.json").write_text(text)
        with pytest.raises(TransportError, match=rule):
            open_device(f"sim:{tmp_path}")


def test_verilog_that_is_not_the_bundle_s_is_refused(folder, tmp_path):
    (tmp_path / "design.json").write_text((folder / "design.json").read_text())
    text = (folder / "top.v").read_text()
    (tmp_path / "top.v").write_text(text.replace("1'h1", "1'h0", 1))
    with pytest.raises(TransportError, match=r"top\.v is damaged: it differs from its hash"):
        open_device(f"sim:{tmp_path}")


def test_wrong_types_are_one_line(device):
    kept = device.read_parameters()
    for call, given, error, rule in (
        (device.run, None, ValueError, "x must be real numbers, not object"),
        (device.run, "signal", ValueError, "x must be real numbers, not <U6"),
        (device.run, [[1, 2], [3]], ValueError, "x must be an array"),
        (device.write_parameters, None, TypeError, "parameters must be a list, not None"),
        (device.write_parameters, [1, 2, 3], TypeError, r"parameters\[0\] must be a Parameters"),
        (device.load_state, {}, TypeError, r"state must be a State, not \{\}"),
        (device.restore, kept, TypeError, "snapshot must be a Snapshot"),
        (open_device, None, TypeError, "address must be a str, not None"),
    ):
        with pytest.raises(error, match=rule):
            call(given)


def test_a_snapshot_goes_on_elsewhere(device, folder, tmp_path):
    """Also of a chip that does not learn: parameters and state in one file."""
    x = signal(20)
    kept = device.read_parameters()
    device.write_parameters([replace(words, bias=words.bias // 2) for words in kept])
    device.run(x[:10], aligned=False)
    device.snapshot().save(tmp_path / "a.snapshot")
    rest = device.run(x[10:], aligned=False, reset=False)
    with open_device(f"sim:{folder}") as other:
        other.restore(Snapshot.load(tmp_path / "a.snapshot"))
        assert np.array_equal(other.run(x[10:], aligned=False, reset=False), rest)


def test_a_chip_of_another_bundle_is_refused(folder, tmp_path):
    plain = json.loads((folder / "design.json").read_text())
    plain["registers"]["hash"] ^= 1
    (tmp_path / "design.json").write_text(json.dumps(plain))
    for name in ("top.v", "device.v"):
        (tmp_path / name).write_text((folder / name).read_text())
    with pytest.raises(DeviceError, match="HASH at 0x8: must be 0x") as refused:
        open_device(f"sim:{tmp_path}")
    assert (refused.value.register, refused.value.address) == ("HASH", 8)


def test_a_closed_device_says_so(folder):
    device = open_device(f"sim:{folder}")
    device.close()
    device.close()
    with pytest.raises(TransportError, match="the device is closed"):
        device.run(np.zeros((2, device.bundle.inputs)))
    with pytest.raises(TransportError, match="the device is closed"):
        assert device.steps


def test_an_empty_batch_has_an_empty_answer(folder):
    with open_device(f"sim:{folder}") as device:
        shape = (4, 0, device.bundle.inputs)
        assert device.run(np.zeros(shape)).shape == (4, 0, device.bundle.outputs)
