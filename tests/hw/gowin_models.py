"""Verilog models of Gowin cells that Yosys has none of: a multiplier and memory blocks.

They know what `vle.hw.families.gowin` and Yosys' own memories use of them, and refuse other
parameters when they are elaborated. They show that a netlist is what was meant, not that silicon
does the same.
A bit that is read in the clock in which it is written comes out wrong on purpose.
"""

from __future__ import annotations

from ecp5_models import refuse

INITS = 64


def multiplier() -> str:
    """MULT18X18 with its registers in steps; factors signed or not, each by its pin."""
    return f"""
module MULT18X18(input [17:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
  output [35:0] DOUT, output [17:0] SOA, SOB);
  parameter AREG = 1'b0, BREG = 1'b0, OUT_REG = 1'b0, PIPE_REG = 1'b0;
  parameter ASIGN_REG = 1'b0, BSIGN_REG = 1'b0, SOA_REG = 1'b0, MULT_RESET_MODE = "SYNC";
{
        refuse(
            '!ASIGN_REG && !BSIGN_REG && !SOA_REG && MULT_RESET_MODE == "SYNC"',
            "MULT18X18 with registers of signs or another reset mode",
        )
    }  reg signed [18:0] a_kept = 0, b_kept = 0;
  reg signed [37:0] inner = 0, outer = 0;
  wire signed [18:0] a_pins = {{ASIGN & A[17], ASEL ? SIA : A}};
  wire signed [18:0] b_pins = {{BSIGN & B[17], BSEL ? SIB : B}};
  wire signed [18:0] a = AREG ? a_kept : a_pins, b = BREG ? b_kept : b_pins;
  wire signed [37:0] raw = a * b, piped = PIPE_REG ? inner : raw, out = OUT_REG ? outer : piped;
  always @(posedge CLK)
    if (RESET) begin a_kept <= 0; b_kept <= 0; inner <= 0; outer <= 0; end
    else if (CE) begin a_kept <= a_pins; b_kept <= b_pins; inner <= raw; outer <= piped; end
  assign DOUT = out[35:0];
  assign SOA = 0, SOB = 0;
endmodule
"""


def memory(name: str, bits: int, *, dual: bool) -> str:
    """SDPB or SDPX9B, A writes and B reads; DPB or DPX9B, where `dual`, with two such ports.

    512 words of 32 bits, or of 36, in parts of each port's width; enables of their bytes lie on
    the lowest pins of the address.
    """
    byte = bits // 4
    init = "".join(f"  parameter [{8 * bits - 1}:0] INIT_RAM_{k:02X} = 0;\n" for k in range(INITS))
    filled = "".join(
        f"    for (k = 0; k < 8; k = k + 1)\n"
        f"      words[{8 * at} + k] = INIT_RAM_{at:02X}[{bits} * k +: {bits}];\n"
        for at in range(INITS)
    )
    ports = ["input CLKA, CEA, RESETA, CLKB, CEB, RESETB, input [13:0] ADA, ADB"]
    ports += [f"input [2:0] BLKSEL{side}" for side in "AB"]
    if dual:
        word = f"[{bits // 2 - 1}:0]"
        ports += [f"input OCE{s}, WRE{s}, input {word} DI{s}, output {word} DO{s}" for s in "AB"]
    else:
        ports += [f"input OCE, input [{bits - 1}:0] DI, output [{bits - 1}:0] DO"]
    modes = [f"READ_MODE{side}" for side in "01"] if dual else ["READ_MODE"]
    writing = "".join(f", WRITE_MODE{k} = 2'b00" for k in "01") if dual else ""
    body = "".join(_side(side, byte, dual=dual) for side in "AB")
    return f"""
module {name}({", ".join(ports)});
  parameter {" = 0, ".join(modes)} = 0, RESET_MODE = "SYNC"{writing};
  parameter BIT_WIDTH_0 = {bits}, BIT_WIDTH_1 = {bits}, BLK_SEL_0 = 3'b0, BLK_SEL_1 = 3'b0;
{init}{
        refuse(
            'RESET_MODE == "SYNC" && BLK_SEL_0 == 0 && BLK_SEL_1 == 0',
            f"{name} with another reset or select",
        )
    }
  reg [{bits - 1}:0] words [0:511];
  integer k;
  initial begin
{filled}  end
{body}endmodule
"""


def _side(side: str, byte: int, *, dual: bool) -> str:
    """One port: what it writes, what it reads, its register."""
    number, other, bits = "AB".index(side), "BA"["AB".index(side)], 4 * byte
    width, data = f"BIT_WIDTH_{number}", f"DI{side}" if dual else "DI"
    writes = f"on_{side} & WRE{side}" if dual else f"on_{side} & {1 - number}"
    widths = [bits >> k for k in range(3)] if byte == 9 else [bits >> k for k in range(6)]
    known = " || ".join(f"{width} == {each}" for each in widths[dual:])
    text = f"""{refuse(known, f"memory with no such width of port {side}")}
  localparam units_{side} = {width} * 8 / {byte};  // of the lowest address
  wire on_{side} = CE{side} & BLKSEL{side} == 0, writes_{side} = {writes};
  wire [5:0] place_{side} = AD{side}[4:0] / units_{side} * {width};
  wire [3:0] bytes_{side} = units_{side} == 32 ? AD{side}[3:0]
    : units_{side} == 16 ? {{2'b00, AD{side}[1:0]}} : 4'b0001;
  wire [{bits - 1}:0] ones_{side} = units_{side} < 8 ? (1 << {width}) - 1
    : {{{", ".join(f"{{{byte}{{bytes_{side}[{k}]}}}}" for k in (3, 2, 1, 0))}}};
  wire [{bits - 1}:0] mask_{side} = writes_{side} ? ones_{side} << place_{side} : 0;
  wire [{bits - 1}:0] moved_{side} = {{{bits}'d0, {data}}} << place_{side};
  always @(posedge CLK{side})
    if (writes_{side})
      words[AD{side}[13:5]] <= words[AD{side}[13:5]] & ~mask_{side} | moved_{side} & mask_{side};
"""
    if not dual and side == "A":
        return text
    mode, kept = (f"READ_MODE{number}", f"OCE{side}") if dual else ("READ_MODE", "OCE")
    out = f"DO{side}" if dual else "DO"
    return f"""{text}  reg [{bits - 1}:0] read_{side} = 0, kept_{side} = 0;
  wire [{bits - 1}:0] clash_{side} = AD{side}[13:5] == AD{other}[13:5] ? mask_{other} : 0;
  always @(posedge CLK{side}) begin
    if (RESET{side}) read_{side} <= 0;
    else if (on_{side} & ~writes_{side})
      read_{side} <= (words[AD{side}[13:5]] ^ clash_{side}) >> place_{side};
    if (RESET{side}) kept_{side} <= 0; else if ({kept}) kept_{side} <= read_{side};
  end
  assign {out} = {mode} ? kept_{side} : read_{side};
"""


def models() -> str:
    """Verilog of all of them."""
    single = memory("SDPB", 32, dual=False) + memory("SDPX9B", 36, dual=False)
    return multiplier() + single + memory("DPB", 32, dual=True) + memory("DPX9B", 36, dual=True)
