"""Registers and memories of the chip through cocotbext-axi's AXI4-Lite master."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from expected import parameters_of

from vle.compiler.circuit.folding import ChipSpec
from vle.compiler.circuit.registers import COUNTERS, IDENTITY, VERSION, register_map
from vle.compiler.layer import LayerSpec
from vle.compiler.network import NetworkSpec
from vle.host.registers import RegisterMap

PATIENCE = 200  # polls


class RegisterDriver:
    """Reads, writes, halts; parameters as the arrays of a `LayerSpec`."""

    def __init__(self, dut, chip: ChipSpec) -> None:
        self.dut, self.chip = dut, chip
        self.map = RegisterMap.of_json(register_map(chip).json)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)

    async def peek(self, address: int) -> int:
        """Read a word at a byte address."""
        answer = await self.master.read(int(address), 4)
        assert answer.resp == AxiResp.OKAY, f"read at 0x{address:x}: {answer.resp!r}"
        return int.from_bytes(answer.data, "little")

    async def poke(self, address: int, word: int) -> None:
        """Write a word at a byte address."""
        answer = await self.master.write(
            int(address), (int(word) & 0xFFFFFFFF).to_bytes(4, "little")
        )
        assert answer.resp == AxiResp.OKAY, f"write at 0x{address:x}: {answer.resp!r}"

    async def read(self, name: str) -> int:
        """Read a register by name."""
        return await self.peek(self.map.address[name])

    async def until_idle(self) -> None:
        """Wait until all steps are done whose frames were accepted."""
        for _ in range(PATIENCE):
            if await self.read("STATUS") & 1:
                return
            await ClockCycles(self.dut.clk, 20)
        raise AssertionError("the chip does not become idle")

    async def halt(self) -> None:
        """Accept no more input, and wait for the rest."""
        await self.poke(self.map.address["CTRL"], 1)
        await self.until_idle()

    async def resume(self) -> None:
        """Accept input again."""
        await self.poke(self.map.address["CTRL"], 0)

    async def saturation(self) -> np.ndarray:
        """Counters, shape `(layers, 3)`."""
        layers = range(len(self.chip.network.layers))
        return np.array(
            [[await self.read(f"SATURATION[{at}][{kind}]") for kind in COUNTERS] for at in layers]
        )

    def _places(self, index: int, layer: LayerSpec):
        """Yield window, byte addresses and words of each parameter of a layer."""
        for kind, words in vars(parameters_of(layer)).items():
            if words is not None:
                window = self.map.windows[kind, index]
                place = window.matrix if kind == "weight" else window.vector
                yield window, place(*words.shape), words

    async def load(self, spec: NetworkSpec) -> None:
        """Write all parameters."""
        for index, layer in enumerate(spec.layers):
            for _, addresses, words in self._places(index, layer):
                for address, word in zip(addresses.flat, words.flat, strict=True):
                    await self.poke(address, word)

    async def same_parameters(self, spec: NetworkSpec) -> bool:
        """Read all parameters back and compare."""
        for index, layer in enumerate(spec.layers):
            for window, addresses, words in self._places(index, layer):
                raw = np.array([await self.peek(a) for a in addresses.flat], dtype=np.uint32)
                if window.decode(raw).tolist() != words.ravel().tolist():
                    cocotb.log.error("%s differs", window.name)
                    return False
        return True

    async def check_refusals(self) -> None:
        """Who the chip is; nothing at unused addresses; no memory access while it runs."""
        assert await self.read("ID") == IDENTITY
        assert await self.read("VERSION") == VERSION
        assert await self.read("HASH") == self.map.hash
        weight = int(self.map.windows["weight", 0].matrix(1, 1)[0, 0])
        for address in (4 * 15, weight):
            assert (await self.master.read(address, 4)).resp == AxiResp.SLVERR
            assert (await self.master.write(address, bytes(4))).resp == AxiResp.SLVERR
        assert (await self.master.write(0, bytes(4))).resp == AxiResp.SLVERR
        assert (await self.master.write(self.map.address["CTRL"], b"\1")).resp == AxiResp.SLVERR
        await self.halt()
        assert (await self.master.read(weight, 4)).resp == AxiResp.OKAY
        await self.resume()
