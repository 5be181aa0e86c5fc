"""What FPGA families build in their own ways: products and memories behind one interface.

A primitive asks the platform for a hook of its name (`get_product`, `get_registered_memory`), as
Amaranth's own library does; where there is none it is plain logic of the same latency, clock for
clock. `vle.hw.families` has the hooks.
"""

from vle.hw.primitives.memory import RegisteredMemory, registers_first
from vle.hw.primitives.product import Product, Products

__all__ = ["Product", "Products", "RegisteredMemory", "registers_first"]
