"""How many examples a property is tried on."""

import os


def runs(count: int) -> int:
    """`count`, or fifty times as many in a soak."""
    return 50 * count if os.environ.get("VLE_SOAK") else count
