"""The whole network between an input stream, an output stream and a bus."""

from __future__ import annotations

from amaranth.hdl import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vle.compiler.folding import ChipSpec
from vle.compiler.registers import COUNTERS, register_map
from vle.hw.bus import BusSignature


def word_layout(width: int):
    """One word of a frame: `data`; `last` on its last; `start` where it begins a sequence."""
    return data.StructLayout({"data": signed(width), "last": 1, "start": 1})


class NetworkCore(wiring.Component):
    """A network's engines and the frames between them.

    Parameters
    ----------
    chip
        Network and folding.
    trace
        Whether each engine shows every neuron's new potential and rate.

    Members
    -------
    i, o
        Frames in and out, one word per cycle; `start` is read on a frame's first word.
    bus
        Flags and memories; memories answer while `halt` and `idle`.
    halt
        No input word is accepted.
    idle
        All engines have done all steps whose frames were accepted.
    clear
        Reset of everything but memories and counters: as after power-up, parameters kept.
    clear_counters
        Zeroes `saturation`, `frame_errors` and `steps`.
    saturation
        Words clamped, per layer: current, prosp, rate.
    frame_errors
        Input frames of a wrong length, dropped whole.
    steps
        Input frames accepted.
    trace_valid, trace_layer, trace_neuron, trace_u, trace_r
        Per engine, where asked for; layers that wait show nothing.
    """

    def __init__(self, chip: ChipSpec, *, trace: bool = False):
        self.chip, self.trace = chip, trace
        layers = chip.network.layers
        members = {
            "i": In(stream.Signature(word_layout(layers[0].x_format.width))),
            "o": Out(stream.Signature(word_layout(layers[-1].rate_format.width))),
            "bus": In(BusSignature(register_map(chip).address_width)),
            "halt": In(1),
            "idle": Out(1),
            "clear": In(1),
            "clear_counters": In(1),
            "saturation": Out(32).array(len(layers), len(COUNTERS)),
            "frame_errors": Out(32),
            "steps": Out(32),
        }
        if trace:
            members |= _trace_members(chip)
        super().__init__(members)

    def elaborate(self, platform):
        return Module()


def _trace_members(chip: ChipSpec) -> dict[str, wiring.Member]:
    """Ports `trace_*`, an array over the engines."""
    engines = len(chip.engines)
    u_width = max(engine.u_width for engine in chip.engines)
    r_width = max(engine.rate_width for engine in chip.engines)
    neurons = max(layer.outputs for layer in chip.network.layers)
    return {
        "trace_valid": Out(1).array(engines),
        "trace_layer": Out(range(max(2, len(chip.network.layers)))).array(engines),
        "trace_neuron": Out(range(max(2, neurons))).array(engines),
        "trace_u": Out(signed(u_width)).array(engines),
        "trace_r": Out(signed(r_width)).array(engines),
    }
