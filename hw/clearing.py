"""A reset that lies near everything that it resets."""

from __future__ import annotations

from amaranth.hdl import Fragment, Module, ResetInserter, Value

from vle.hw.numeric import own


class NearReset(ResetInserter):
    """As `ResetInserter`, a clock later: each block and each block in it has a register of its own.

    One net to the registers of a chip that multipliers fill takes longer than a clock.

    Parameters
    ----------
    clear
        The reset.
    """

    def __init__(self, clear: Value) -> None:
        super().__init__(clear)
        self._clear = clear

    def _insert_control(self, fragment, domain, lhs_masks) -> None:
        if all(signal.reset_less for signal, *_ in lhs_masks.chunks()):
            return
        m = Module()
        self.controls[domain] = own(m, self._clear, "clear")
        super()._insert_control(fragment, domain, lhs_masks)
        fragment.add_subfragment(Fragment.get(m, None), "clear")
