"""A chip on its own: time, sensors, and what it has learned, without a host."""
