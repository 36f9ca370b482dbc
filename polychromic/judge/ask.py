"""Make the calls that the store does not hold: in batches or one by one, within a budget, so that a kill costs nothing but what is in
flight. A batch's id is on the disk before it is waited for, and one whose id was not yet written is found again by what it answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, sha256_json, write_json
from polychromic.base.progress import Ticker, progress
from polychromic.judge import cost
from polychromic.judge.models import Price, table
from polychromic.judge.providers import Batching, Provider
from polychromic.judge.store import Reply, Store, record

Request = Mapping[str, Any]
IN_A_ROW = 3  # direct calls that fail one after the other, and the rest would, too
FIRST_POLL, LONGEST_POLL = 0.5, 60.0  # seconds between two looks at a batch; each wait is half as long again as the one before
CLOCKS = timedelta(minutes=10)  # how far this machine's clock and the service's may differ


class Done(NamedTuple):
    """asked: calls made now. stopped: why some were not, "" where none is left."""

    asked: int
    stopped: str = ""


class Run:
    """Calls of one judge.

    Args:
        budget: dollars that all calls of the judge in the store may have cost together. Before a call, or a batch, is sent, it is reckoned
            at its high estimate: what would not fit is not sent.
        jobs: direct calls at once. again: whether what failed (and said nothing) is asked anew.
    """

    def __init__(
        self, provider: Provider, store: Store, price: Price, budget: float, jobs: int = 4, again: bool = False,
        say: Callable[[str], None] = print,
    ):  # fmt: skip
        self._provider, self._store, self._price, self._budget = provider, store, price, budget
        self._jobs, self._again, self._say = jobs, again, say

    @property
    def left(self) -> float:
        """Dollars of the budget."""
        return self._budget - cost.spent(self._store, self._provider.name, self._provider.model)

    def direct(self, requests: Sequence[Request], what: str = "judge") -> Done:
        """One call after the other, `jobs` at a time. Raises PolychromicError: the service cannot be used, or fails again and again."""
        with progress(what, len(requests)) as tick, ThreadPoolExecutor(self._jobs) as pool:
            asked, failed = self._collect_pending(tick), 0
            missing = self._missing(requests)
            while missing:
                wave = self._affordable(missing[: self._jobs], batch=False)
                if not wave:
                    return Done(asked, self._over(len(missing)))
                replies = [pool.submit(self._provider.ask, one) for one in wave]
                raised = None
                for one, future in zip(wave, replies, strict=True):  # those that came back are kept, whatever the others met
                    if error := future.exception():
                        raised = raised or error
                        continue
                    reply, asked = future.result(), asked + 1
                    self._keep([(one, reply)], batch=False)
                    failed = failed + 1 if reply.error else 0
                if raised:
                    raise raised
                missing = missing[len(wave) :]
                if failed >= IN_A_ROW and missing:
                    last = future.result().error
                    advice = "Wait, then run the same command with --again, which asks anew what failed"
                    raise PolychromicError(f"{failed} calls failed one after the other, the last with {last!r}. {advice}.")
                tick(len(requests) - len(missing))
        return Done(asked)

    def batches(self, requests: Sequence[Request], what: str = "judge") -> Done:
        """As few batches as budget and service allow, one after the other. Raises PolychromicError: the service cannot be used."""
        if not isinstance(self._provider, Batching):
            return self.direct(requests, what)
        with progress(what, len(requests)) as tick:
            asked = self._collect_pending(tick)
            todo = self._missing(requests)
            while todo:
                chosen = self._affordable(todo, batch=True)
                if not chosen:
                    return Done(asked, self._over(len(todo)))
                pending = {"id": None, "requests": {sha256_json(one): one for one in chosen}, "since": datetime.now(UTC).isoformat()}
                pending |= {"provider": self._provider.name, "model": self._provider.model}
                self._remember(pending)
                pending["id"] = self._provider.submit(pending["requests"])
                self._remember(pending)
                asked += self._collect(pending, tick)
                todo = todo[len(chosen) :]
                tick(len(requests) - len(todo))
        return Done(asked)

    def _missing(self, requests: Sequence[Request]) -> list[Request]:
        """What the store does not hold or, where it was asked for, holds as a failure."""
        held = lambda key: key in self._store and not (self._again and self._store[key]["reply"].get("error"))
        return [one for one in requests if not held(sha256_json(one))]

    def _affordable(self, requests: Sequence[Request], batch: bool) -> list[Request]:
        """The first ones that the rest of the budget holds at their high estimate, and a batch takes."""
        limits, left, chosen, room = table()["batches"], self.left, [], 0
        for one in requests[: limits["requests"]]:
            left -= cost.estimate([one], self._price, batch).dollars[-1]
            room += 2 * cost.size(one)  # bytes as JSON, which escapes some
            if left < 0 or batch and room > limits["bytes"]:
                break
            chosen.append(one)
        return chosen

    def _over(self, missing: int) -> str:
        return (
            f"the budget of ${self._budget:.2f} has no room for the next call: ${self._budget - self.left:.4f} are spent, {missing:,} "
            "calls are not made. Raise --budget and run the same command: it goes on"
        )

    def _keep(self, found: Sequence[tuple[Request, Reply]], batch: bool) -> None:
        rows = [record(one, reply, self._price.dollars(reply.usage, batch), batch) for one, reply in found]
        self._store.extend(rows, self._provider.secret)

    def _collect_pending(self, tick: Ticker) -> int:
        """What earlier runs sent in batches and did not collect: it is paid for."""
        return sum(self._collect(pending, tick) for pending in self._pending()) if isinstance(self._provider, Batching) else 0

    def _collect(self, pending: dict, tick: Ticker) -> int:
        """Wait for a batch and keep its replies; the number of new ones. What it holds no result of is recorded as such."""
        requests, wait = pending["requests"], FIRST_POLL
        try:
            while not (state := self._provider.state(pending["id"]))[0]:
                tick(state[1])
                time.sleep(wait)
                wait = min(wait * 1.5, LONGEST_POLL)
            found = {key: reply for key, reply in self._provider.results(pending["id"]) if key in requests}
        except PolychromicError as error:
            where = f" Batch {pending['id']} stays noted in {self._file}; delete that file to give it up." if self._file else ""
            raise PolychromicError(f"{error}{where}") from None
        found = {key: Reply(error="no result in the batch") for key in requests} | found
        # An earlier run may have kept some before it was killed.
        new = [(requests[key], reply) for key, reply in found.items() if key not in self._store or self._store[key]["reply"].get("error")]
        self._keep(new, batch=True)
        self._remember(pending, over=True)
        return len(new)

    @property
    def _file(self) -> Path | None:
        """Of batches that are not collected yet, beside the store."""
        return self._store.path and self._store.path.with_suffix(".batches.json")

    def _listed(self) -> list[dict]:
        return read_json(self._file) if self._file and self._file.is_file() else []

    def _remember(self, pending: dict, over: bool = False) -> None:
        if self._file is None:
            return
        rest = [one for one in self._listed() if one["since"] != pending["since"]] + ([] if over else [pending])
        if rest:
            write_json(self._file, rest)
        else:
            self._file.unlink(missing_ok=True)

    def _pending(self) -> list[dict]:
        """Batches of this judge that an earlier run sent and did not collect, those whose id it could not write included."""
        found = [one for one in self._listed() if (one["provider"], one["model"]) == (self._provider.name, self._provider.model)]
        for one in found:
            if one["id"] is None:
                one["id"] = self._find(one)
                self._remember(one, over=one["id"] is None)
        return [one for one in found if one["id"]]

    def _find(self, pending: dict) -> str | None:
        """The batch that holds these requests, by its size and its results; None: it never reached the service."""
        taken = {one["id"] for one in self._listed()}
        for batch, size in self._provider.since(datetime.fromisoformat(pending["since"]) - CLOCKS):
            if batch in taken or size != len(pending["requests"]):
                continue
            self._say(f"batch {batch} may be one that an earlier run sent: waiting for it")
            while not self._provider.state(batch)[0]:
                time.sleep(FIRST_POLL)
            if any(key in pending["requests"] for key, _ in self._provider.results(batch)):
                return batch
        return None
