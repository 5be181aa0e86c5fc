"""What the host may want to count."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.geometry import Engine
from vle.compiler.circuit.registers import COUNTERS
from vle.compiler.learning.step import Clamped


class Counters(wiring.Component):
    """Steps, dropped frames, and words clamped per layer; each 32 bits, around at the end.

    Parameters
    ----------
    chip
        Number of layers.

    Members
    -------
    clear
        Zeroes all.
    step, error
        One more step, one more dropped frame.
    saturated
        Per layer, a bit for each of current, prosp, rate.
    clamping, target_error
        Where it learns: words clamped in this clock, per layer and kind; a target was dropped.
    steps, frame_errors, saturation, clamped, target_errors
        The counts.
    """

    def __init__(self, chip: ChipSpec):
        layers = len(chip.network.layers)
        self.learns, kinds = chip.learning is not None, len(Clamped._fields)
        most = max(map(clamped_at_once, chip.engines))
        learning = {
            "clamping": In(range(most + 1)).array(layers, kinds),
            "target_error": In(1),
            "clamped": Out(32).array(layers, kinds),
            "target_errors": Out(32),
        }
        super().__init__(
            {
                **(learning if self.learns else {}),
                "clear": In(1),
                "step": In(1),
                "error": In(1),
                "saturated": In(len(COUNTERS)).array(layers),
                "steps": Out(32),
                "frame_errors": Out(32),
                "saturation": Out(32).array(layers, len(COUNTERS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        pairs = [(self.steps, self.step), (self.frame_errors, self.error)]
        for counts, events in zip(self.saturation, self.saturated, strict=True):
            pairs += zip(counts, events, strict=True)
        if self.learns:
            pairs.append((self.target_errors, self.target_error))
            for counts, events in zip(self.clamped, self.clamping, strict=True):
                pairs += zip(counts, events, strict=True)
        for count, event in pairs:
            m.d.sync += count.eq(count + event)
            with m.If(self.clear):
                m.d.sync += count.eq(0)
        return m


def clamped_at_once(engine: Engine) -> int:
    """Words of one kind that may be clamped in a clock: weights of all lanes, signals of a row."""
    return max(engine.lanes, 3, engine.trace_groups)
