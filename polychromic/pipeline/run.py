"""Run the pipeline's stages on several cores: DVC itself runs one stage at a time, and our cells use one thread each.

Each stage is a `dvc repro --single-item` of its own, started as soon as the stages it depends on are done. What is
up to date is skipped by DVC unless everything is forced.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import networkx as nx

from polychromic.base.errors import PolychromicError
from polychromic.base.progress import progress

LOCKED = ("is busy, it is being blocked by", "Unable to acquire lock")
RETRIES = 60


def stage_graph() -> nx.DiGraph:
    """Stage addresses of dvc.yaml, with an edge from each stage to the stages it depends on."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        graph = nx.DiGraph()
        for stage in repo.index.stages:
            if stage.cmd is not None:  # data.dvc has none: nothing to run
                upstream = [other.addressing for other in repo.index.graph.successors(stage) if other.cmd is not None]
                graph.add_node(stage.addressing)
                graph.add_edges_from((stage.addressing, other) for other in upstream)
        return graph


def foreseen(jobs: int) -> str:
    """What `reproduce` takes from an empty cache, in words for its start; says so where too little was ever timed."""
    from polychromic.provenance.cost import whole
    from polychromic.provenance.state import State

    found = whole(State(Path(".")))
    cells = "cell" if found.unknown == 1 else "cells"
    rest = f" {found.unknown} {cells} that never ran or that nobody timed: not in it." if found.unknown else ""
    if not found.device:
        return f"How long this takes is not known: no timings in benchmarks/results/ are of cells that have run.{rest}"
    hours = (found.dev + found.test) / jobs
    return (
        f"From an empty cache about {hours:.1f} hours for training and sampling, {jobs} at a time (of one core: dev {found.dev:.1f} hours, "
        f"test {found.test:.1f}), by timings on {found.device}; scores, reports and the PDF come on top. What is up to date takes nothing "
        f"unless it is forced.{rest}"
    )


def run_stage(stage: str, force: bool) -> None:
    """`dvc repro --single-item stage`, waiting while another dvc holds a lock. Raises PolychromicError with its last lines."""
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", *(["--force"] if force else []), stage]
    for _ in range(RETRIES):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            return
        if not any(sign in done.stdout for sign in LOCKED):
            break
        time.sleep(1)
    raise PolychromicError(f"stage {stage} failed; its last lines:\n" + "\n".join(done.stdout.splitlines()[-15:]))


def reproduce(jobs: int, force: bool) -> dict[str, float]:
    """Run all stages, `jobs` at a time. Returns minutes per stage, in the order in which they ended.

    Raises:
        PolychromicError: a stage failed; those that were running are waited for.
    """
    graph = stage_graph()
    waiting, minutes = set(graph), {}
    running: dict[Future, tuple[str, float]] = {}
    with ThreadPoolExecutor(jobs) as pool, progress("stages", len(graph)) as tick:
        while waiting or running:
            ready = sorted(stage for stage in waiting if all(up in minutes for up in graph.successors(stage)))
            for stage in ready[: jobs - len(running)]:
                waiting.discard(stage)
                running[pool.submit(run_stage, stage, force)] = (stage, time.monotonic())
                print(f"started {stage}", file=sys.stderr, flush=True)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                stage, started = running.pop(future)
                future.result()
                minutes[stage] = round((time.monotonic() - started) / 60, 1)
                tick(len(minutes))
    return minutes
