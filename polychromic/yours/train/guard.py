"""A quality or similarity function of the user's, called so that whatever it does has one clear outcome.

It may raise or leave (an error that names the place in its file), return another shape, NaN or a number outside of [0, 1] (an error that
shows what came), take long (a limit, and what that makes of training is said before), print (into a file, since standard output is data),
or change the row (it gets a copy).
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import io
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import sha256_file
from polychromic.method.sets import checked

SECONDS = 60.0  # that one call may take
SHOWN = 80  # characters of a prompt in a message
AGAIN = "Correct it and run the same command again: what was trained so far is kept"
RETURNS = {1: "N numbers in [0, 1], one for each reply", 2: "N x N numbers in [0, 1], 1 on the diagonal"}


class TooLong(BaseException):  # noqa: N818 - no Exception, which a function of the user's may catch
    """Raised inside a call that took longer than it may."""


class Guard:
    """A function of (row, N replies), as polychromic.method.sets.checked wants it.

    Args:
        name: how the user called it. ndim: 1 for quality, 2 for similarity.
        seconds: a call may take, as far as Python can be interrupted (in the main thread, between two of its own instructions).
        printed: the file that gets what the function prints; None: it is dropped.

    Attributes: calls, replies and spent: how often it was asked, about how many replies, and seconds that took; lines: printed.
    """

    def __init__(self, function: Callable, name: str, ndim: int = 1, seconds: float = SECONDS, printed: Path | None = None):
        self.function, self.name, self.ndim, self.seconds, self.printed = function, name, ndim, seconds, printed
        self.calls = self.replies = self.lines = 0
        self.spent = 0.0
        self.__qualname__ = name

    @property
    def what(self) -> str:
        return f"{'--quality' if self.ndim == 1 else '--similarity'} {self.name}"

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> np.ndarray:
        """(N,) or (N, N) float64. Raises PolychromicError for all that the head of this module says."""
        caught, started = io.StringIO(), time.monotonic()
        asked = _shown(row)
        try:
            with contextlib.redirect_stdout(caught), time_limit(self.seconds):
                return checked(self._plain, row, replies, self.ndim)
        except TooLong:
            problem = f"took longer than {self.seconds:g} s for {len(replies)} replies"
            raise PolychromicError(
                f"{self.what} {problem}; prompt: {asked}. Allowed: less. Make it faster, or raise --quality-seconds."
            ) from None
        except ReturnedError as error:
            raise PolychromicError(f"{self.what} {error}; prompt: {asked}. Allowed: {RETURNS[self.ndim]}. {AGAIN}.") from None
        except ValueError as error:  # of `checked`
            problem = str(error).removeprefix(f"{self._plain.__qualname__} ").rstrip(".")
            raise PolychromicError(f"{self.what} {problem}; prompt: {asked}. Allowed: {RETURNS[self.ndim]}. {AGAIN}.") from None
        finally:
            self.calls, self.replies, self.spent = self.calls + 1, self.replies + len(replies), self.spent + time.monotonic() - started
            if text := caught.getvalue():
                self._keep(text)

    def _plain(self, row: dict[str, Any], replies: Sequence[str]) -> np.ndarray:
        try:
            found = self.function(copy.deepcopy(row), list(replies))
        except PolychromicError:
            raise
        except (Exception, SystemExit) as error:
            raise ReturnedError(raised(error)) from error
        if hasattr(found, "detach"):  # a tensor
            found = found.detach().cpu().float().numpy()
        try:
            return np.asarray(found, dtype=float)
        except (TypeError, ValueError):
            raise ReturnedError(f"returned {type(found).__name__} {repr(found)[:80]}, which is no array of numbers") from None

    def _keep(self, text: str) -> None:
        first, self.lines = not self.lines, self.lines + max(1, text.count("\n"))
        if self.printed is not None:
            self.printed.parent.mkdir(parents=True, exist_ok=True)
            with self.printed.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        if first:
            where = f"stands in {self.printed}" if self.printed else "is dropped"
            print(f"note: {self.what} prints; what it prints {where}", file=sys.stderr, flush=True)


def _shown(row: dict[str, Any]) -> str:
    """The prompt in a message: of a chat what was said last before the reply."""
    prompt = row.get("prompt", row.get("messages"))
    said = [one.get("content") for one in prompt if isinstance(one, dict) and one.get("role") == "user"] if isinstance(prompt, list) else []
    text = repr(said[-1] if said else prompt)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


class ReturnedError(Exception):
    """A function of the user's raised, or tried to leave; the text says what and where."""


def raised(error: BaseException) -> str:
    """Type, text and the deepest place outside of this module."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    kind = "tried to end the program" if isinstance(error, SystemExit) else f"raised {type(error).__name__}"
    return f"{kind}: {' '.join(str(error).split())[:200] or 'no message'}{where}"


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TooLong in the block when it takes longer; no limit outside of the main thread, and where the system has no timers."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    rest, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, rest)
        signal.signal(signal.SIGALRM, before)


def load_function(spec: str, option: str) -> tuple[Callable, str]:
    """A function that the user names as module:function or file.py:function, and what tells one version of it from another.

    Modules are looked for in the folder of the command, too. Raises UsageError: no such file, module or function; it does not import.
    """
    place, colon, name = spec.rpartition(":")
    form = "module:function or file.py:function"
    if not colon or not place or not name:
        raise UsageError(
            f"{option} {spec!r}: neither a name of ours nor a function. Allowed: {form}, or one that `polychromic train --help` names."
        )
    try:
        if place.endswith(".py"):
            if not Path(place).is_file():
                raise UsageError(f"{option} {spec}: {place} is no file. Allowed: {form}. Check the path.")
            about = importlib.util.spec_from_file_location(f"polychromic_user_{Path(place).stem}", place)
            module = importlib.util.module_from_spec(about)
            sys.modules[about.name] = module  # dataclasses of the file look themselves up there
            with contextlib.redirect_stdout(sys.stderr):
                about.loader.exec_module(module)
        else:
            if "" not in sys.path and str(Path.cwd()) not in sys.path:
                sys.path.insert(0, str(Path.cwd()))
            with contextlib.redirect_stdout(sys.stderr):
                module = importlib.import_module(place)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{option} {spec}: {place} does not import ({raised(error)}). Allowed: {form}. Correct it, or the name.") from None
    function = getattr(module, name, None)
    if not callable(function):
        known = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_")) or "none"
        raise UsageError(f"{option} {spec}: {place} has no function {name!r}. Allowed: one of its functions ({known}). Correct the name.")
    file = getattr(module, "__file__", None)
    return function, sha256_file(file) if file and Path(file).is_file() else place
