"""Files appear together or not at all, whatever fails; a draft that a kill left is seen by nobody and cleared; rights follow the umask."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polychromic.base import drafts
from polychromic.base.drafts import DRAFT, together
from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, read_json, sha256_file, write_json, write_text
from tests.workspace import REPOSITORY

WAIT = """
import sys, time
from polychromic.base.io import atomic_open
with atomic_open(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def killed(tmp_path):
    """A process that is in the middle of a file; to be killed."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    arguments = [sys.executable, "-c", WAIT, str(tmp_path / "a.txt")]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout.readline() == "writing\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_what_is_written_together_appears_at_the_end_in_order(tmp_path, monkeypatch):
    order, replace = [], os.replace
    monkeypatch.setattr(drafts.os, "replace", lambda a, b: (order.append(Path(b).name), replace(a, b)))
    with together():
        write_text(tmp_path / "new" / "b", "1")
        with together():  # a part of the whole
            write_json(tmp_path / "a", {})
        write_text(tmp_path / "new" / "b", "2")  # twice: the last one counts
        write_text(tmp_path / "c", "3")
        assert [name for name in names(tmp_path) if DRAFT not in name] == ["new"]
    assert names(tmp_path) == ["a", "c", "new", "new/b"] and (tmp_path / "new" / "b").read_text() == "2"
    assert order == ["a", "b", "c"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_what_fails_leaves_nothing_and_keeps_what_was_there(tmp_path, error):
    write_text(tmp_path / "old", "old")
    with pytest.raises(error), together():
        write_text(tmp_path / "old", "new")
        write_text(tmp_path / "deep" / "er" / "b", "1")
        raise error
    assert names(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "old"


def test_a_place_that_cannot_be_replaced_takes_all_back(tmp_path, monkeypatch):
    """Whatever the file system refuses at the last moment; a folder in the way it refuses before anything is written."""
    write_text(tmp_path / "a", "old")
    replace = os.replace
    fails = lambda a, b: replace(a, b) if Path(b).name != "c" else (_ for _ in ()).throw(OSError(28, "No space left on device"))
    monkeypatch.setattr(drafts.os, "replace", fails)
    with pytest.raises(OSError) as raised, together():
        for name in "abc":
            write_text(tmp_path / name, "new")
    assert raised.value.filename == str(tmp_path / "c") and names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as raised, together():
        write_text(tmp_path / "b", "new")
        write_text(tmp_path / "folder", "new")
    assert raised.value.filename == str(tmp_path / "folder") and names(tmp_path) == ["a", "folder"]


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_full_disk_leaves_nothing_and_names_the_file(tmp_path, size):
    """The limit on a file's size stands for the disk: the same short write and the same kind of error."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(OSError) as raised, together():
            write_text(tmp_path / "new" / "a", "1")
            write_text(tmp_path / "new" / "b", "1" * 101)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Path(raised.value.filename).parent == tmp_path / "new" and names(tmp_path) == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o027])
def test_rights_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "new" / "a", "1")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "a").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_draft_that_a_kill_left_is_invisible_to_git_and_cleared_by_the_next_writer_there(tmp_path, killed):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    said = lambda: subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    (left,) = (path for path in tmp_path.iterdir() if path.name.startswith(DRAFT))
    write_text(tmp_path / ".git" / "info" / "exclude", "/b\n")
    write_text(tmp_path / "b", "1")
    assert left.exists(), "in use: its process lives"
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert said() == "" and left.exists() and not (tmp_path / "a.txt").exists()
    write_text(tmp_path / "b", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "b"]


def test_a_folder_that_is_cleared_before_its_lock_holds_is_made_again(tmp_path, monkeypatch):
    """The one moment in which a writer can lose its draft to another that clears."""
    made, mkdtemp = [], drafts.tempfile.mkdtemp

    def raced(**about):  # noqa: ANN202
        made.append(mkdtemp(**about))
        if len(made) == 1:
            opened = drafts.os.open

            def gone(path, *rest, **about):  # noqa: ANN001, ANN002, ANN003, ANN202
                found = opened(path, *rest, **about)
                if path == Path(made[0]):
                    os.rmdir(path)
                return found

            monkeypatch.setattr(drafts.os, "open", gone)
        return made[-1]

    monkeypatch.setattr(drafts.tempfile, "mkdtemp", raced)
    write_text(tmp_path / "a", "1")
    assert len(made) == 2 and names(tmp_path) == ["a"]


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    started = time.monotonic()
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("a\0b"), tmp_path / ("x" * 300)):
        for read in (read_json, sha256_file):
            with pytest.raises(PolychromicError, match="Allowed: "):
                read(path)
    assert time.monotonic() - started < 2


def test_a_file_that_is_read_while_it_is_replaced_stays_whole(tmp_path):
    write_text(tmp_path / "a", "old")
    with (tmp_path / "a").open() as reader:
        with atomic_open(tmp_path / "a") as file:
            file.write(b"new")
        assert reader.read() == "old" and (tmp_path / "a").read_text() == "new"
