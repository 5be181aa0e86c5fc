"""Trained time-continuous neuronal networks on an FPGA."""
