"""Verilog models of ECP5 cells that Yosys has none of: a multiplier and a memory block.

They know what `vle.hw.families.ecp5` and Yosys' own memories use of them, and refuse other
parameters when they are elaborated. They show that a netlist is what was meant, not that silicon
does the same.
A bit that is read in the clock in which it is written comes out wrong on purpose.
"""

from __future__ import annotations

FACTOR, PRODUCT, HALF, ADDRESS = 18, 36, 18, 14


def _pins(direction: str, name: str, count: int) -> str:
    return ", ".join(f"{direction} {name}{k}" for k in range(count))


def _word(name: str, count: int) -> str:
    return "{" + ", ".join(f"{name}{k}" for k in reversed(range(count))) + "}"


def refuse(condition: str, what: str) -> str:
    """Ask for a module that there is none of, named so that the error tells."""
    name = what.replace(" ", "_")
    return f"  generate if (!({condition})) {name} refused(); endgenerate\n"


def multiplier() -> str:
    """MULT18X18D with the registers of one clock; factors signed or not, each by its pin."""
    stages = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
    settings = "".join(
        f'  parameter REG_{stage}_CLK = "NONE", REG_{stage}_CE = "CE0", REG_{stage}_RST = "RST0";\n'
        for stage in stages
    )
    checks = "".join(
        refuse(
            f'(REG_{s}_CLK == "NONE" || REG_{s}_CLK == "CLK0")'
            f' && REG_{s}_CE == "CE0" && REG_{s}_RST == "RST0"',
            f"MULT18X18D_with_{s}_of_another_clock",
        )
        for s in stages
    )
    return f"""
module MULT18X18D({_pins("input", "A", FACTOR)}, {_pins("input", "B", FACTOR)},
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0, {_pins("output", "P", PRODUCT)});
{settings}  parameter SOURCEB_MODE = "B_SHIFT", RESETMODE = "SYNC", GSR = "ENABLED";
  parameter MULT_BYPASS = "DISABLED";
{checks}{
        refuse(
            'SOURCEB_MODE == "B_SHIFT" && RESETMODE == "SYNC" && MULT_BYPASS == "DISABLED"',
            "MULT18X18D of another source or reset mode or bypass",
        )
    }  reg signed [18:0] a_kept = 0, b_kept = 0;
  reg signed [37:0] inner = 0, outer = 0;
  wire signed [18:0] a_pins = {{SIGNEDA & A17, SOURCEA ? 18'd0 : {_word("A", FACTOR)}}};
  wire signed [18:0] b_pins = {{SIGNEDB & B17, SOURCEB ? 18'd0 : {_word("B", FACTOR)}}};
  wire signed [18:0] a = REG_INPUTA_CLK == "NONE" ? a_pins : a_kept;
  wire signed [18:0] b = REG_INPUTB_CLK == "NONE" ? b_pins : b_kept;
  wire signed [37:0] raw = a * b, piped = REG_PIPELINE_CLK == "NONE" ? raw : inner;
  wire signed [37:0] out = REG_OUTPUT_CLK == "NONE" ? piped : outer;
  always @(posedge CLK0)
    if (RST0) begin a_kept <= 0; b_kept <= 0; inner <= 0; outer <= 0; end
    else if (CE0) begin
      a_kept <= a_pins;
      b_kept <= b_pins;
      inner <= raw;
      outer <= piped;
    end
  assign {_word("P", PRODUCT)} = out[35:0];
endmodule
"""


