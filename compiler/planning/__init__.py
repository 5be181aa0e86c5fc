"""Which engines a board can carry, and which of them to take."""
