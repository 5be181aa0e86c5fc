"""A design as plain data and arrays, and back: what a bundle's files hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vle.compiler.activation import ActivationSpec, PiecewiseLinear, Table
from vle.compiler.bundle.learning import (
    describe_learning,
    learning_arrays,
    rebuild_learning,
)
from vle.compiler.circuit.folding import ChipSpec, EngineSpec, Folding
from vle.compiler.circuit.registers import register_map
from vle.compiler.fixed import Fixed
from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec
from vle.sim import Activation, Layer, Network

Arrays = dict[str, NDArray[Any]]

FORMAT, VERSION = "vle-bundle", 1
WORDS = ("weight", "scale", "bias", "alpha", "rho")
SHIFTS = ("scale_shift", "alpha_shift", "rho_shift")
WIDTHS = ("weight_width", "scale_width", "constant_width")
FORMATS = ("x_format", "u_format", "rate_format")
FLOATS = ("weight", "bias", "tau_m", "tau_r", "recurrent", "backward")
SETTINGS = ("dt", "loss", "gamma", "beta", "plasticity", "error_recurrence", "aligned")


def describe(chip: ChipSpec, reference: Network) -> dict[str, Any]:
    """Return the manifest, without the hashes of the files."""
    learning = {} if chip.learning is None else {"learning": describe_learning(chip.learning)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "aligned": reference.aligned,
        "latency_steps": len(chip.network.layers) - 1,
        "layers": [_layer(chip, index) for index in range(len(chip.network.layers))],
        "folding": [asdict(engine) for engine in chip.folding.engines],
        "registers": register_map(chip).json,
        "reference": {
            **{name: getattr(reference, name) for name in SETTINGS},
            "activations": [asdict(layer.activation) for layer in reference.layers],
        },
        **learning,
    }


def _layer(chip: ChipSpec, index: int) -> dict[str, Any]:
    spec = chip.network.layers[index]
    return {
        "name": spec.name,
        "inputs": spec.inputs,
        "outputs": spec.outputs,
        "recurrent": spec.recurrent,
        "activation": _activation(spec.activation),
        **{name: asdict(getattr(spec, name)) for name in FORMATS},
        **{name: getattr(spec, name) for name in (*WIDTHS, *SHIFTS)},
        "acc_width": chip.engine_of(index)[0].acc_width,
    }


def _activation(circuit: ActivationSpec) -> dict[str, Any]:
    if isinstance(circuit, PiecewiseLinear):
        return {"kind": "piecewise_linear", **asdict(circuit)}
    return {
        "kind": "table",
        "shift": circuit.shift,
        "rate_width": circuit.rate_width,
        "tail_shift": circuit.tail_shift,
        "entries": len(circuit.value),
    }


def arrays(chip: ChipSpec, reference: Network) -> Arrays:
    """Return all words of the chip and all numbers of the float network, by name."""
    found: Arrays = {}
    for index, spec in enumerate(chip.network.layers):
        for name in WORDS:
            found[f"layer{index}.{name}"] = getattr(spec, name).astype("<i4")
        if isinstance(spec.activation, Table):
            found[f"layer{index}.table_value"] = np.array(spec.activation.value, dtype="<i4")
            found[f"layer{index}.table_delta"] = np.array(spec.activation.delta, dtype="<i4")
    if chip.learning is not None:
        found |= learning_arrays(chip.learning)
    for index, layer in enumerate(reference.layers):
        for name in FLOATS:
            if getattr(layer, name) is not None:
                found[f"reference{index}.{name}"] = getattr(layer, name).astype("<f8")
    return found


def rebuild(plain: dict[str, Any], found: Arrays) -> tuple[ChipSpec, Network]:
    """Undo `describe` and `arrays`.

    Raises
    ------
    KeyError, TypeError, ValueError
        Where the two do not make a design.
    """
    if plain.get("format") != FORMAT or plain.get("version") != VERSION:
        raise ValueError(
            f"format must be {FORMAT} {VERSION}, not {plain.get('format')} {plain.get('version')}"
        )
    layers = tuple(_spec(p, index, found) for index, p in enumerate(plain["layers"]))
    engines = tuple(EngineSpec(e["pe"], e["simd"], tuple(e["layers"])) for e in plain["folding"])
    settings = dict(plain["reference"])
    activations = [Activation(**a) for a in settings.pop("activations")]
    reference = Network(
        tuple(
            Layer(
                **{n: found.get(f"reference{index}.{n}") for n in FLOATS},  # type: ignore[arg-type]
                activation=phi,
            )
            for index, phi in enumerate(activations)
        ),
        **settings,
    )
    network = NetworkSpec(layers)
    learning = rebuild_learning(plain["learning"], found, network) if "learning" in plain else None
    return ChipSpec(network, Folding(engines), learning), reference


def _spec(plain: dict[str, Any], index: int, found: Arrays) -> LayerSpec:
    fields: dict[str, Any] = {n: plain[n] for n in ("name", "recurrent", *WIDTHS, *SHIFTS)}
    fields |= {name: found[f"layer{index}.{name}"].astype(np.int64) for name in WORDS}
    fields |= {name: Fixed(**plain[name]) for name in FORMATS}
    return LayerSpec(activation=_circuit(plain["activation"], index, found), **fields)


def _circuit(plain: dict[str, Any], index: int, found: Arrays) -> ActivationSpec:
    fields = dict(plain)
    kind = fields.pop("kind")
    if kind == "piecewise_linear":
        return PiecewiseLinear(**fields)
    del fields["entries"]
    value, delta = (found[f"layer{index}.table_{part}"].tolist() for part in ("value", "delta"))
    return Table(value=tuple(value), delta=tuple(delta), **fields)
