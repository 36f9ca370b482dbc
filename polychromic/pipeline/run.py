"""Several processes for what DVC runs one by one: all stages on the cores there are, and test on a rented GPU.

Each stage is a `dvc repro --single-item` of its own, started as soon as the stages it depends on are done; what is up to date is skipped by
DVC unless everything is forced. A small model waits for its processor, not for the GPU, so `open_test` lets several processes share
one; it writes what the stages write, and `dvc repro` then finds adapters, drafts and likelihoods in the cache and records it.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
from graphlib import TopologicalSorter
from itertools import zip_longest
from typing import NamedTuple

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.progress import progress
from polychromic.params import Adapter, Cell, Params
from polychromic.pipeline.stages import Stage, stages

LOCKED = ("is busy, it is being blocked by", "Unable to acquire lock")
RETRIES = 60
PARTS = 16  # of a domain's prompts, whose replies are shown to a model in one task


def upstream(found: dict[str, Stage]) -> dict[str, set[str]]:
    """Stage -> the stages whose outs it reads; a dep may be a folder that holds them."""
    made = {path: name for name, stage in found.items() for path in stage.outs}
    reads = lambda stage, path: path in stage.deps or any(path.startswith(f"{dep}/") for dep in stage.deps)
    return {name: {maker for path, maker in made.items() if reads(stage, path)} - {name} for name, stage in found.items()}


def run_stage(stage: str, force: bool) -> float:
    """`dvc repro --single-item stage`, waiting while another dvc holds a lock. Returns minutes.

    Raises:
        PolychromicError: the stage failed; with its last lines.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", *(["--force"] if force else []), stage]
    started = time.monotonic()
    print(f"started {stage}", file=sys.stderr, flush=True)
    for _ in range(RETRIES):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            return round((time.monotonic() - started) / 60, 1)
        if not any(sign in done.stdout for sign in LOCKED):
            break
        time.sleep(1)
    raise PolychromicError(f"stage {stage} failed; its last lines:\n" + "\n".join(done.stdout.splitlines()[-15:]))


def reproduce(jobs: int, force: bool) -> dict[str, float]:
    """Run all stages, `jobs` at a time. Returns minutes per stage, in the order in which they ended.

    Raises:
        PolychromicError: a stage failed; those that were running are waited for.
    """
    needs = upstream(stages())
    order, minutes, ready, running = TopologicalSorter(needs), {}, set(), {}
    order.prepare()
    with ThreadPoolExecutor(jobs) as pool, progress("stages", len(needs)) as tick:
        while order.is_active():
            ready |= {*order.get_ready()}
            for stage in sorted(ready)[: jobs - len(running)]:
                ready.remove(stage)
                running[pool.submit(run_stage, stage, force)] = stage
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                minutes[stage] = future.result()
                order.done(stage)
                tick(len(minutes))
    return minutes


class Task(NamedTuple):
    """kind: a key of `tasks`. number: the seed, or the part of the prompts; 0 where there is neither."""

    kind: str
    domain: str
    cell: Cell | None = None
    number: int = 0


def tasks(params: Params, domains: Sequence[str]) -> dict[str, list[Task]]:
    """By kind, in the order in which they run: each adapter once, the longest first; drafts as their adapters will be there."""
    train: dict[Adapter, tuple[float, Task]] = {}
    draw: list[tuple[Adapter | None, Task]] = []
    cells = [(domain, cell) for domain in domains for cell in params.cells(domain, "test")]
    for domain, cell in cells:
        method = params.methods[cell.method]
        for seed, adapter in zip_longest(cell.seeds, params.adapters(domain, cell)):
            if adapter is not None:
                steps = params.domain(domain).steps * (method.cost or method.budget * (1 if method.objective == "none" else 2))
                train.setdefault(adapter, (steps, Task("train", domain, cell, seed)))
            draw.append((adapter, Task("draw", domain, cell, seed)))
    longest = sorted(train, key=lambda adapter: -train[adapter][0])
    return {
        "train": [train[adapter][1] for adapter in longest],
        "draw": [task for _, task in sorted(draw, key=lambda one: longest.index(one[0]) if one[0] in train else -1)],
        "write": [Task("write", domain, cell) for domain, cell in cells],
        "ask": [Task("ask", domain, number=part) for domain in domains for part in range(PARTS)],
        "score": [Task("score", domain) for domain in domains],
    }


def open_test(params: Params, domains: Sequence[str], jobs: int) -> None:
    """Sample and score test for every declared system of the domains, in `jobs` processes. A run that was killed goes on where it was.

    Raises:
        UsageError: a domain for which nothing was declared.
        PolychromicError: `analysis:` is not committed as it stands, or was changed after test was opened (polychromic.data.seal).
    """
    from polychromic.sample.prompts import prompts_of

    groups = tasks(params, domains)
    for domain in domains:
        prompts_of(params, domain, "test")  # asks the seal before anything is trained
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for what, group in groups.items():
            with progress(what, len(group)) as tick:
                tick(0)
                running = [pool.submit(_run, params, task) for task in group]
                try:
                    for done, finished in enumerate(as_completed(running), start=1):
                        finished.result()
                        tick(done)
                except BaseException:  # Ctrl-C, too: what was not begun must not run on
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise


def _run(params: Params, task: Task) -> None:
    from polychromic.sample.cells import Workbench, sample_cell, sample_seed
    from polychromic.sample.prompts import prompts_of
    from polychromic.score import score as scoring

    domain, cell = task.domain, task.cell
    if task.kind == "score":
        scoring.score(params, domain, "test")
    elif task.kind == "ask":
        records = {record.id: record for record in prompts_of(params, domain, "test")}
        mine = dict(list(records.items())[task.number :: PARTS])
        rows = [row for _, _, rows in scoring.sampled(params, domain, "test", records) for row in rows if row["id"] in mine]
        scoring.ask_models(params.on(domain, "test"), scoring.given(params, domain)[0], mine, rows)
    elif task.kind == "write":
        sample_cell(params, domain, "test", cell, paths.cell_dir(domain, "test", cell.name))
    else:
        bench = Workbench(params.on(domain, "test"), domain, cell, validate=False)
        if task.kind == "train":
            bench.train(task.number)
        else:
            sample_seed(bench, task.number, "test", prompts_of(params, domain, "test"))
