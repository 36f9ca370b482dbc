"""`make paper`: one at a time in a workspace; a second one says who is at work, and waits, also for one that was killed half-way."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time

import pytest

from tests.workspace import REPOSITORY

TEXT = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
HEAD = "SHELL := /bin/bash\n" + re.search(r"^BUSY := .*?^endef\n", TEXT, flags=re.MULTILINE | re.DOTALL)[0]
RULE = "paper-alone:\n\t@echo begin; touch begun; sleep 1; echo end\n"


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("flock")), reason="needs make and flock")
@pytest.mark.parametrize("killed", [False, True])
def test_a_second_make_waits_and_says_for_whom(killed, tmp_path):
    recipe = re.search(r"^paper:\n(?:\t.*\n)+", TEXT, flags=re.MULTILINE)[0]
    (tmp_path / "Makefile").write_text(HEAD + recipe + RULE)
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}  # of a make that runs the tests
    how = {"cwd": tmp_path, "env": alone, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    make = lambda: subprocess.Popen(["make", "paper"], **how)
    first, deadline = make(), time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    if killed:
        first.kill()  # its shell and what that runs live on, and hold the lock
    second = make()
    out, err = second.communicate(timeout=60)
    ended = time.monotonic()
    said = first.communicate(timeout=60)[0]
    assert said == "begin\nend\n" and out == "begin\nend\n" and second.returncode == 0 and ended > 0
    assert re.search(r"another make is at work here \(process \d+, make paper, since \d\d:\d\d\); waiting until it ends", err)


def test_both_long_targets_are_alone():
    for target in ("paper", "reproduce"):
        assert f"\n{target}:\n\t$(call alone,{target}-alone)\n\n{target}-alone: " in TEXT
