"""The circuit: engines, neurons, streams, registers, and the Verilog of a whole chip."""
