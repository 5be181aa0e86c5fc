"""What a network that was on a chip tells of its words, so that it becomes the same words again."""

from __future__ import annotations

from typing import Protocol

from vle.compiler.fixed import Fixed, Raw


class LayerPattern(Protocol):
    """Formats of a layer; `vle.compiler.layer.LayerSpec` is one."""

    @property
    def weight_width(self) -> int: ...  # noqa: D102
    @property
    def scale_width(self) -> int: ...  # noqa: D102
    @property
    def constant_width(self) -> int: ...  # noqa: D102
    @property
    def x_format(self) -> Fixed: ...  # noqa: D102
    @property
    def u_format(self) -> Fixed: ...  # noqa: D102
    @property
    def rate_format(self) -> Fixed: ...  # noqa: D102
    @property
    def scale(self) -> Raw: ...  # noqa: D102
    @property
    def scale_shift(self) -> int: ...  # noqa: D102
    @property
    def shifts(self) -> dict[str, int]: ...  # noqa: D102


class Pattern(Protocol):
    """Formats of a network; `vle.compiler.network.NetworkSpec` is one."""

    @property
    def layers(self) -> tuple[LayerPattern, ...]: ...  # noqa: D102
