"""docs/own-data.md: its commands run in the order printed, on a toy table and tiny models; the review in a terminal, by keys."""

from __future__ import annotations

import random
import re
import shlex
from pathlib import Path

from ruamel.yaml import YAML

from polychromic.base.io import read_json, read_jsonl
from polychromic.params import load_params
from tests import page_tools as pages
from tests.workspace import make_models, small_values, write_params
from tests.yours.review.bench import Terminal

PAGE = pages.read("own-data.md")
CHANGES = YAML(typ="safe").load(pages.blocks(PAGE, "yaml")[0])
# The blocks' commands, a here-document with its command.
COMMANDS = re.findall(r"^.*<<'END'\n(?:.*\n)*?END$|^.+$", "".join(pages.blocks(PAGE, "bash")), flags=re.MULTILINE)
WORDS = re.findall(r"\b[a-z]+\b", (pages.REPOSITORY / "docs" / "tries.md").read_text(encoding="utf-8"))  # as often as in English


def write_posts(folder) -> None:
    """40 texts unlike each other, which curation keeps."""
    draw, lines = random.Random(0), ["text,answer,user,likes"]
    for number in range(40):
        post, reply = (" ".join(draw.sample(WORDS, 8)) for _ in range(2))
        lines.append(f"{post}?,{reply},user{number},{number % 3}")
    (folder / "posts.csv").write_text("\n".join(lines) + "\n")


def accept_all(folder, candidates: str, *options: str) -> None:
    total = len(list(read_jsonl(folder / candidates / "candidates.jsonl")))
    with Terminal(folder, "review", candidates, *options) as opened:
        opened.until(f"0 of {total} reviewed")
        opened.press("a" * total + "q")
        opened.until(f"{total} of {total} reviewed: ")
        assert opened.process.wait() == 0


def set_params(folder) -> None:
    """The page's keys, at tiny values."""
    values = small_values()
    assert set(CHANGES) <= set(values) and set(CHANGES["replies"]) <= set(values["replies"]) and set(CHANGES["model"]) == {"source", "path"}
    values["model"], values["encoder"] = CHANGES["model"], {"source": "folder", "path": "../encoder"}
    tiny = {"sizes": {"train": 26, "dev": 3, "test": 4}, "steps": 2, "rollouts": {"share": 1.0, "every": 1}, "max_new_tokens": 4}
    values["replies"] |= tiny
    values["split"]["tolerance"] = 1.0
    write_params(folder, values)
    load_params(folder / "params.yaml")


def test_the_page_leads_from_a_table_to_a_comparison(tmp_path, monkeypatch, command):
    """One process, which imports the libraries once."""
    make_models(tmp_path)
    (tmp_path / "model").rename(tmp_path / "my-model")
    write_posts(tmp_path)
    (tmp_path / "params.yaml").write_bytes((pages.REPOSITORY / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    run, printed = tmp_path / "my-run", {}
    for line in COMMANDS:
        words = shlex.split(line.partition("\n")[0])
        if words[:2] == ["polychromic", "review"]:
            accept_all(tmp_path, *words[2:])
        elif words[0] == "polychromic":
            code, printed[words[1]], problem = command(*words[1:])
            assert code == 0, f"{line}: {problem[-2000:]}"
        else:
            done = pages.bash(Path.cwd(), line)
            assert done.returncode == 0, done.stderr
            if words[-2:] == ["cd", "my-run"]:
                monkeypatch.chdir(run)
                set_params(run)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in (run / "my-polychromic").iterdir()}
    held_out = {row["id"] for _, row in read_jsonl(run / "held-out.jsonl")}
    assert held_out == set(read_json(run / "results" / "replies" / "split.json")["splits"]["test"]) and len(held_out) >= 4
    names = {system["system"] for system in read_json(run / "my-evaluation" / "evaluation.json")["systems"]}
    assert names == {"zero_shot", "my-lora", "my-polychromic"}
    assert "ROUGE-L" in printed["compare-files"] and "my-polychromic" in printed["compare-files"]
