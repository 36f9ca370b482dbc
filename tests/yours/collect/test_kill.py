"""SIGKILL at random lines of collect's code and inside its writes: the end is the same bytes, and no stored page is asked for again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.collect.conftest import pairs
from tests.collect.server import DatasetServer

from tests.workspace import REPOSITORY

SIGKILL, SIGXFSZ = 9, 25
PAGE, PAGES = 4, 24
FILES = ["checkpoint.json", "raw.jsonl", "summary.json"]

pytestmark = pytest.mark.timeout(600)


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "POLYCHROMIC_CACHE": str(folder.parent / "cache"), "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def live(folder: Path) -> Iterator[Callable[..., dict]]:
    """Run one life in the nursery."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.collect.nursery"],
        cwd=REPOSITORY, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def order(arguments: list[str], **trap: int) -> dict:
        process.stdin.write(json.dumps({"arguments": arguments, "log": str(folder / "said.txt")} | trap) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield order
    process.stdin.close()
    assert process.wait(30) == 0


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


def stored(out: Path) -> int:
    """Items that are stored, as the checkpoint says."""
    return json.loads((out / "checkpoint.json").read_bytes())["position"] if (out / "checkpoint.json").exists() else 0


def trap(rng: random.Random, out: Path, lines: int) -> dict[str, int]:
    """Where the next life ends: after 0 to 3 pages, or in the middle of a write to the log or to the checkpoint."""
    if rng.random() < 0.6:
        return {"line": rng.randint(1, 3 * lines // PAGES)}
    log = (out / "raw.jsonl").stat().st_size if (out / "raw.jsonl").exists() else 0
    return {"bytes": log + rng.randint(1, 1500) if rng.random() < 0.8 else rng.randint(1, 2000)}


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_points_the_log_is_that_of_an_undisturbed_run(seed, serve, folder, live):
    server = serve(messy(PAGE * PAGES))
    faults = {PAGE * 3: [503], PAGE * 9: ["429 0"], PAGE * 15: ["cut"]}
    server.faults |= {offset: list(kinds) for offset, kinds in faults.items()}
    options = ["apify", "DATA", "--base-url", server.url, "--page-size", str(PAGE), "--author-cap", "4"]
    calm, out = folder / "calm", folder / "out"
    undisturbed = live([*options, "--out", str(calm)])
    assert undisturbed["code"] == 0 and sorted(contents(calm)) == FILES
    answered = server.offsets()
    assert len(answered) == PAGES + 3 and sorted(set(answered)) == list(range(0, PAGE * PAGES, PAGE))

    server.faults |= faults
    rng, deaths = random.Random(seed), []
    for _ in range(400):
        before = stored(out)
        server.seen.clear()
        ended = live([*options, "--out", str(out)], **trap(rng, out, undisturbed["lines"]))
        whole = [seen.offset for seen in server.seen if seen.method == "GET" and seen.whole]
        assert all(offset >= before for offset in server.offsets()) and whole == sorted(set(whole)), "a page was asked for that was stored"
        if not ended["signal"]:
            break
        deaths.append(ended["signal"])
    assert (ended["signal"], ended["code"]) == (0, 0), (folder / "said.txt").read_text()
    assert len(deaths) >= 20 and {SIGKILL, SIGXFSZ} == set(deaths)
    assert contents(out) == contents(calm)
    counts = json.loads((out / "summary.json").read_bytes())["rejected"]
    assert {"author cap", "duplicate id", "not an object", "empty reply"} <= set(counts)


def test_a_file_is_collected_the_same_way(folder, live):
    Path("rows.jsonl").write_text("".join(json.dumps(item) + "\n" for item in messy(PAGE * PAGES)))
    options = ["file", str(folder / "rows.jsonl"), "--page-size", str(PAGE), "--author-cap", "4"]
    undisturbed = live([*options, "--out", str(folder / "calm")])
    rng, deaths = random.Random(3), 0
    for _ in range(400):
        # the file is read twice before the first page, for its digest and its size
        ended = live([*options, "--out", str(folder / "out")], **trap(rng, folder / "out", 2 * undisturbed["lines"]))
        if not ended["signal"]:
            break
        deaths += 1
    assert ended["code"] == 0 and deaths >= 10
    assert contents(folder / "out") == contents(folder / "calm")


def start(folder: Path, server: DatasetServer, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "polychromic", "collect", "apify", "DATA", "--base-url", server.url, "--page-size", str(PAGE)]
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen([*command, "--out", str(out)], env=environment(folder), stdout=said, stderr=said)


def test_the_command_itself_killed_from_outside(serve, folder):
    """A process as a user starts it, killed while it waits for a page."""
    server, out = serve(messy(PAGE * PAGES)), folder / "out"
    server.pause = 0.03
    for pages in (3, 5):
        before = stored(out)
        server.seen.clear()
        process = start(folder, server, out)
        deadline = time.monotonic() + 120
        while len(server.offsets()) < pages and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
        assert process.wait(60) == -SIGKILL, (folder / "said.txt").read_text()
        assert stored(out) > before and min(server.offsets()) == before
    before = stored(out)
    server.seen.clear()
    assert start(folder, server, out).wait(120) == 0, (folder / "said.txt").read_text()
    assert server.offsets() == list(range(before, PAGE * PAGES, PAGE))
    assert sorted(contents(out)) == FILES
    server.pause = 0
    assert start(folder, server, folder / "calm").wait(120) == 0
    assert contents(out) == contents(folder / "calm")
