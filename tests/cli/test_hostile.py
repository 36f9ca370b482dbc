"""Bad inputs, generated per command and per kind: one message that says what was got, where, and what is allowed; no traceback, no file
changed, no waiting. A kind of thing is put where a command expects a file, a folder to write, a number or a line."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# What is imported while the test is an ordinary user, who may not see the interpreter, is imported here.
import polychromic.data.curate
import polychromic.train.adapter
import polychromic.yours.collect.run
import polychromic.yours.curate.run
import polychromic.yours.evaluate.draw
import polychromic.yours.evaluate.output
import polychromic.yours.review.results  # noqa: F401
from polychromic.base.io import write_json, write_jsonl
from tests.workspace import KINDS, listqa_record, small_values, write_listqa, write_params
from tests.yours.review.bench import candidate, passed, write_candidates

NOBODY = 65534
SECONDS = 5.0
DIGITS = "9" * 5000
GOOD = {"id": "a", "prompt": "Name a colour.", "samples": ["red", "blue"], "valid": ["red"]}
LINE, YAML_TEXT = json.dumps(GOOD), "system: Answer.\nask: '{prompt}'\n"


def deep(pair: str, count: int) -> str:
    return pair[0] * count + pair[1] * count


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(path.parent)  # the address has 108 characters
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


# Kind -> what is put in the place of a file, whatever should be in it.
THINGS = {
    "missing": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "fifo": fifo,
    "socket": bound_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "unreadable": lambda path: (path.write_text(LINE), path.chmod(0)),
    "empty": lambda path: path.write_bytes(b""),
    "latin": lambda path: path.write_bytes(b'{"id": "\xe9"}'),
    "half gzip": lambda path: path.write_bytes(gzip.compress(LINE.encode() * 99)[:-12]),
}
# Kind -> the text of a file, where a line should be a JSON object of Python's own or of the command's columns.
LINES = {
    "text": "hello", "list": "[1]", "number": "3", "deep list": f'{{"id": {deep("[]", 3000)}}}', "deeper": deep("[]", 100_000),
    "deep object": '{"a":' * 3000 + "1" + "}" * 3000, "just too deep": f'{{"id": {deep("[]", 101)}}}', "digits": f'{{"id": {DIGITS}}}',
    "half": '{"id": "a"', "twice": '{"id": "a"} {"id": "b"}', "mark": "\ufeff{}", "nothing of it": '{"x": 1}', "null": "null",
}  # fmt: skip
YAMLS = {
    "text": "hello", "list": "- a", "deep": deep("[]", 3000), "deep dashes": "- " * 3000 + "x",
    "deep lines": "\n".join(" " * i + "a:" for i in range(300)),
    "digits": f"lambda: {DIGITS}", "hexadecimal": f"lambda: 0x{'f' * 9000}", "no date": "lambda: 2024-02-30", "own alias": "a: &a [*a]",
    "laughs": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)), "doubled": "a: 1\na: 2",
    "tag": "a: !!python/name:os.system x",
    "open": "a: [", "nan": "lambda: .nan\nsystem: .inf", "control": "a: \x00", "key": "? [a, b]\n: c", "null": "~",
}  # fmt: skip
# Line for evaluate and its kin -> what is wrong with it, where a good line of another system comes before.
ROWS = {
    "temperature 10**400": {"temperature": 10**400}, "temperature -10**400": {"temperature": -(10**400)},
    "temperature text": {"temperature": "hot"},
    "NaN column": {"other": float("nan")}, "infinite column": {"other": [float("inf")]}, "surrogate column": {"other": "\ud800"},
    "surrogate key": {"\udfff": 1}, "surrogate reply": {"samples": ["\ud800", "b"]}, "line feed": {"system": "a\nb"},
    "escape": {"system": "a\x1b[2J"},
    "c1": {"system": "a\x9b2J"}, "long system": {"system": "x" * 5000}, "empty system": {"system": " "}, "samples text": {"samples": "red"},
    "no samples": {"samples": []}, "samples numbers": {"samples": [1, 2]}, "valid mixed": {"valid": [True, "a"]},
    "valid number": {"valid": 1},
    "references null": {"references": [None]},
    "seed real": {"seed": 0.5}, "seed text": {"seed": "0"}, "id number": {"id": 1}, "id empty": {"id": ""},
    "prompt list": {"prompt": ["a"]}, "another count": {"id": "b", "samples": ["red"]},
}  # fmt: skip
NUMBERS = ("", "abc", "-1", "1e12", "nan", "1e400", DIGITS, "1_", "\x1b[31m", "\udcff")

READ = {  # slot -> (what is read there, command line); {} stands for the file
    "samples": (LINES, "evaluate --no-encoder --samples {}.jsonl --out new"),
    "data": (LINES, "evaluate --base base --data {}.jsonl --out new"),
    "few-shot": (LINES, "evaluate --base base --data good.jsonl --few-shot {}.jsonl --out new"),
    "compare": (LINES, "compare-files good.jsonl {}.jsonl --no-encoder --out new"),
    "read": (LINES, "samples {}.jsonl"),
    "collect": (LINES, "collect file {}.jsonl --out new --keep-authors"),
    "curate": (LINES, "curate {}.jsonl --out new"),
    "log": (LINES, "agreement mine {}.jsonl mine/review-ben.jsonl"),
    "records": (LINES, "split listqa"),
    "candidates": (LINES, "review-export mine --reviewer anna --out new"),
    "splits": (LINES, "train listqa lora --seed 0 --out new"),
    "rows": (LINES, "train --data {}.jsonl --base base --out new"),
    "dev rows": (LINES, "train --data rows.jsonl --dev {}.jsonl --base base --out new"),
    "list of rows": (LINES, "train --data {}.json --base base --out new"),
    "prompts": (LINES, "draw --prompts {}.jsonl --base base --out new.jsonl"),
    "lines of prompts": ({}, "draw --prompts {}.txt --base base --out new.jsonl"),
    "schema": (LINES, "train --data rows.jsonl --quality json:{}.json --base base --out new"),
    "rules": (YAMLS, "curate raw.jsonl --rules {}.yaml --out new"),
    "prompt": (YAMLS, "evaluate --base base --data good.jsonl --prompt ./{}.yaml --out new"),
    "params": (YAMLS, "split listqa"),
    "params of train": (YAMLS, "train listqa lora --seed 0 --out new --params {}.yaml"),
    "params of doctor": (YAMLS, "doctor --params {}.yaml"),
}
PLACES = {"records": "data/listqa.jsonl", "candidates": "mine/candidates.jsonl", "splits": "results/listqa/split.json"}
PLACES |= {"params": "params.yaml"}
WRITE = {
    "evaluate": "evaluate --no-encoder --samples good.jsonl --out {}",
    "draw": "evaluate --base base --data good.jsonl --out {}",
    "compare": "compare-files good.jsonl best.jsonl --no-encoder --out {}",
    "collect": "collect file raw.jsonl --keep-authors --out {}",
    "curate": "curate raw.jsonl --out {}",
    "export": "review-export mine --reviewer anna --out {}",
    "rebuild": "rebuild-data --out {}",
    "train": "train listqa lora --seed 0 --out {}",
    "train on rows": "train --data rows.jsonl --base base --out {}",
    "drafts": "draw --prompts good.jsonl --base base --out {}/new.jsonl",
    "sample": "sample listqa lora --split dev --out {}",
}
OUTS = {
    "file": "good.jsonl", "in a file": "good.jsonl/new", "long": "x" * 300, "long within": f"new/{'x' * 300}/y", "loop": "loop",
    "in a loop": "loop/new",
    "fifo": "pipe", "read-only": "closed/new", "dangling in read-only": "closed",
}  # fmt: skip
OPTIONS = {
    "evaluate --no-encoder --samples good.jsonl": ("--bootstrap", "--seed", "--k"),
    "evaluate --base base --data good.jsonl --out new": ("--n", "--temperature", "--min-p", "--max-new-tokens", "--max-examples"),
    "collect file raw.jsonl --out new": ("--page-size", "--max-items", "--author-cap"),
    "samples good.jsonl": ("--limit",),
    "train listqa polychromic --out new": ("--seed", "--lam"),
    "train --data rows.jsonl --base base --out new": ("--seed", "--n", "--steps", "--learning-rate", "--warm-up", "--good"),
    "draw --prompts good.jsonl --base base": ("-k", "--pool", "--temperature", "--min-p", "--max-new-tokens", "--seed"),
    "open-test listqa": ("--jobs",),
    "audit --plan": ("--cells",),
}
WORDS = {  # command lines that ask for what there is not
    f"evaluate --no-encoder --samples good.jsonl --out new --metrics {word}": repr(word)[1:-1][:20]
    for word in (",", ",,", "nothing", "pass@", "pass@0", f"pass@{'9' * 400}", "pass@1e3", "pass@3", "cover@0", "cover@7", "\x1b[31m",
                 "chrf", "vendi", "=1+1")
} | {
    f"evaluate --base base --data good.jsonl --out new --n 4 {word}": where
    for word, where in {"--metrics pass@9": "pass@9", "--metrics chrf": "chrf", "--k 5": "--k", "--metrics distinct@5": "distinct@5",
                        "--metrics ,": "--metrics"}.items()
} | {
    f"collect apify DATA --out new --base-url {url}": "--base-url"
    for url in ("http://[::1", "https://x:99999", "https://x:port", "ftp://x", "https://", "nothing", "https://a\x1b[2J", "https://u:w@x",
                "http://example.com")
} | {
    "compare-files good.jsonl": "good", "compare-files good.jsonl good.jsonl": "good", "samples good.jsonl --find \udcff\x1b[2J": "--find",
    "agreement nowhere a b": "nowhere", "review-export mine --reviewer ../x --out new": "--reviewer",
    "review mine --reviewer \x1b": "--reviewer",
    "compare-files bad-folder good.jsonl": "bad-folder", "compare-files worse-folder good.jsonl": "worse-folder",
    "compare-files worst-folder good.jsonl": "worst-folder", "split \x1b[2J": "domain", "report \x9b2J": "report",
    "split creative": "creative.jsonl:1",
    "train listqa lora --seed 0 --out results/new": "--out", "evaluate --base nowhere --data good.jsonl --out new": "--base",
    "\x1b[2J": "command", "evaluate \x1b[2J": "argument", "evaluate --\x1b[2J": "option",
}  # fmt: skip


def cases() -> Iterator[tuple[str, str, str]]:
    """(what is done to the workspace, the kind, the command line)."""
    for slot, (texts, line) in READ.items():
        for kind in [*THINGS, *texts]:
            yield slot, kind, line
        if "{}" in line:
            yield slot, "long name", line
    readers = "evaluate --no-encoder --samples {}.jsonl --out new", "compare-files good.jsonl {}.jsonl --no-encoder", "samples {}.jsonl"
    for kind in ROWS:
        for command in readers:
            yield "row", kind, command
    for line in WRITE.values():
        for kind in OUTS:
            yield "out", kind, line
    for line, options in OPTIONS.items():
        for option in options:
            for number in NUMBERS:
                yield "option", number, f"{line} {option} {{}}"
    for line in WORDS:
        yield "words", line, line


CASES = list(cases())
SLOW = [[], [pytest.mark.slow]]  # every other one
EVERY_OTHER = [pytest.param(*case, marks=SLOW[place % 2], id=ascii(":".join(case))[1:100]) for place, case in enumerate(CASES)]


@pytest.fixture(scope="module")
def ground() -> Iterator[Path]:
    """A workspace that others may enter: files of replies, posts, candidates and logs, data and params.yaml, and no model."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    folder.chmod(0o755)
    made = folder / "made"
    made.mkdir()
    write_params(made, small_values())
    write_listqa(made)
    write_jsonl(made / "data" / "creative.jsonl", [listqa_record(0).model_dump()])
    ids = [f"listqa-{kind}" for kind in KINDS]
    splits = {"train": ids[:6], "dev": ids[6:10], "test": ids[10:], "calibration": []}
    write_json(made / "results" / "listqa" / "split.json", {"splits": splits})
    write_jsonl(made / "good.jsonl", [GOOD, GOOD | {"id": "b", "prompt": "Name a fruit."}])
    write_jsonl(made / "best.jsonl", [GOOD, GOOD | {"id": "b", "prompt": "Name a fruit.", "samples": ["red", "red"]}])
    write_jsonl(made / "rows.jsonl", [{"prompt": f"Describe thing {n}.", "completion": f"It lies on shelf {n}."} for n in range(5)])
    write_jsonl(made / "raw.jsonl", [{"post": f"What is the use of thing {n}?", "reply": f"you can put it on shelf {n}"} for n in range(5)])
    candidates = write_candidates(made / "mine", *map(candidate, range(6)))
    for reviewer, said in (("anna", "aass"), ("ben", "asaa")):
        passed(candidates, reviewer, said)
    for name, document in {
        "bad": {"systems": [{"replies": "../good.jsonl"}]}, "worse": {"systems": {"replies": 1}}, "worst": [[[]]],
    }.items():  # fmt: skip
        write_json(made / f"{name}-folder" / "evaluation.json", document)
    (made / "base").mkdir()
    (made / "loop").symlink_to("loop")
    os.mkfifo(made / "pipe")
    (made / "closed").mkdir(mode=0o555)
    yield made
    (made / "closed").chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def here(ground, monkeypatch) -> Iterator[Path]:
    folder = ground.with_name("here")
    shutil.copytree(ground, folder, symlinks=True, ignore=lambda _, names: {"pipe"} & set(names))
    folder.chmod(0o777)
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    cache = ground.with_name("cache")
    cache.mkdir(exist_ok=True)
    cache.chmod(0o777)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(cache))
    for name in ("APIFY_TOKEN", "POLYCHROMIC_SALT"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    monkeypatch.undo()
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)
    shutil.rmtree(cache, ignore_errors=True)


