"""The C header of a bundle: sizes, scales and register addresses as constants."""

from __future__ import annotations

import re
from typing import Any


def c_header(manifest: dict[str, Any]) -> str:
    """Return `vle_model.h` of a manifest.

    `VLE_INPUT_F_BITS` and the like are binary points: `value = raw * 2**-f_bits`. Addresses are of
    bytes.
    """
    first, last, registers = manifest["layers"][0], manifest["layers"][-1], manifest["registers"]
    constants: list[tuple[str, str]] = [
        ("VLE_INPUTS", str(first["inputs"])),
        ("VLE_OUTPUTS", str(last["outputs"])),
        ("VLE_LAYERS", str(len(manifest["layers"]))),
        ("VLE_LATENCY_STEPS", str(manifest["latency_steps"])),
        ("VLE_ALIGNED", str(int(manifest["aligned"]))),
        *_format("VLE_INPUT", first["x_format"]),
        *_format("VLE_OUTPUT", last["rate_format"]),
        ("VLE_HASH", f"0x{registers['hash']:08x}u"),
    ]
    for register in registers["registers"]:
        constants.append((f"VLE_REG_{_name(register['name'])}", f"0x{4 * register['address']:x}u"))
        for place, bit in enumerate(register["bits"]):
            constants.append((f"VLE_{_name(register['name'])}_{_name(bit)}", f"(1u << {place})"))
    for window in registers["windows"]:
        name = f"VLE_MEM_{_name(window['name'])}"
        constants.append((name, f"0x{4 * window['base']:x}u"))
        constants.append((f"{name}_COUNT", str(window["count"])))
    width = max(len(name) for name, _ in constants)
    lines = [f"#define {name:<{width}} {value}" for name, value in constants]
    return "\n".join(
        [
            "/* Constants of a compiled network; value = raw * 2^-F_BITS. Made by vle-compile. */",
            "#ifndef VLE_MODEL_H",
            "#define VLE_MODEL_H",
            "",
            *lines,
            "",
            "#endif",
            "",
        ]
    )


def _format(name: str, fmt: dict[str, int]) -> list[tuple[str, str]]:
    width, f_bits = fmt["i_bits"] + fmt["f_bits"], fmt["f_bits"]
    return [
        (f"{name}_WIDTH", str(width)),
        (f"{name}_F_BITS", str(f_bits)),
        (f"{name}_SCALE", f"{2.0**-f_bits!r}"),
    ]


def _name(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").upper()
