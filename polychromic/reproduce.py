"""Run the pipeline's stages on several cores: DVC itself runs one stage at a time, and our cells use one thread each.

Each stage is a `dvc repro --single-item` of its own, started as soon as the stages it depends on are done. What is
up to date is skipped by DVC unless everything is forced.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import networkx as nx

from polychromic.errors import PolychromicError
from polychromic.progress import progress

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
