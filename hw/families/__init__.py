"""How FPGA families build the primitives: classes to mix into a platform, or to stand for it."""
