"""The stages that open test, in several processes: what a rented GPU is asked to do at once.

A small model waits for its processor, not for the GPU, so several processes share one. What is written is what the stages write;
`dvc repro` then finds adapters, drafts and likelihoods in the cache and records it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from polychromic.base.errors import UsageError
from polychromic.base.progress import progress
from polychromic.data.seal import check_sealed
from polychromic.params import Adapter, Params

PARTS = 16  # of a domain's prompts, whose replies are shown to a model in one task


class Task(NamedTuple):
    """kind: one of KINDS. number: the seed, or the part of the prompts; 0 where there is neither."""

    kind: str
    domain: str
    system: str = ""
    number: int = 0


KINDS = ("train", "draw", "write", "ask", "score")


def tasks(params: Params, domains: Sequence[str]) -> dict[str, list[Task]]:
    """By kind, in the order in which they run: each adapter once, the longest first; drafts as their adapters will be there."""
    work: dict[Adapter, float] = {}
    train: dict[Adapter, Task] = {}
    draw: list[tuple[Adapter | None, Task]] = []
    for domain in domains:
        plan = params.test_plan(domain)
        for name, system in plan.systems.items():
            method, seeds = params.methods[name], plan.seeds[: system.seeds]
            for seed, run in zip_longest(seeds, params.adapters(domain, name)):
                if run is not None:
                    work[run] = params.domain(domain).steps * method.budget * (1 if method.objective == "none" else 2)
                    train.setdefault(run, Task("train", domain, name, seed))
                draw.append((run, Task("draw", domain, name, seed)))
    longest = sorted(train, key=lambda run: -work[run])
    ready = sorted(draw, key=lambda one: longest.index(one[0]) if one[0] in train else -1)
    return {
        "train": [train[run] for run in longest],
        "draw": [task for _, task in ready],
        "write": [Task("write", domain, name) for domain in domains for name in params.test_plan(domain).systems],
        "ask": [Task("ask", domain, number=part) for domain in domains for part in range(PARTS)],
        "score": [Task("score", domain) for domain in domains],
    }


def open_test(params: Params, domains: Sequence[str], jobs: int) -> None:
    """Sample and score test for every declared system of the domains, in `jobs` processes. A run that was killed goes on where it was.

    Raises:
        UsageError: a domain without a plan, or no process to run in.
        PolychromicError: `analysis:` is not committed as it stands, or was changed after test was opened (polychromic.data.seal).
    """
    if jobs < 1:
        raise UsageError(f"--jobs is {jobs}. Allowed: 1 or more; each process takes 2 to 4 GB.")
    groups = tasks(params, domains)
    check_sealed(Path())
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_one_bar) as pool:
        for what in KINDS:
            with progress(what, len(groups[what])) as tick:
                tick(0)
                running = [pool.submit(_run, params, task) for task in groups[what]]
                try:
                    for done, finished in enumerate(as_completed(running), start=1):
                        finished.result()
                        tick(done)
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise


def _one_bar() -> None:
    """This process shows no progress of its own: one bar tells of all."""
    from polychromic.sample import draw as sampling
    from polychromic.score import probes
    from polychromic.score import score as scoring
    from polychromic.train import adapter as run

    @contextmanager
    def silent(what: str, total: int):  # noqa: ANN202
        yield lambda done: None

    for module in (probes, sampling, scoring, run):
        module.progress = silent


def _run(params: Params, task: Task) -> None:
    from polychromic.sample import opening
    from polychromic.sample.cells import Workbench, sample_seed

    if task.kind == "write":
        opening.sample_test(params, task.domain, task.system)
    elif task.kind == "ask":
        opening.ask_about_test(params, task.domain, task.number, PARTS)
    elif task.kind == "score":
        opening.score_test(params, task.domain)
    else:
        system = params.test_plan(task.domain).systems[task.system]
        bench = Workbench(params.for_test(task.domain), task.domain, task.system, system.lam, validate=False)
        if task.kind == "train":
            bench.train(task.number)
        else:
            records = opening.opened_prompts(params, task.domain, bench.splits["test"])
            sample_seed(bench, task.number, "test", records, system.temperatures)
