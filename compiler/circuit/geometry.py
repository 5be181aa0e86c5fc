"""What follows from a folding: sizes, addresses, widths and depths of the circuit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vle.compiler.circuit import latency
from vle.compiler.circuit.eventgraph import group_queue_depth
from vle.compiler.fixed import Raw, width_of
from vle.compiler.layer import LayerSpec
from vle.compiler.learning.derivative import OfRate
from vle.compiler.learning.spec import LearningSpec, Points

Plan = tuple[int, int, tuple[int, ...]]


@dataclass(frozen=True)
class Pass:
    """One layer's work in a step: `groups` of rows, each `tiles` words of weights long.

    Parameters
    ----------
    layer
        Index in the network.
    spec
        The layer.
    pe, simd
        Of its engine.
    weight_base, neuron_base
        Where its weights and its neurons begin in the engine's memories.
    learning
        How the layer learns; None: it does not.
    top
        Whether it is the network's last layer, which targets are compared with.
    """

    layer: int
    spec: LayerSpec
    pe: int
    simd: int
    weight_base: int
    neuron_base: int
    learning: LearningSpec | None = None
    top: bool = False

    @property
    def points(self) -> Points:
        """Binary points, where it learns."""
        assert self.learning is not None
        return Points.of(self.spec, self.learning)

    @property
    def hears(self) -> bool:
        """Whether its errors come from a layer above, not from targets."""
        return not self.top

    @property
    def loops(self) -> bool:
        """Whether errors pass through the layer's own recurrent weights."""
        return self.learning is not None and self.learning.loop and self.spec.recurrent

    @property
    def sends(self) -> bool:
        """Whether sums of its errors go to a layer below."""
        return self.learning is not None and self.layer > 0

    @property
    def groups(self) -> int:
        """Groups of `pe` rows."""
        return -(-self.spec.outputs // self.pe)

    @property
    def tiles(self) -> int:
        """Groups of `simd` columns."""
        return -(-self.spec.columns // self.simd)

    @property
    def fold(self) -> int:
        """Words of weights, and cycles to read them."""
        return self.groups * self.tiles

    @property
    def group_rows(self) -> list[int]:
        """Rows in each group."""
        return [min(self.pe, self.spec.outputs - g * self.pe) for g in range(self.groups)]

    def weight_words(self) -> Raw:
        """Weights as the memory holds them, padded with 0, shape `(fold, pe * simd)`.

        Word `g * tiles + c`, lane `p * simd + s` is row `g * pe + p`, column `c * simd + s`.
        """
        padded = np.zeros((self.groups * self.pe, self.tiles * self.simd), dtype=np.int64)
        padded[: self.spec.outputs, : self.spec.columns] = self.spec.weight
        split = padded.reshape(self.groups, self.pe, self.tiles, self.simd)
        return split.transpose(0, 2, 1, 3).reshape(self.fold, self.pe * self.simd)


@dataclass(frozen=True)
class Engine:
    """One PE x SIMD array, its passes in the order of work, and the words that it needs."""

    index: int
    pe: int
    simd: int
    passes: tuple[Pass, ...]

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """Its layers in the order of work."""
        return tuple(piece.spec for piece in self.passes)

    @property
    def lanes(self) -> int:
        """Synapses worked on per clock."""
        return self.pe * self.simd

    @property
    def fold(self) -> int:
        """Words of weights of all passes, the cycles that a step takes at least."""
        return sum(piece.fold for piece in self.passes)

    @property
    def neurons(self) -> int:
        """Neurons of all passes; one of them is worked on per clock."""
        return sum(spec.outputs for spec in self.layers)

    @property
    def bound(self) -> int:
        """Cycles per step that this engine needs at least."""
        return max(self.fold, self.neurons, self.state_loop)

    @property
    def state_loop(self) -> int:
        """Cycles between two steps that a neuron's potential needs to be written and read."""
        return latency.LEARNED_STATE_LOOP if self.learns_time_constants else latency.STATE_LOOP

    @property
    def learns(self) -> bool:
        """Whether its layers learn."""
        return all(piece.learning is not None for piece in self.passes)

    @property
    def error_width(self) -> int:
        """Bits of an error; 0 where nothing learns."""
        return max(p.learning.error_width if p.learning else 0 for p in self.passes)

    @property
    def groups(self) -> int:
        """Groups of rows of all passes."""
        return sum(piece.groups for piece in self.passes)

    @property
    def flag_count(self) -> int:
        """Flags of a pass that go with its rows: start, held, zero_u; where it learns also zero."""
        return 4 if self.learns else 3

    @property
    def learning(self) -> tuple[LearningSpec, ...]:
        """How its layers learn, in the order of work; empty where they do not."""
        return tuple(piece.learning for piece in self.passes if piece.learning is not None)

    @property
    def v_width(self) -> int:
        """Bits of a low-passed error."""
        return max(learning.v_width for learning in self.learning)

    @property
    def learns_time_constants(self) -> bool:
        """Whether the time constants of its layers learn; all of them do, or none."""
        return any(learning.time_constants for learning in self.learning)

    @property
    def trace_groups(self) -> int:
        """Traces per column, of the layer that has the most; 0 where none hears filtered inputs."""
        return max((learning.groups for learning in self.learning), default=0)

    @property
    def trace_columns(self) -> int:
        """Columns of the layers that hear filtered inputs."""
        return sum(p.spec.columns for p in self.passes if p.learning and p.learning.filtered)

    @property
    def trace_tiles(self) -> int:
        """Words of their inputs."""
        return sum(p.tiles for p in self.passes if p.learning and p.learning.filtered)

    @property
    def weight_width(self) -> int:
        """Bits of a weight."""
        return max(spec.weight_width for spec in self.layers)

    @property
    def scale_width(self) -> int:
        """Bits of a scale, unsigned."""
        return max(spec.scale_width for spec in self.layers)

    @property
    def constant_width(self) -> int:
        """Bits of `alpha` and `rho`, unsigned."""
        return max(spec.constant_width for spec in self.layers)

    @property
    def u_width(self) -> int:
        """Bits of a potential."""
        return max(spec.u_format.width for spec in self.layers)

    @property
    def rate_width(self) -> int:
        """Bits of a rate."""
        return max(spec.rate_format.width for spec in self.layers)

    @property
    def operand_width(self) -> int:
        """Bits of an input or a rate of one's own."""
        own = [spec.rate_format.width for spec in self.layers if spec.recurrent]
        return max(*(spec.x_format.width for spec in self.layers), *own, 1)

    @property
    def acc_width(self) -> int:
        """Bits of an accumulator that no weights which can be loaded overflow."""
        return max(_widest_sum(spec) for spec in self.layers)

    @property
    def activation_stages(self) -> int:
        """From the prospective potential to the rate, the slowest layer's."""
        return max(latency.activation_stages(spec.activation) for spec in self.layers)

    @property
    def synapse_stages(self) -> int:
        """From the issue of a group's last tile to its first row at the neurons."""
        return latency.synapse_stages(self.simd)

    @property
    def front(self) -> int:
        """Clocks that constants take to follow from logarithms, where time constants learn."""
        return latency.CONSTANTS_FRONT if self.learns_time_constants else 0

    @property
    def prosp_stage(self) -> int:
        """From a row at the neurons to its potentials."""
        return latency.PROSP_STAGE + self.front

    @property
    def rate_stage(self) -> int:
        """From a row at the neurons to its rate."""
        return self.prosp_stage + self.activation_stages

    @property
    def prime_stage(self) -> int:
        """From a row at the neurons to its derivative, by when all that it learned is written."""
        of_rate = any(isinstance(learning.derivative, OfRate) for learning in self.learning)
        ready = self.rate_stage + (latency.PRIME_OF_RATE if of_rate else 0)
        return max(ready, self.state_loop if self.learns_time_constants else 0)

    @property
    def errors_loop(self) -> bool:
        """Whether errors pass through recurrent weights of any of its layers."""
        return any(piece.loops for piece in self.passes)

    @property
    def error_words(self) -> int:
        """From the issue of a row's address to its words at the error unit."""
        return latency.ERROR_WORDS + self.front

    @property
    def error_stages(self) -> int:
        """From the issue of a row's address to its error and its learning signal."""
        return latency.error_stages(self.front, loops=self.errors_loop)

    @property
    def prime_words(self) -> int:
        """From the issue of a row's address to that of its derivative."""
        return self.error_words + 1 + self.errors_loop

    @property
    def primed_stage(self) -> int:
        """From a row at the neurons to when its error may be issued a clock later.

        The error pass reads derivatives `prime_words` clocks after it began, rates of the top
        after `front`; logarithms of time constants at once.
        """
        if self.learns_time_constants:
            return self.prime_stage
        top = any(piece.top for piece in self.passes)
        read = (self.prime_stage - self.prime_words, self.rate_stage - self.front if top else 0)
        return max(read)

    @property
    def scale_stages(self) -> int:
        """From the issue of the last row's address to the exponent of the next step."""
        return self.error_stages + 1

    @property
    def latency(self) -> int:
        """From the issue of a group's last tile to the rate of its last row."""
        return self.synapse_stages + self.pe - 1 + self.rate_stage

    @cached_property
    def queue_depth(self) -> int:
        """Groups under way between their issue and the neurons: enough not to bind."""
        groups = [(piece.tiles, rows) for piece in self.passes for rows in piece.group_rows]
        return group_queue_depth(groups, self.synapse_stages, self.state_loop)

    def commit_stage(self, reader_tiles: int) -> int:
        """Stage of a frame's last row in the neurons at which its reader may start.

        The reader needs the last rate not before it comes to the tile that ends the frame, and
        rates arrive one per clock, so it may start `reader_tiles - 1` clocks before the frame is
        complete; it hears of that `LOOKED_AHEAD` before.
        """
        return max(0, self.rate_stage + 1 - latency.LOOKED_AHEAD - reader_tiles)

    def weight_memory(self) -> list[int]:
        """Words of the weight memory, lane 0 in the lowest bits."""
        mask, width = (1 << self.weight_width) - 1, self.weight_width
        words = np.concatenate([piece.weight_words() for piece in self.passes])
        return [
            sum((lane & mask) << (width * place) for place, lane in enumerate(word))
            for word in words.tolist()
        ]

    def neuron_memory(self, name: str) -> list[int]:
        """Words of one parameter of all neurons, `name` as in `LayerSpec`."""
        return [int(word) for spec in self.layers for word in getattr(spec, name)]


def _widest_sum(spec: LayerSpec) -> int:
    own = spec.outputs if spec.recurrent else 0
    reach = spec.inputs * -spec.x_format.low + own * -spec.rate_format.low
    return width_of(reach << (spec.weight_width - 1))


def lay_out_engines(
    layers: Sequence[LayerSpec],
    plans: Sequence[Plan],
    learning: Sequence[LearningSpec | None] = (),
) -> tuple[Engine, ...]:
    """Give each layer its place in its engine's memories."""
    each = learning or (None,) * len(layers)
    return tuple(
        Engine(index, pe, simd, tuple(_passes(layers, each, pe, simd, served)))
        for index, (pe, simd, served) in enumerate(plans)
    )


def _passes(
    layers: Sequence[LayerSpec],
    learning: Sequence[LearningSpec | None],
    pe: int,
    simd: int,
    served: Sequence[int],
) -> Iterator[Pass]:
    weight_base = neuron_base = 0
    for index in served:
        at = (weight_base, neuron_base)
        top = index + 1 == len(layers)
        piece = Pass(index, layers[index], pe, simd, *at, learning[index], top)
        weight_base, neuron_base = weight_base + piece.fold, neuron_base + piece.spec.outputs
        yield piece