def memory() -> str:
    """DP16KD: 512 words of 36 bits, in parts of each port's width.

    A part of 9 bits holds 8 of the narrower ones. A port of 36 bits writes at A, reads at B, and
    has the pins of both.
    """
    ports = ",\n  ".join(_memory_pins(side) for side in "AB")
    settings = "".join(
        f'  parameter DATA_WIDTH_{s} = 18, REGMODE_{s} = "NOREG", CSDECODE_{s} = "0b000";\n'
        f'  parameter WRITEMODE_{s} = "NORMAL", CLK{s}MUX = "CLK{s}";\n'
        for s in "AB"
    )
    init = "".join(f"  parameter [319:0] INITVAL_{k:02X} = 320'h0;\n" for k in range(64))
    filled = "".join(
        f"    for (k = 0; k < 16; k = k + 1)\n"
        f"      words[{8 * at} + k / 2][k % 2 * 18 +: 18] = INITVAL_{at:02X}[20 * k +: 18];\n"
        for at in range(64)
    )
    return f"""
module DP16KD({ports});
{settings}  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "ENABLED";
{init}{
        refuse(
            'RESETMODE == "SYNC" && (DATA_WIDTH_A != 36 && DATA_WIDTH_B != 36'
            " || DATA_WIDTH_A == 36 && REGMODE_A == REGMODE_B)",
            "DP16KD of another reset mode or with half a register",
        )
    }  reg [35:0] words [0:511];
  integer k;
  initial begin
{filled}  end
  function [5:0] place(input integer width, input [4:0] address);
    if (width == 36) place = 0;
    else if (width == 18) place = address[4] * 18;
    else place = address[4:3] * 9 + (width == 9 ? 0 : address[2:0] & (8 - width));
  endfunction
  function [35:0] bits(input integer width, input [13:0] address);
    if (width >= 18)
      bits = {{{{9{{width == 36 & address[3]}}}}, {{9{{width == 36 & address[2]}}}},
        {{9{{address[1]}}}}, {{9{{address[0]}}}}}} << place(width, address[4:0]);
    else bits = ((36'd1 << width) - 36'd1) << place(width, address[4:0]);
  endfunction
{_side("A")}{_side("B")}  wire wide = DATA_WIDTH_B == 36;
  assign {_word("DOA", HALF)} = wide ? out_B[17:0] : out_A[17:0];
  assign {_word("DOB", HALF)} =
    wide ? out_B[35:18] : out_B[17:0];
endmodule
"""


def _memory_pins(s: str) -> str:
    pins = (_pins("input", f"DI{s}", HALF), _pins("input", f"AD{s}", ADDRESS))
    more = (_pins("input", f"CS{s}", 3), _pins("output", f"DO{s}", HALF))
    return ", ".join((*pins, f"input CE{s}, OCE{s}, CLK{s}, WE{s}, RST{s}", *more))


def _side(s: str) -> str:
    """One port: what it writes, what it reads, its register."""
    other = "BA"["AB".index(s)]
    data = _word(f"DI{s}", HALF)
    if s == "A":
        data = f"DATA_WIDTH_A == 36 ? {{{_word('DIB', HALF)}, {data}}} : {data}"
    return f"""{
        refuse(
            f"DATA_WIDTH_{s} == 36 || DATA_WIDTH_{s} == 18 || DATA_WIDTH_{s} == 9"
            f" || DATA_WIDTH_{s} == 4 || DATA_WIDTH_{s} == 2 || DATA_WIDTH_{s} == 1",
            f"DP16KD with no such width of port {s}",
        )
    }{
        refuse(
            f'(REGMODE_{s} == "NOREG" || REGMODE_{s} == "OUTREG") && WRITEMODE_{s} == "NORMAL"'
            f' && CSDECODE_{s} == "0b000" && CLK{s}MUX == "CLK{s}"',
            f"DP16KD with another mode of port {s}",
        )
    }  wire [13:0] at_{s} = {_word(f"AD{s}", ADDRESS)};
  wire [35:0] data_{s} = {data};
  wire on_{s} = CE{s} & ~CS{s}0 & ~CS{s}1 & ~CS{s}2, writes_{s} = on_{s} & WE{s};
  wire [35:0] mask_{s} = writes_{s} ? bits(DATA_WIDTH_{s}, at_{s}) : 36'd0;
  wire [35:0] moved_{s} = data_{s} << place(DATA_WIDTH_{s}, at_{s}[4:0]);
  wire [35:0] clash_{s} = at_{s}[13:5] == at_{other}[13:5] ? mask_{other} : 36'd0;
  reg [35:0] read_{s} = 0, kept_{s} = 0;
  always @(posedge CLK{s}) begin
    if (writes_{s})
      words[at_{s}[13:5]] <= words[at_{s}[13:5]] & ~mask_{s} | moved_{s} & mask_{s};
    if (RST{s}) read_{s} <= 0;
    else if (on_{s} & ~WE{s})
      read_{s} <= (words[at_{s}[13:5]] ^ clash_{s}) >> place(DATA_WIDTH_{s}, at_{s}[4:0]);
    if (RST{s}) kept_{s} <= 0; else if (OCE{s}) kept_{s} <= read_{s};
  end
  wire [35:0] out_{s} = REGMODE_{s} == "OUTREG" ? kept_{s} : read_{s};
"""


def models() -> str:
    """Both."""
    return multiplier() + memory()
