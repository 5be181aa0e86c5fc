"""From the words on a chip back to a float network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vle.host.bundle import Bundle
from vle.host.parameters import Parameters

if TYPE_CHECKING:
    from vle.sim import Layer, Network

Float = NDArray[np.float64]
FORMATS = 1  # version of what is written of them
LOG_BITS = 19  # below the point of the logarithm, to base 2, of a time constant in units of dt


def export(bundle: Bundle, parameters: list[Parameters], path: Path) -> None:
    """Write the network of the words as an ONNX model, with the formats in which they are exact.

    Raises
    ------
    ModuleNotFoundError, ValueError
        As `network_of`.
    """
    network = network_of(bundle, parameters)
    from vle.sim import onnx_format  # noqa: PLC0415 - a driver alone does not have it

    rows = zip(bundle.plain["layers"], parameters, strict=True)
    formats = {"version": FORMATS, "layers": [_formats(*row) for row in rows]}
    onnx_format.save(network, path, metadata={"formats": formats})


def _formats(plain: dict[str, Any], words: Parameters) -> dict[str, Any]:
    """Return the formats of a layer, as `vle.compiler.quantization.recorded` reads them."""
    names = [name for name in plain if name.endswith(("_format", "_width", "_shift"))]
    scale = np.ones(plain["outputs"], np.int64) if words.scale is None else words.scale
    kept = {name: plain[name] for name in names if name != "acc_width"}
    return {**kept, "scale": scale.tolist()}


def network_of(bundle: Bundle, parameters: list[Parameters]) -> Network:
    """Return the float network whose numbers are those of the words.

    With `f` the fractional bits of input `x` (of the layer's own rates in recurrent columns) and of
    the potential `u`::

        W = weight * scale * 2**(f_x - f_u - scale_shift)     b = bias * 2**-f_u
        tau_m = dt * 2**alpha_shift / alpha                   tau_r = tau_m * rho * 2**-rho_shift

    and where time constants learn `tau = dt * 2**(log * 2**-19)`.

    Raises
    ------
    ModuleNotFoundError
        Where `vle.sim` lacks what it needs, naming the extra to install.
    ValueError
        Where a neuron's `alpha` or `rho` is 0, which no time constant gives, or a table is not that
        of its function any more.
    """
    try:
        from vle.sim import Layer, Network  # noqa: PLC0415 - a driver alone does not have it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "to export a network: pip install '.[sim]' in the folder of vle"
        ) from error
    _check_tables(bundle, parameters)
    settings = dict(bundle.plain["reference"])
    activations = settings.pop("activations")
    rows = zip(bundle.plain["layers"], activations, parameters, strict=True)
    layers = [_layer(plain, phi, words, settings["dt"], Layer) for plain, phi, words in rows]
    return Network(tuple(layers), **settings)


def _check_tables(bundle: Bundle, parameters: list[Parameters]) -> None:
    with np.load(bundle.folder / "params.npz") as compiled:
        for index, (layer, words) in enumerate(zip(bundle.layers, parameters, strict=True)):
            for kind in ("table_value", "table_delta") if layer.entries else ():
                if not np.array_equal(compiled[f"layer{index}.{kind}"], getattr(words, kind)):
                    raise ValueError(f"{layer.name}: {kind} must be as compiled to export")


def _layer(
    plain: dict[str, Any], activation: dict[str, Any], words: Parameters, dt: float, make: type
) -> Layer:
    from vle.sim import Activation  # noqa: PLC0415 - see above

    tau_m, tau_r = _time_constants(plain, words, dt)
    inputs, f_u = plain["inputs"], plain["u_format"]["f_bits"]
    f_x = np.full(words.weight.shape[1], plain["x_format"]["f_bits"])
    f_x[inputs:] = plain["rate_format"]["f_bits"]
    scaled = words.weight if words.scale is None else words.weight * words.scale[:, None]
    matrix = np.ldexp(scaled.astype(float), f_x - f_u - plain["scale_shift"])
    made: Layer = make(
        weight=matrix[:, :inputs],
        bias=np.ldexp(words.bias.astype(float), -f_u),
        tau_m=tau_m,
        tau_r=tau_r,
        activation=Activation(**activation),
        recurrent=matrix[:, inputs:] if plain["recurrent"] else None,
    )
    return made


def _time_constants(plain: dict[str, Any], words: Parameters, dt: float) -> tuple[Float, Float]:
    if words.log_m is not None and words.log_r is not None:
        logs = (np.ldexp(log.astype(float), -LOG_BITS) for log in (words.log_m, words.log_r))
        tau_m, tau_r = (dt * np.exp2(log) for log in logs)
        return tau_m, tau_r
    alpha, rho = words.alpha, words.rho
    if alpha is None or rho is None or not (alpha.all() and rho.all()):
        raise ValueError(f"{plain['name']}: alpha and rho must be above 0 to export")
    tau_m = dt * 2.0 ** plain["alpha_shift"] / alpha
    return tau_m, np.maximum(tau_m * np.ldexp(rho.astype(float), -plain["rho_shift"]), dt)
