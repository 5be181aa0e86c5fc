"""The pictures of a report: float over fixed, ranges in their formats, where the cycles go."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from vle.compiler.report.svg import Scale, element, path, picture, power_of_two, text, titled

Report = dict[str, Any]

WIDTH = 900.0
LEFT, RIGHT = 118.0, 12.0


def traces(report: Report) -> str:
    """Draw outputs of float network and integer model over each other, and their error."""
    found = report["calibration"]
    shown, height = found["shown"], 96.0
    parts: list[str] = []
    steps = max(len(shown["float"][0]) - 1, 1) if shown["float"] else 1
    x = Scale(0, steps, LEFT, WIDTH - RIGHT)
    for place, output in enumerate(shown["outputs"]):
        real, fixed = shown["float"][place], shown["fixed"][place]
        y = Scale(
            min(real + fixed), max(real + fixed), (place + 1) * height - 14, place * height + 8
        )
        parts += _y_axis(y, x, f"output {output}")
        parts.append(path(_points(x, y, real), class_="float"))
        parts.append(path(_points(x, y, fixed), class_="fixed"))
    top, count = len(shown["outputs"]) * height, len(shown["outputs"])
    error = found["rms_per_step"]
    y = Scale(0, max([*error, 1e-12]), top + height - 14, top + 8)
    parts += _y_axis(y, x, "rms error")
    parts.append(path(_points(x, y, error), class_="error"))
    bottom = (count + 1) * height
    parts += [text(x(t), bottom, f"{t:g}", class_="tick middle") for t in x.ticks(8)]
    parts.append(text(WIDTH - RIGHT, bottom + 16, "step", class_="axis end"))
    return picture(WIDTH, bottom + 20, parts, "float network and integer model over each other")


def _points(x: Scale, y: Scale, values: list[float]) -> list[tuple[float, float]]:
    return [(x(t), y(value)) for t, value in enumerate(values)]


def _y_axis(y: Scale, x: Scale, name: str) -> Iterator[str]:
    for value in y.ticks(3):
        yield element("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value), class_="grid")
        yield text(LEFT - 6, y(value) + 4, f"{value:.4g}", class_="tick end")
    yield text(0, (y.start + y.end) / 2 + 4, name, class_="axis")


def cycles(report: Report) -> str:
    """One bar per engine: its layers' folds, what it waits; its neurons; the streams."""
    total, parts, row = float(report["cycles_per_step"]), [], 0
    x = Scale(0, total, LEFT, WIDTH - RIGHT - 60)
    for index, engine in enumerate(report["engines"]):
        at, y = 0.0, 6.0 + 46 * row
        name = f"engine {index}"
        parts.append(text(0, y + 13, name, class_="axis"))
        parts.append(text(0, y + 28, f"{engine['pe']} x {engine['simd']} lanes", class_="tick"))
        for layer, fold in zip(engine["layers"], engine["folds"], strict=True):
            parts.append(_bar(x, (at, at + fold), y, f"layer {layer}", f"layer c{layer % 6}"))
            at += fold
        if at < total:
            parts.append(_bar(x, (at, total), y, "waits", "wait"))
        neurons = engine["neuron_cycles"]
        bar = element("rect", x=x(0), y=y + 22, width=x(neurons) - x(0), height=7, class_="neurons")
        parts.append(titled(bar, f"neurons: {neurons} cycles"))
        share = engine["synapse_cycles"] / total
        parts.append(text(x.end + 8, y + 14, f"{share:.0%}", class_="tick"))
        row += 1
    y = 6.0 + 46 * row
    for place, kind in enumerate(("input", "output")):
        words = report["streams"][f"{kind}_words"]
        top = y + 14 * place
        parts.append(text(0, top + 8, f"{kind} stream", class_="tick"))
        bar = element("rect", x=x(0), y=top, width=x(words) - x(0), height=8, class_="stream")
        parts.append(titled(bar, f"{kind}: {words} words"))
    bottom = y + 46
    parts += [text(x(t), bottom, f"{t:g}", class_="tick middle") for t in x.ticks(8)]
    parts.append(text(WIDTH, bottom, "cycles", class_="axis end"))
    return picture(WIDTH, bottom + 6, parts, "cycles of a step by engine")


def _bar(x: Scale, span: tuple[float, float], y: float, name: str, kind: str) -> str:
    left, right = x(span[0]), x(span[1])
    bar = element("rect", x=left, y=y, width=max(right - left - 1, 0.5), height=20, class_=kind)
    length = span[1] - span[0]
    label = f"{name} · {length:g}" if right - left > 96 else name if right - left > 52 else ""
    if label:
        bar += text((left + right) / 2, y + 14, label, class_="inbar middle")
    return titled(bar, f"{name}: {length:g} cycles")


