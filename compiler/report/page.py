"""The report as a page that stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vle.compiler.report import pictures

Report = dict[str, Any]


def html_page(report: Report) -> str:
    """Return `report.html`, drawn from the report alone."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["fixed"] = _fixed
    environment.filters["mhz"] = _mhz
    drawn = {
        name: Markup(getattr(pictures, name)(report))
        for name in ("traces", "cycles", "ranges", "memory")
    }
    return environment.get_template("report.html.j2").render(
        title=_title(report),
        summary=_summary(report),
        cards=_cards(report),
        comparison=_comparison(report["calibration"]),
        cycles=_number(report["cycles_per_step"]),
        calibration=report["calibration"],
        layers=report["layers"],
        board=report["board"],
        timing=report.get("timing"),
        sensitivity=report.get("sensitivity"),  # reports of before have none
        search=report.get("search"),
        notes=report["notes"],
        pictures=drawn,
        memory=[f"{kind} {bits:,}" for kind, bits in pictures.memory_bits(report).items()],
    )


def _title(report: Report) -> str:
    layers = report["layers"]
    sizes = [layers[0]["inputs"], *(layer["outputs"] for layer in layers)]
    return f"A network of {'-'.join(map(str, sizes))} on a chip"


def _summary(report: Report) -> str:
    engines = len(report["engines"])
    bits = sorted({layer["formats"]["weight_width"] for layer in report["layers"]})
    weights = "- to ".join(map(str, dict.fromkeys((bits[0], bits[-1]))))
    return (
        f"{engines} engine{'s' * (engines > 1)} with {report['lanes']} lanes in all take "
        f"{_number(report['cycles_per_step'])} clock cycles per step, with {weights}-bit weights."
    )


def _cards(report: Report) -> list[tuple[str, str]]:
    tried = report["calibration"]
    error = tried["error_rms"] / (tried["output_rms"] or 1.0)
    return [
        (_number(report["cycles_per_step"]), "cycles per step"),
        (_number(report["latency_cycles"]), "cycles until the first answer"),
        (_number(report["latency_steps"]), "steps of latency"),
        (_number(report["multipliers"]), "multipliers"),
        (f"{report['memory_bits'] / 1000:,.0f} k", "memory bits"),
        (f"{error:.2%}", "rms error of the output"),
    ]


def _comparison(tried: Report) -> str:
    text = (
        f"The error is {tried['error_rms']:.2g} rms and {tried['error_max']:.2g} at most, "
        f"beside outputs of {tried['output_rms']:.2g} rms."
    )
    if tried["source"] != "data":
        return f"{text} No data were given: these sequences are random signals within the range."
    return f"{text} In {tried['same_argmax']:.1%} of them the largest summed output is the same."


def _mhz(hz: float) -> str:
    return f"{hz / 1e6:.4g} MHz"


def _fixed(fmt: dict[str, int]) -> str:
    return f"Fixed({fmt['i_bits']}, {fmt['f_bits']})"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
