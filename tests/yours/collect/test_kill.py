"""What a kill, a full disk or somebody's hand leave behind: the end is the same bytes, and no stored page is asked for again."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from polychromic.base import io
from polychromic.yours.collect import apify, run, schema, sources
from tests.lives import live
from tests.yours.collect.conftest import log, pairs, write

PAGE = 4
CODE = tuple(module.__file__ for module in (apify, run, schema, sources, io))


def messy(count: int) -> list[object]:
    """Records, and what is rejected: doubles of far away, people over the cap, rubbish. All states of a collection change on the way."""
    rng = random.Random(7)
    items: list[object] = []
    for item in pairs(count):
        kind = rng.random()
        if kind < 0.1 and items:
            items.append(rng.choice(items))
        elif kind < 0.2:
            items.append(rng.choice([{}, {"post": "a", "reply": ""}, item | {"engagement": "many"}]))
        else:
            items.append(item | {"reply": item["reply"] * rng.randint(1, 12) + "\u00e4\U0001f600", "author": f"handle{rng.randint(0, 5)}"})
    return items


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize(
    ("kind", "seed", "pages", "least"),
    [("file", 0, 8, 3)] + [pytest.param(*case, 24, 10, marks=pytest.mark.slow) for case in (("file", 3), ("apify", 0), ("apify", 3))],
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
    # Printed to nowhere: a limit on the size of files is one on the log and the summary alone.
    collected = partial(live, folder=folder, cache=folder.parent / "cache", traced=CODE, said=os.devnull)
    died, code, lines = collected(["collect", *options, "calm"])
    assert (died, code) == (0, 0) and sorted(contents(folder / "calm")) == ["raw.jsonl", "summary.json"]
    lines *= 2 if kind == "file" else 1  # a file is read twice before the first page, for its digest and its size
    for _ in range(400):
        before = json.loads((out / "summary.json").read_bytes())["items"] if (out / "summary.json").exists() else 0
        written = (out / "raw.jsonl").stat().st_size if (out / "raw.jsonl").exists() else 0
        server.seen.clear()
        # Within about a page, or in the middle of a write to the log or to the summary.
        if rng.random() < 0.6:
            died, code, _ = collected(["collect", *options, "out"], line=rng.randint(1, lines // pages))
        else:
            size = written + rng.randint(1, 1500) if rng.random() < 0.8 else rng.randint(1, 2000)
            died, code, _ = collected(["collect", *options, "out"], size=size)
        whole = [seen.offset for seen in server.seen if seen.method == "GET" and seen.whole]
        assert all(offset >= before for offset in server.offsets()) and whole == sorted(set(whole)), "a page was asked for that was stored"
        if not died:
            break
        deaths.append(died)
    assert (died, code) == (0, 0) and len(deaths) >= least and {signal.SIGKILL, signal.SIGXFSZ} == set(deaths)
    assert contents(out) == contents(folder / "calm")
    assert {"author cap", "duplicate id"} <= set(json.loads((out / "summary.json").read_bytes())["rejected"])


@pytest.mark.parametrize(("damage", "said"), [
    (lambda log: log.write_bytes(log.read_bytes().replace(b"a", b"b", 1)), "are not those that collect wrote"),
    (lambda log: log.unlink(), "0 bytes, of which the first"),
    (lambda log: log.with_name("summary.json").unlink(), "a log without summary.json"),
    (lambda log: log.with_name("summary.json").write_text("{"), "summary.json: not JSON"),
])  # fmt: skip
def test_what_no_kill_leaves_is_refused_and_left_alone(damage, said, folder, collect):
    write("rows.jsonl", pairs(6))
    arguments = ["file", "rows.jsonl", "--out", "out", "--max-items", 4]
    assert collect(*arguments)[0] == 0
    damage(folder / "out" / "raw.jsonl")
    before = contents(folder / "out")
    code, _, err = collect(*arguments)
    assert code == 1 and said in err and "Allowed: " in err and contents(folder / "out") == before


def test_a_full_disk_and_ctrl_c_say_how_to_go_on_and_lose_nothing(folder, collect, monkeypatch):
    """The limit on a file's size stands for the disk: the same short write and the same kind of error."""
    write("rows.jsonl", [row | {"reply": "x" * 900} for row in pairs(6)])
    arguments = ["file", "rows.jsonl", "--out", "out", "--page-size", 2]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        code, out, err = collect(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code, out) == (1, "") and "stopped (out cannot be written: File too large); 2 items are stored. Run the same command" in err
    with monkeypatch.context() as patched:
        patched.setattr(run.Store, "commit", Mock(side_effect=KeyboardInterrupt))
        code, out, err = collect(*arguments)
    assert (code, out) == (1, "") and "stopped by Ctrl-C; 2 items are stored" in err
    assert collect(*arguments)[0] == 0 and [row["engagement"] for row in log("out")] == list(range(6))
