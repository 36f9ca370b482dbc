"""docs/own-data.md: its commands run in the order printed, on a toy table and tiny models; the review in a terminal, by keys."""

from __future__ import annotations

import csv
import os
import random
import shlex
import subprocess
import sys

from ruamel.yaml import YAML
from tests.review.terminal import Terminal

from polychromic.base.io import read_json, read_jsonl
from polychromic.params import load_params
from tests import page_tools as pages
from tests.workspace import make_models, small_values, write_params

PAGE = pages.read("own-data.md")
SCRIPTS = pages.blocks(PAGE, "bash")
CHANGES = YAML(typ="safe").load(pages.blocks(PAGE, "yaml")[0])
WORDS = (
    "the a my your our we you they it who what when where how never always often here there now then tea rain bread chess moon paint glass "
    "river stone cloud music paper honey wheel lemon piano snow tiger candle window forest boat salt garden summer winter street teacher "
    "doctor brother sister kitchen table coffee morning evening dinner letter story picture question answer"
).split()
POSTS = 24


def write_posts(folder) -> None:
    with (folder / "posts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "answer", "user", "likes"])
        draw = random.Random(0)
        for number in range(POSTS):  # texts unlike each other, which curation keeps
            post, reply = (" ".join(draw.sample(WORDS, 8)) for _ in range(2))
            writer.writerow([f"{post}?", reply, f"user{number}", number % 3])


def review(folder, reviewer: str, folder_name: str) -> None:
    """Accept all."""
    opened = Terminal(folder, "review", folder_name, "--reviewer", reviewer)
    try:
        total = len(list(read_jsonl(folder / folder_name / "candidates.jsonl")))
        opened.wait(f"0 of {total} reviewed")
        opened.press("a" * total)
        opened.wait(f"{total} of {total} reviewed")
        opened.press("q")
        assert opened.end() == 0
    finally:
        opened.close()


def parts(script: str) -> list[str]:
    """Commands of a block; a here-document stays with its command."""
    found, until = [], None
    for line in script.splitlines():
        if until is None:
            found.append(line)
            until = "END" if "<<'END'" in line else None
        else:
            found[-1] += "\n" + line
            until = None if line == until else until
    return found


def set_params(folder) -> None:
    """The page's keys, at tiny values."""
    values = small_values()
    for key in CHANGES:
        assert key in values
    assert set(CHANGES["replies"]) <= set(values["replies"]) and set(CHANGES["model"]) == {"source", "path"}
    values["model"], values["encoder"] = CHANGES["model"], {"source": "folder", "path": "../encoder"}
    values["replies"] |= {"sizes": {"train": 6, "dev": 3, "test": 4}, "steps": 2, "rollouts": {"share": 1.0, "every": 1}}
    values["replies"]["max_new_tokens"] = 4
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
    printed = {}
    for script in SCRIPTS:
        for line in parts(script):
            words = shlex.split(line.partition("\n")[0])
            if words[:2] == ["polychromic", "review"] and "--export" not in words:
                review(tmp_path, words[4], words[2])
            elif words[0] == "polychromic":
                code, printed[line], problem = command(*words[1:])
                assert code == 0, f"{line}: {problem[-2000:]}"
            else:
                shim = f'python() {{ "{sys.executable}" "$@"; }}\nset -e\n'
                subprocess.run(["bash", "-c", shim + line], check=True, env=os.environ | {"PYTHONPATH": str(pages.REPOSITORY)})
                if words[-2:] == ["cd", "my-run"]:
                    monkeypatch.chdir(tmp_path / "my-run")
                    set_params(tmp_path / "my-run")
    run = tmp_path / "my-run"
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in (run / "my-polychromic").iterdir()}
    held_out = {row["id"] for _, row in read_jsonl(run / "held-out.jsonl")}
    assert held_out == set(read_json(run / "results" / "replies" / "split.json")["splits"]["test"]) and len(held_out) >= 4
    names = {system["system"] for system in read_json(run / "my-evaluation" / "evaluation.json")["systems"]}
    assert names == {"zero_shot", "my-lora", "my-polychromic"}
    shown = next(text for line, text in printed.items() if line.startswith("polychromic compare"))
    assert "ROUGE-L" in shown and "my-polychromic" in shown


def test_the_page_is_a_page():
    pages.check(PAGE)
