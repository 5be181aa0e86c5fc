"""The parts of docs/onnx.md that follow from the code.

`python -m vle.compiler.frontend.documentation docs/onnx.md` brings the file up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vle.compiler.frontend import reading  # noqa: F401 - registers the operators
from vle.compiler.frontend.registry import REFUSED, operators
from vle.sim.onnx_format import functions


def operator_table() -> str:
    """Return the supported operators as a Markdown table."""
    rows = ["| operator | becomes | what is supported |", "| --- | --- | --- |"]
    return "\n".join([*rows, *(f"| {o.name} | {o.becomes} | {o.limits} |" for o in operators())])


def refused_table() -> str:
    """Return the operators that are refused with a reason of their own."""
    rows = ["| operator | why it cannot be mapped |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| {name} | {why} |" for name, why in sorted(REFUSED.items()))])


def function_texts() -> str:
    """Return the functions of the domain `vle` as ONNX text."""
    return "\n".join(["```", *(functions.text(name) for name in functions.NAMES), "```"])


PARTS = {"operators": operator_table, "refused": refused_table, "functions": function_texts}


def updated(text: str) -> str:
    """Return a document with its generated parts made anew."""
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
        old = re.findall(re.escape(begin) + ".*?" + re.escape(end), text, flags=re.DOTALL)
        if len(old) != 1:
            raise ValueError(f"document must have one part {name!r}, not {len(old)}")
        text = text.replace(old[0], f"{begin}{make()}{end}")
    return text


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text()))
