"""How commands end: one line and a code, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

BEGIN = "import sys, time, click; from vle.command import leave; from vle.errors import *\n"
MAIN = "@click.command()\ndef c():\n    {}\nleave(c, 'vle-it', [])"


def ended(body: str, **given) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BEGIN + MAIN.format(body)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **given)


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("click.echo('x')", 0, ""),
        ("return 1", 1, ""),
        ("raise ValueError('a\\nb')", 2, "vle-it: error: a b\n"),
        ("raise TransportError('gone')", 2, "vle-it: error: gone\n"),
        ("open('/nowhere/at')", 2, "No such file"),
        ("raise click.UsageError('what')", 2, "vle-it: error: what\n"),
        ("raise KeyboardInterrupt", 130, "vle-it: error: interrupted\n"),
    ],
)
def test_a_code_and_a_line(body, code, says):
    done = ended(body, stdout=subprocess.DEVNULL)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.split("\n")) <= 3, "click ends the line of what was typed"


@pytest.mark.parametrize("body", ["print('x')", "print('x' * 99999)", "click.echo('x')"])
def test_a_reader_that_has_gone_is_nobody_s_fault(body):
    come, go = os.pipe()
    os.close(come)
    done = ended(body, stdout=go)
    os.close(go)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_command_that_is_to_end_does():
    command = [sys.executable, "-c", BEGIN + MAIN.format("print('x', flush=True); time.sleep(60)")]
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as running:
        assert running.stdout.readline() == "x\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 130
        assert "vle-it: error: interrupted" in running.stderr.read()