@contextlib.contextmanager
def ordinary() -> Iterator[None]:
    """As a user whom permissions bind."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that lies there: files with their bytes."""
    content = lambda path: path.read_bytes() if path.is_file() and not path.is_symlink() else None
    return {str(path.relative_to(folder)): content(path) for path in folder.rglob("*")}


def prepare(folder: Path, slot: str, kind: str, line: str) -> list[str]:
    """Put what the case is about into the workspace; the words of the command line."""
    name = "x" * 250 if kind == "long name" else "odd"
    words = line.split(" ")
    if slot in READ:
        texts = READ[slot][0]
        path = folder / (PLACES.get(slot) or next(word for word in words if "{}" in word).format(name))
        if kind in texts or kind in THINGS:
            path.unlink(missing_ok=True)
        if kind in THINGS:
            THINGS[kind](path)
        elif kind in texts:
            path.write_text(f"{texts[kind]}\n", encoding="utf-8", errors="surrogatepass")
    elif slot == "row":
        rows = [json.dumps(one) for one in (GOOD | {"id": "first"}, GOOD | ROWS[kind])]
        (folder / "odd.jsonl").write_text("\n".join(rows) + "\n")
    elif slot == "out":
        name = OUTS[kind]
    elif slot == "option":
        name = kind
    return [word.format(name) for word in words]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("slot", "kind", "line"), EVERY_OTHER)
