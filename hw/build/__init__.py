"""From a chip to a bitstream, with open tools."""
