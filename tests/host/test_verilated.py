"""The way from Verilog to a library: errors that say what is missing, time-outs that end."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from vle.errors import DeviceError, TransportError
from vle.host import build
from vle.host.beats import LAST, START, Beats
from vle.host.transport import Lesson
from vle.host.verilated import VerilatedChip

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


# The same with targets, which are added to the words of the frames that have one, and a probe that
# shows each sum; a sum that finds the one before still there is lost.
PORTS = """
  input [15:0] s_axis_target_tdata, input s_axis_target_tlast, input s_axis_target_tuser,
  input s_axis_target_tvalid, output s_axis_target_tready,
  output reg [31:0] m_axis_probe_tdata, output m_axis_probe_tlast,
  output reg [31:0] m_axis_probe_tuser, output reg m_axis_probe_tvalid, input m_axis_probe_tready,
"""
ADDS = """
  wire target = s_axis_tuser[1], moves = s_axis_tvalid & s_axis_tready;
  wire [15:0] sum = s_axis_tdata + (target ? s_axis_target_tdata ^ {16{s_axis_target_tuser}} : 0);
  assign m_axis_tdata = sum, m_axis_tlast = s_axis_tlast, m_axis_tuser = s_axis_tuser[0];
  assign m_axis_tvalid = s_axis_tvalid & (~target | s_axis_target_tvalid);
  assign s_axis_tready = m_axis_tready & (~target | s_axis_target_tvalid);
  assign s_axis_target_tready = moves & target, m_axis_probe_tlast = 1;
  reg [15:0] count = 0;
  initial m_axis_probe_tvalid = 0;
  always @(posedge clk) begin
    if (m_axis_probe_tready) m_axis_probe_tvalid <= 0;
    if (moves) count <= count + 1;
    if (moves & (m_axis_probe_tready | ~m_axis_probe_tvalid)) begin
      m_axis_probe_tvalid <= 1;
      m_axis_probe_tdata <= {{16{sum[15]}}, sum};
      m_axis_probe_tuser <= {count, 13'd0, s_axis_tuser};
    end
  end
"""


def learning_echo() -> str:
    text = ECHO.replace("input s_axis_tuser", "input [2:0] s_axis_tuser")
    begin, end = text.index("  reg [15:0] now"), text.index("  reg [31:0] word")
    text = text[:begin] + ADDS + text[end:]
    return text.replace("  input [11:0] s_axil_awaddr", PORTS + "  input [11:0] s_axil_awaddr", 1)


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


@pytest.fixture(scope="module")
def learner():
    with VerilatedChip(learning_echo().strip() + "\n", optimise="-O0") as opened:
        yield opened


def lesson(rng, steps: int) -> Lesson:
    start, freeze, has_target = (rng.random((3, steps)) < 0.5).astype(bool)
    count = int(has_target.sum())
    return Lesson(
        rng.integers(-999, 999, (steps, 3)).astype(np.int32),
        start,
        freeze,
        has_target,
        rng.integers(-999, 999, (count, 3)).astype(np.int32),
        rng.random(count) < 0.5,
    )


@pytest.mark.parametrize(("gaps", "stalls"), [(0, 0), (0.4, 0.4)])
def test_targets_arrive_with_their_frames(learner, gaps, stalls):
    given = lesson(np.random.default_rng(2), 60)
    learner.take_probes()
    learner.stall_probes(0)
    got = learner.learn(given, 3, gaps=gaps, stalls=stalls)
    told = np.where(given.is_error[:, None], ~given.targets, given.targets)
    want = given.frames.copy()
    want[given.has_target] += told
    assert np.array_equal(got, want)
    learner.read([0])  # time passes, and probes are listened to
    seen = learner.take_probes()
    assert np.array_equal(seen["word"], want.ravel())
    user = given.start + 2 * given.has_target + 4 * given.freeze
    assert np.array_equal(seen["user"] & 0xFFFF, np.repeat(user, 3))
    assert np.array_equal(np.diff(seen["user"] >> 16), np.ones(179))
    assert len(learner.take_probes()) == 0


def test_a_probe_that_is_not_listened_to_loses_words(learner):
    given = lesson(np.random.default_rng(3), 60)
    learner.stall_probes(0.5)
    got = learner.learn(given, 3)
    learner.read([0] * 20)
    learner.stall_probes(0)
    seen = learner.take_probes()
    assert 20 < len(seen) < 180
    steps = (seen["user"] >> 16) - (seen["user"] >> 16)[0]
    assert np.array_equal(seen["word"], got.ravel()[steps])


def test_a_lesson_in_parts(learner):
    given = lesson(np.random.default_rng(4), 40)
    parts = [given.part(0, 13), given.part(13, 14), given.part(14, 40)]
    got = np.concatenate([learner.learn(part, 3) for part in parts])
    assert np.array_equal(got, learner.learn(given, 3))


def test_a_target_that_nobody_waits_for_is_noticed(learner):
    frames = np.zeros((2, 3))
    with pytest.raises(TransportError, match="stood still for 60 cycles"):
        learner.stream(Beats.of_frames(frames), 6, targets=Beats.of_frames(frames), patience=60)


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
    assert loaded == "['vle'] ['vle.cache', 'vle.errors', 'vle.host']"


def test_the_error_of_a_tool_is_told_apart_from_a_signal_called_so(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = "module top(input clk, output reg the_error); missing inner(); endmodule\n"
    with pytest.raises(TransportError, match=r"verilator_bin failed: %Error.*missing"):
        build.library(text)
