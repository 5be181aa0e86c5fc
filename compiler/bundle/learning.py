"""How a chip learns as plain data and arrays, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vle.compiler.learning.derivative import DerivativeSpec, OfRate, OfTable, Pieces
from vle.compiler.learning.network import LearningNetwork
from vle.compiler.learning.rate import Rate
from vle.compiler.learning.spec import LearningSpec, Points
from vle.compiler.learning.targets import target_format
from vle.compiler.network import NetworkSpec

Arrays = dict[str, NDArray[Any]]
DERIVATIVES = {"pieces": Pieces, "of_rate": OfRate, "of_table": OfTable}
PLAIN = (
    *("plasticity", "loop", "time_constants", "prime_shift", "kappa_shift", "beta_shift"),
    *("error_width", "v_width", "update_shift", "bar_drop", "log_high", "exponent", "seed"),
)
WORDS = ("kappa", "beta", "group", "log_m", "log_r")


def describe_learning(net: LearningNetwork) -> dict[str, Any]:
    """Return the manifest's part on learning."""
    pairs = zip(net.network.layers, net.learning, strict=True)
    return {
        "loss": net.loss,
        "target_format": asdict(target_format(net)),
        "layers": [
            {
                **{name: getattr(learning, name) for name in PLAIN},
                "derivative": _derivative(learning.derivative),
                "groups": learning.groups,
                "rate": [learning.rate.mantissa, learning.rate.exponent],
                "tau_rate": [learning.tau_rate.mantissa, learning.tau_rate.exponent],
                "points": asdict(Points.of(layer, learning)),
            }
            for layer, learning in pairs
        ],
    }


def _derivative(spec: DerivativeSpec) -> dict[str, Any]:
    kind = next(name for name, cls in DERIVATIVES.items() if isinstance(spec, cls))
    return {"kind": kind, **asdict(spec)}


def learning_arrays(net: LearningNetwork) -> Arrays:
    """Return the words of learning, by name."""
    return {
        f"layer{index}.{name}": getattr(learning, name).astype("<i4")
        for index, learning in enumerate(net.learning)
        for name in WORDS
    }


def rebuild_learning(plain: dict[str, Any], found: Arrays, network: NetworkSpec) -> LearningNetwork:
    """Undo `describe_learning` and `learning_arrays`.

    Raises
    ------
    KeyError, TypeError, ValueError
        Where the two do not make the learning of that network.
    """
    layers = []
    for index, row in enumerate(plain["layers"]):
        fields: dict[str, Any] = {name: row[name] for name in PLAIN}
        fields |= {name: found[f"layer{index}.{name}"].astype(np.int64) for name in WORDS}
        derivative = dict(row["derivative"])
        make = DERIVATIVES[derivative.pop("kind")]
        layers.append(
            LearningSpec(
                derivative=make(**derivative),
                rate=Rate(*row["rate"]),
                tau_rate=Rate(*row["tau_rate"]),
                **fields,
            )
        )
    return LearningNetwork(network, tuple(layers), plain["loss"])