def test_a_bad_input_is_one_message_and_changes_nothing(slot, kind, line, here, command):
    words = prepare(here, slot, kind, line)
    before, started = tree(here), time.monotonic()
    with ordinary() if kind in ("unreadable", "read-only", "dangling in read-only") else contextlib.nullcontext():
        code, out, err = command(*words)
    took, said = time.monotonic() - started, " ".join(err.replace("\u2502", " ").split())
    assert code in (1, 2) and "Traceback" not in err, (code, out, err)
    assert said.count("error: ") + said.count("\u256d\u2500 Error") == 1 and "the command stopped" not in said, said
    assert any(word in said for word in ("Allowed: ", "Invalid value", "Missing", "No such", "unexpected extra", "file not found")), said
    assert all(c == "\n" or ord(c) >= 32 and not 127 <= ord(c) < 160 for c in err + out), "nothing that a terminal obeys"
    file = Path(PLACES.get(slot, "x" * 250 if kind == "long name" else "odd")).name
    place = WORDS[line] if slot == "words" else file if slot in READ else ""
    assert place.lower() in said.lower(), said
    assert tree(here) == before and took < SECONDS
    assert "Errno" not in said and "pydantic" not in said, said


def test_there_are_enough_of_them():
    assert len(set(CASES)) == len(CASES) and len([case for case in EVERY_OTHER if not case.marks]) >= 300
