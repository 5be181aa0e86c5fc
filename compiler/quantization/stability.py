"""Where the errors of a recurrent layer can feed themselves."""

from __future__ import annotations

import numpy as np

from vle.compiler.notes import Note, joined
from vle.sim import Network


def error_notes(network: Network) -> tuple[str, ...]:
    """Name the recurrent layers whose errors can grow without bound where they learn.

    An error `e = v + (tau_m/tau_r) f` comes back through `f = phi' R^T e + ...`; with slopes up to
    1 it cannot grow while the spectral norm (largest singular value) of `diag(tau_m/tau_r) R^T`
    is at most 1.
    """
    if not network.error_recurrence:
        return ()
    notes = []
    for index, layer in enumerate(network.layers):
        if layer.recurrent is None:
            continue
        norm = float(np.linalg.norm((layer.tau_m / layer.tau_r)[:, None] * layer.recurrent.T, 2))
        if norm > 1:
            text = "errors can grow without bound in learning, as |tau_m/tau_r R^T| is above 1"
            notes.append((index, Note(text, f"{norm:.3g}")))
    return joined(notes)
