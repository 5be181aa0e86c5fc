"""Simulation that ends."""

from __future__ import annotations

from amaranth.sim import Simulator

WATCHDOG = 20_000  # cycles


def simulate(block, *scenarios, background=(), cycles: int = WATCHDOG) -> None:
    """Until all scenarios are done; those in the background go on beside them."""

    async def watchdog(ctx):
        cycle = 0
        async for _ in ctx.tick():
            cycle += 1
            assert cycle < cycles, "watchdog"

    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    for scenario in scenarios:
        simulator.add_testbench(scenario)
    for scenario in (*background, watchdog):
        simulator.add_testbench(scenario, background=True)
    simulator.run()
