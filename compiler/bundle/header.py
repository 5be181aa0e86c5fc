"""The C header of a bundle: sizes, scales, addresses of registers and memories as constants."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from vle.compiler.circuit.board_registers import BOARD_ID, BOARD_REGISTERS, COMMANDS, SENSORS
from vle.compiler.circuit.registers import IDENTITY, VERSION
from vle.compiler.circuit.windows import lane_bits

Constants = list[tuple[str, str]]
TARGET_BITS = 16  # of a target on the line, at least
BYTES = 4  # of a word


def c_header(manifest: dict[str, Any], hold: int = 1) -> str:
    """Return `vle_model.h` of a manifest.

    `VLE_INPUT_SCALE` and the like are `2**-f_bits`: `value = raw * scale`; `..._BYTES` are those of
    a word on the link. Addresses are of bytes. `VLE_WINDOW_...` initialise a `vle_window` of
    `c/vle.h`.

    Parameters
    ----------
    manifest
        As `vle.compiler.bundle.manifest.describe` gives it.
    hold
        Steps for which a frame is held where the chip learns, unless asked otherwise.
    """
    registers = manifest["registers"]
    constants = [*_sizes(manifest), *_learning(manifest, hold)]
    constants.append(("VLE_HASH", _hex(registers["hash"])))
    constants += [("VLE_CHIP_ID", _hex(IDENTITY)), ("VLE_CHIP_VERSION", str(VERSION))]
    for register in registers["registers"]:
        constants += _register("VLE_REG", register["name"], register["address"], register["bits"])
    for window in registers["windows"]:
        constants += _window(window, _shape(manifest, window))
    constants += _board()
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


def _sizes(manifest: dict[str, Any]) -> Constants:
    first, last = manifest["layers"][0], manifest["layers"][-1]
    return [
        ("VLE_INPUTS", str(first["inputs"])),
        ("VLE_OUTPUTS", str(last["outputs"])),
        ("VLE_LAYERS", str(len(manifest["layers"]))),
        ("VLE_LATENCY_STEPS", str(manifest["latency_steps"])),
        ("VLE_ALIGNED", str(int(manifest["aligned"]))),
        *_format("VLE_INPUT", first["x_format"]),
        *_format("VLE_OUTPUT", last["rate_format"]),
    ]


def _learning(manifest: dict[str, Any], hold: int) -> Constants:
    """Say whether and how the chip learns; a chip that does not has a target of 0 bits."""
    given, beta = manifest.get("learning"), manifest["reference"]["beta"]
    plain = [("VLE_LEARNS", str(int(given is not None))), ("VLE_HOLD", str(hold if given else 1))]
    plain += [("VLE_SOFTMAX", str(int((given or {}).get("loss") == "cross_entropy")))]
    if not given:
        zero = [("WIDTH", "0"), ("BYTES", "0"), ("F_BITS", "0"), ("SCALE", "1.0")]
        return [*plain, *((f"VLE_TARGET_{name}", value) for name, value in zero)]
    rate = manifest["layers"][-1]["rate_format"]
    wide = max(TARGET_BITS, rate["i_bits"] + rate["f_bits"])
    return [
        *plain,
        *_format("VLE_TARGET", given["target_format"], wide),
        ("VLE_RATE_FACTOR", repr(float(beta))),
        ("VLE_TAU_RATE_FACTOR", repr(float(beta) / math.log(2))),
    ]


def _format(name: str, fmt: dict[str, int], wide: int = 0) -> Constants:
    """Describe words of a format, which have at least `wide` bits on the line."""
    width, f_bits = fmt["i_bits"] + fmt["f_bits"], fmt["f_bits"]
    return [
        (f"{name}_WIDTH", str(width)),
        (f"{name}_BYTES", str(-(-max(width, wide) // 8))),
        (f"{name}_F_BITS", str(f_bits)),
        (f"{name}_SCALE", f"{2.0**-f_bits!r}"),
    ]


def _register(prefix: str, name: str, address: int, bits: Iterable[str]) -> Constants:
    """Give the address of a register and masks of its bits."""
    found = [(f"{prefix}_{_name(name)}", _hex(BYTES * address))]
    masks = enumerate(bits)
    return [*found, *((f"VLE_{_name(name)}_{_name(b)}", f"(1u << {place})") for place, b in masks)]


def _window(window: dict[str, Any], shape: tuple[int, int]) -> Constants:
    name, rows, columns = _name(window["name"]), *shape
    words = (
        *(_hex(BYTES * window["base"]), rows, columns, window["width"], int(window["signed"])),
        *(lane_bits(window["lanes"]), window["pe"], window["simd"]),
        *(window["tiles"], window["first"]),
    )
    return [
        (f"VLE_MEM_{name}", _hex(BYTES * window["base"])),
        (f"VLE_MEM_{name}_COUNT", str(window["count"])),
        (f"VLE_WINDOW_{name}", f"{{{', '.join(map(str, words))}}}"),
        (f"VLE_WINDOW_{name}_ROWS", str(rows)),
        (f"VLE_WINDOW_{name}_COLUMNS", str(columns)),
    ]


def _shape(manifest: dict[str, Any], window: dict[str, Any]) -> tuple[int, int]:
    """Return rows and columns of a window's words."""
    kind, layer = window["kind"], manifest["layers"][window["layer"]]
    columns = layer["inputs"] + layer["outputs"] * layer["recurrent"]
    if kind == "weight":
        return layer["outputs"], columns
    if kind.startswith("trace"):
        return manifest["learning"]["layers"][window["layer"]]["groups"], columns
    sizes = {"down": layer["inputs"], "table_value": window["count"]}
    sizes["table_delta"] = window["count"]
    return 1, sizes.get(kind, layer["outputs"])


def _board() -> Constants:
    """List what a board has beside the chip; see `docs/standalone.md`."""
    constants = [("VLE_BOARD_IDENTITY", _hex(BOARD_ID))]
    for register in BOARD_REGISTERS:
        name = register.name.removeprefix("BOARD_")
        constants += _register("VLE_BOARD", name, register.address, register.bits)
    constants += [(f"VLE_SENSOR_{_name(name)}", str(value)) for name, value in SENSORS.items()]
    return constants + [(f"VLE_FLASH_{_name(n)}", str(value)) for n, value in COMMANDS.items()]


def _hex(word: int) -> str:
    return f"0x{word:x}u"


def _name(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").upper()
