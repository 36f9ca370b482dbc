"""SIGKILL at random lines of collect's code and inside its writes: the end is the same bytes, and no stored page is asked for again."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
from pathlib import Path

import pytest

from polychromic.base import io
from polychromic.cli import app as cli
from polychromic.yours.collect import apify, run, schema, sources, store
from tests.yours.collect.conftest import pairs, write

PAGE = 4
CODE = frozenset(module.__file__ for module in (apify, run, schema, sources, store, io))


def live(arguments: list[str], line: int | None = None, size: int | None = None) -> tuple[int, int, int]:
    """Run collect in a child of this process, so that a life costs milliseconds and not a start of Python.

    Args:
        line: die before that line of collect's code, counted over the life.
        size: let no file grow beyond it: the kernel cuts the write that would, and kills the process at the next.

    Returns:
        Signal of its death, exit code, and lines counted, of a life that ended by itself.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code, counted = 1, 0

        def count(frame, event, argument):  # noqa: ANN001, ANN202
            nonlocal counted
            if event == "line":
                counted += 1
                if counted == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return count

        try:
            nowhere = open(os.devnull, "w")
            sys.stdout, sys.stderr, sys.argv = nowhere, nowhere, ["polychromic", "collect", *arguments]
            if size is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and would make an exception of it
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            sys.settrace(lambda frame, event, argument: count if frame.f_code.co_filename in CODE else None)
            try:
                cli.main()
            except SystemExit as stop:
                code = int(stop.code or 0)
            os.write(writing, str(counted).encode())
        finally:
            os._exit(code)
    os.close(writing)
    lines = int(os.read(reading, 20) or 0)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status), os.WEXITSTATUS(status), lines


def messy(count: int) -> list[object]:
    """Records, and what is rejected: doubles of far away, people over the cap, rubbish. All states of a collection change on the way."""
    rng = random.Random(7)
    items: list[object] = []
    for item in pairs(count):
        kind = rng.random()
        if kind < 0.1 and items:
            items.append(rng.choice(items))
        elif kind < 0.2:
            items.append(rng.choice([None, {}, {"post": "a", "reply": ""}, item | {"engagement": "many"}]))
        else:
            items.append(item | {"reply": item["reply"] * rng.randint(1, 12) + "\u00e4\U0001f600", "author": f"handle{rng.randint(0, 20)}"})
    return items


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize(
    ("kind", "seed", "pages", "least"),
    [("file", 0, 8, 3)] + [pytest.param(*case, 24, 10, marks=pytest.mark.slow) for case in (("file", 3), ("apify", 0), ("apify", 1))],
)
def test_killed_at_random_points_the_log_is_that_of_an_undisturbed_run(kind, seed, pages, least, serve, folder):
    items, out, rng, deaths = messy(PAGE * pages), folder / "out", random.Random(seed), []
    server = serve(items)
    write("rows.jsonl", items)
    what = {"file": ["rows.jsonl"], "apify": ["DATA", "--base-url", server.url]}[kind]
    options = [kind, *what, "--page-size", str(PAGE), "--author-cap", "3", "--out"]
    for _ in range(2):  # for the undisturbed run and for the others
        for page, fault in ((1, 503), (4, "429 0"), (7, "cut")):
            server.faults[PAGE * page].append(fault)
    died, code, lines = live([*options, "calm"])
    assert (died, code) == (0, 0) and sorted(contents(folder / "calm")) == ["checkpoint.json", "raw.jsonl", "summary.json"]
    lines *= 2 if kind == "file" else 1  # a file is read twice before the first page, for its digest and its size
    for _ in range(400):
        before = json.loads((out / "checkpoint.json").read_bytes())["position"] if (out / "checkpoint.json").exists() else 0
        written = (out / "raw.jsonl").stat().st_size if (out / "raw.jsonl").exists() else 0
        server.seen.clear()
        # After 0 to 3 pages, or in the middle of a write to the log or to the checkpoint.
        if rng.random() < 0.6:
            died, code, _ = live([*options, "out"], line=rng.randint(1, 3 * lines // pages))
        else:
            died, code, _ = live([*options, "out"], size=written + rng.randint(1, 1500) if rng.random() < 0.8 else rng.randint(1, 2000))
        whole = [seen.offset for seen in server.seen if seen.method == "GET" and seen.whole]
        assert all(offset >= before for offset in server.offsets()) and whole == sorted(set(whole)), "a page was asked for that was stored"
        if not died:
            break
        deaths.append(died)
    assert (died, code) == (0, 0) and len(deaths) >= least and {signal.SIGKILL, signal.SIGXFSZ} == set(deaths)
    assert contents(out) == contents(folder / "calm")
    assert {"author cap", "duplicate id"} <= set(json.loads((out / "summary.json").read_bytes())["rejected"])
