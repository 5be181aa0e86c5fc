"""Just enough SVG to draw a report: elements, paths, axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; `_` in attribute names stands for `-`, a trailing one is dropped."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """Return a text element, its content escaped."""
    return element("text", escape(content), x=x, y=y, **attributes)


def power_of_two(x: float, y: float, exponent: int, **attributes: object) -> str:
    """Return the text of a power of two, its exponent raised."""
    raised = element("tspan", str(exponent).replace("-", "−"), dy=-4, font_size=9)
    return element("text", f"2{raised}" if exponent else "1", x=x, y=y, **attributes)


def titled(content: str, title: str) -> str:
    """Return elements that show a title where the pointer rests on them."""
    return element("g", element("title", escape(title)) + content)


def picture(width: float, height: float, parts: Iterable[str], label: str) -> str:
    """Return a whole picture that fills the width it is given."""
    return element(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        role="img",
        aria_label=label,
    )


def path(points: Sequence[tuple[float, float]], **attributes: object) -> str:
    """Return a line through points."""
    d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return element("path", d=d, fill="none", **attributes)


@dataclass(frozen=True)
class Scale:
    """A linear map of values `low..high` to positions `start..end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)

    def ticks(self, count: int = 4) -> list[float]:
        """Round values, about `count` of them."""
        rough = (self.high - self.low) / count or 1.0
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(str(value), quote=True)
