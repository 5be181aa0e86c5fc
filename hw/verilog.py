"""The Verilog of a chip: one file that stands alone."""

from __future__ import annotations

import os

from amaranth.back import verilog
from amaranth.hdl import ValueCastable

from vle.compiler.circuit.folding import ChipSpec
from vle.hw.top import Top


def generate(chip: ChipSpec, *, trace: bool = False) -> str:
    """Verilog of module `top`, memories initialised with the parameters.

    The same chip gives the same text, character for character.

    Parameters
    ----------
    chip
        Network and folding.
    trace
        Whether each engine gets a port that shows every neuron's new `u` and `r`.

    Returns
    -------
    str
        Ports `clk`, `rst` (active high, synchronous), `s_axis_*`, `m_axis_*`, `s_axil_*`, and
        `trace_<engine>_*` where asked for.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")  # a yosys on the PATH may be too old
    top = Top(chip, trace=trace)
    return str(
        verilog.convert(
            top, name="top", ports=ports(top), emit_src=False, strip_internal_attrs=True
        )
    )


def ports(top: Top) -> dict[str, tuple]:
    """Ports under the names of their standards: `s_axis_tdata`, where Amaranth joins with `__`."""
    return {
        "_".join(map(str, path)): (
            port.as_value() if isinstance(port, ValueCastable) else port,
            None,  # the direction follows from whether the design drives it
        )
        for path, _member, port in top.signature.flatten(top)
    }