def ranges(report: Report) -> str:
    """Which binary orders the values have, and which of them their formats hold."""
    rows = list(_rows(report))
    low = min(*(format_[0] for _, _, format_, _ in rows), -16)
    high = max(*(format_[1] for _, _, format_, _ in rows), 2)
    x, height = Scale(low - 0.5, high + 0.5, LEFT + 40, WIDTH - RIGHT), 26.0
    parts = []
    for power in range(math.ceil(low / 4) * 4, high + 1, 4):
        parts.append(
            element(
                "line", x1=x(power), x2=x(power), y1=4, y2=height * len(rows) + 6, class_="grid"
            )
        )
        bottom = height * len(rows) + 20
        parts.append(power_of_two(x(power), bottom, power, class_="tick middle"))
    for place, (layer, kind, format_, counts) in enumerate(rows):
        parts += _row(x, height * (place + 1), (layer, kind), format_, counts)
    return picture(WIDTH, height * len(rows) + 26, parts, "values and formats by binary order")


def _rows(
    report: Report,
) -> Iterator[tuple[str, str, tuple[int, int], dict[int, int]]]:
    """Rows of the picture: what, the lowest and highest bit of its format, values per order."""
    fmt = report["input"]["format"]
    yield "input", "", _bits(fmt), _counts(report["input"]["exponents"])
    for layer in report["layers"]:
        exponents, formats = layer["exponents"], layer["formats"]
        steps = layer["weight_steps"]
        lowest = math.floor(math.log2(steps[0]))
        highest = math.ceil(math.log2(steps[1])) + formats["weight_width"] - 2
        yield layer["name"], "weights", (lowest, highest), _counts(exponents["weight"])
        yield "", "potentials", _bits(formats["u"]), _counts(exponents["prosp"])
        yield "", "rates", _bits(formats["rate"]), _counts(exponents["rate"])


def _bits(fmt: dict[str, int]) -> tuple[int, int]:
    return -fmt["f_bits"], fmt["i_bits"] - 2


def _counts(exponents: dict[str, int]) -> dict[int, int]:
    return {int(exponent): count for exponent, count in exponents.items()}


def _row(
    x: Scale,
    bottom: float,
    names: tuple[str, str],
    bits: tuple[int, int],
    counts: dict[int, int],
) -> Iterator[str]:
    unit, most = x(1) - x(0), max(counts.values(), default=1)
    if names[0]:
        yield text(0, bottom - 4, names[0], class_="axis")
    yield text(LEFT + 30, bottom - 4, names[1], class_="tick end")
    box = element(
        "rect",
        x=x(bits[0] - 0.5),
        y=bottom - 21,
        width=x(bits[1] + 0.5) - x(bits[0] - 0.5),
        height=21,
        class_="format",
    )
    yield titled(box, f"the format holds 2^{bits[0]} to 2^{bits[1]}")
    for exponent, count in sorted(counts.items()):
        if not x.low <= exponent <= x.high:
            continue
        tall = 19 * math.sqrt(count / most)
        outside = "below" if exponent < bits[0] else "above" if exponent > bits[1] else "inside"
        bar = element(
            "rect",
            x=x(exponent) - unit / 2 + 1,
            y=bottom - tall,
            width=unit - 2,
            height=tall,
            class_=f"value {outside}",
        )
        yield titled(bar, f"{count} values of 2^{exponent}")


def memory(report: Report) -> str:
    """One bar of all memory bits, by what they hold."""
    held = memory_bits(report)
    x, at, parts = Scale(0, sum(held.values()), 0, WIDTH), 0, []
    for place, (kind, count) in enumerate(held.items()):
        left, right = x(at), x(at + count)
        width = max(right - left - 1, 1)
        bar = element("rect", x=left, y=0, width=width, height=24, class_=f"c{place}")
        if width > 60:
            bar += text((left + right) / 2, 16, kind, class_="inbar middle")
        parts.append(titled(bar, f"{kind}: {count:,} bits"))
        at += count
    return picture(WIDTH, 26, parts, "memory bits by what they hold")


def memory_bits(report: Report) -> dict[str, int]:
    """Bits by what they hold, the most first."""
    names = {"weights": "weights", "table": "activation tables", "frames": "frames"}
    bits: dict[str, int] = {}
    for m in report["memories"]:
        kind = names.get(m["kind"], "neurons")
        bits[kind] = bits.get(kind, 0) + m["width"] * m["depth"] * m["banks"]
    return dict(sorted(bits.items(), key=lambda item: -item[1]))
