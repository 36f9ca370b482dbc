"""Files on their way: each is written in a folder of its own beside its place, which Git does not see, and renamed when it is whole.

Such a folder holds a .gitignore of everything, and a lock (flock) while its process lives. What a kill left is unlocked: whoever
writes there next clears it. Files are created 0666, which the process's umask narrows, as with any other program.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

DRAFT = ".polychromic-"  # how the folder of a draft begins


class Draft:
    """A file that will replace `target`. Raises OSError, which names the target, where that is a folder or cannot be made."""

    def __init__(self, target: Path):
        self.target, parent = target, target.parent
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        self._made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
        parent.mkdir(parents=True, exist_ok=True)
        _clear(parent)
        try:
            self._folder, self._lock = _locked_folder(parent)
        except OSError as error:
            self._forget_parents()
            raise _named(error, target) from error
        self.file = self._folder / "new"

    @contextmanager
    def written(self) -> Iterator[IO[bytes]]:
        """The open file; on the disk once the block has ended."""
        try:
            with self.file.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            ours = error.filename is None or str(error.filename).startswith(str(self._folder))
            raise (_named(error, self.target) if ours else error) from error

    def keep_old(self) -> None:
        """Another name for what stands at the target now, for `publish` to be taken back."""
        if os.path.lexists(self.target):
            try:
                os.link(self.target, self._folder / "old", follow_symlinks=False)
            except OSError:  # a file system without hard links
                shutil.copy2(self.target, self._folder / "old", follow_symlinks=False)

    def publish(self) -> None:
        try:
            os.replace(self.file, self.target)
        except OSError as error:
            raise _named(error, self.target) from error
        self._made = []

    def take_back(self) -> None:
        """As before `publish`; nothing where that was not reached."""
        if self.file.exists():
            return
        if os.path.lexists(self._folder / "old"):
            os.replace(self._folder / "old", self.target)
        else:
            self.target.unlink(missing_ok=True)

    def close(self, given_up: bool) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)
        if given_up:
            self._forget_parents()

    def _forget_parents(self) -> None:
        with suppress(OSError):  # others may have put something there
            for folder in self._made:
                folder.rmdir()


_drafts: ContextVar[dict[Path, Draft] | None] = ContextVar("drafts", default=None)


@contextmanager
def together() -> Iterator[None]:
    """What `written` writes in the block appears at its end: all of it or, where anything fails, nothing. Within another such block
    it is a part of that one.

    Files are renamed one after the other, in the order in which they were written: a kill in the milliseconds between leaves whole
    files, the last of which, by custom the document that names the others, is the old one or not there.
    """
    if _drafts.get() is not None:
        yield
        return
    drafts: dict[Path, Draft] = {}
    token, given_up = _drafts.set(drafts), True
    try:
        yield
        _publish(list(drafts.values()))
        given_up = False
    finally:
        _drafts.reset(token)
        for draft in reversed(drafts.values()):
            draft.close(given_up)


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """Open what will be `path`. The file appears, or replaces the one that is there, when the block has ended well, and the block of
    `together` around it where there is one."""
    with together():
        drafts, draft = _drafts.get(), Draft(path)
        try:
            with draft.written() as file:
                yield file
        except BaseException:
            draft.close(given_up=True)
            raise
        if before := drafts.pop(path, None):
            before.close(given_up=False)
        drafts[path] = draft


def _publish(drafts: list[Draft]) -> None:
    begun: list[Draft] = []
    try:
        for draft in drafts:
            if len(drafts) > 1:
                draft.keep_old()
            begun.append(draft)
            draft.publish()
    except BaseException:
        for draft in reversed(begun):
            draft.take_back()
        raise


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """A new folder in `parent` that Git ignores, and the descriptor whose lock says that it is in use."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=DRAFT, dir=parent))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # a file system without locks: nobody can tell a draft that is left from one in use, and all stay
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            folder.joinpath(".gitignore").write_text("*\n")
            return folder, lock
        except FileNotFoundError:  # `_clear` of another process took it before it was locked
            os.close(lock)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            raise


def _clear(parent: Path) -> None:
    """Remove the drafts that a kill left in a folder."""
    with os.scandir(parent) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(DRAFT) and entry.is_dir(follow_symlinks=False)]
    for folder in left:
        with suppress(OSError):  # in use, of another user, or just gone
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _named(error: OSError, target: Path) -> OSError:
    """The error, about the file that the user knows."""
    if error.errno is None:  # numpy's, whose text says how much of an array was written
        return OSError(errno.EIO, str(error), str(target))
    return OSError(error.errno, error.strerror, str(target))
