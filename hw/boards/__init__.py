"""Boards: platforms, clocks and the circuit around a device."""
