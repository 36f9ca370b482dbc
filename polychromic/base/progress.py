"""Progress on stderr: a Rich bar in a terminal, else a plain line every 10 %."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from polychromic.base import processes
from polychromic.base.visible import Terminal

Ticker = Callable[[int], None]  # is told how many of the total are done


@contextmanager
def progress(what: str, total: int) -> Iterator[Ticker]:
    """Yield a function that is called with the number done so far. A process of several shows nothing: one bar of their parent, or of the
    first of them, tells."""
    if multiprocessing.parent_process() or not processes.first():
        yield lambda done: None
        return
    console = Terminal(stderr=True)
    if console.is_terminal:
        times = TimeElapsedColumn(), TimeRemainingColumn()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), *times)
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    started, last = time.monotonic(), -1

    def tick(done: int) -> None:
        nonlocal last
        tenth = done * 10 // max(total, 1)
        if tenth > last:
            last = tenth
            elapsed = time.monotonic() - started
            remaining = f", {elapsed / done * (total - done):.0f} s left" if done else ""
            print(f"{what}: {done} of {total}, {elapsed:.0f} s{remaining}", file=sys.stderr, flush=True)

    yield tick
