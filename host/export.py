"""From the words on a chip back to a float network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vle.host.bundle import Bundle

if TYPE_CHECKING:
    from vle.host.device import Parameters
    from vle.sim import Layer, Network


def network_of(bundle: Bundle, parameters: list[Parameters]) -> Network:
    """Return the float network whose numbers are those of the words.

    With `f` the fractional bits of input `x` (of the layer's own rates in recurrent columns) and of
    the potential `u`::

        W = weight * scale * 2**(f_x - f_u - scale_shift)     b = bias * 2**-f_u
        tau_m = dt * 2**alpha_shift / alpha                   tau_r = tau_m * rho * 2**-rho_shift

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

    if not (words.alpha.all() and words.rho.all()):
        raise ValueError(f"{plain['name']}: alpha and rho must be above 0 to export")
    inputs, f_u = plain["inputs"], plain["u_format"]["f_bits"]
    f_x = np.full(words.weight.shape[1], plain["x_format"]["f_bits"])
    f_x[inputs:] = plain["rate_format"]["f_bits"]
    matrix = np.ldexp(
        (words.weight * words.scale[:, None]).astype(float), f_x - f_u - plain["scale_shift"]
    )
    tau_m = dt * 2.0 ** plain["alpha_shift"] / words.alpha
    made: Layer = make(
        weight=matrix[:, :inputs],
        bias=np.ldexp(words.bias.astype(float), -f_u),
        tau_m=tau_m,
        tau_r=np.maximum(tau_m * np.ldexp(words.rho.astype(float), -plain["rho_shift"]), dt),
        activation=Activation(**activation),
        recurrent=matrix[:, inputs:] if plain["recurrent"] else None,
    )
    return made
