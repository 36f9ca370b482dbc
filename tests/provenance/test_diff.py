"""What changed in print between a revision or experiment and the workspace, with intervals and the sentences that say it."""

import json
import shutil

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_json
from polychromic.provenance.diff import diff
from tests.provenance.conftest import commit, git


def edit(repository, old: str, new: str) -> None:
    """In the macros and in the records, as a stage would."""
    macros, file = repository / "paper/numbers/listqa.tex", repository / "results/listqa/numbers.json.gz"
    text, records = macros.read_text(), read_json(file)
    assert old in text and any(old in record["text"] for record in records)
    macros.write_text(text.replace(old, new))
    write_json(file, [record | {"text": record["text"].replace(old, new)} for record in records])


def test_nothing_changed(repository, command, monkeypatch):
    found = diff("HEAD", repository)
    assert (found["changes"], found["sentences"], found["commit"]) == ([], [], git(repository, "rev-parse", "HEAD"))
    monkeypatch.chdir(repository)
    code, out, _ = command("diff")
    assert code == 0 and "no printed value changed" in out


def test_values_and_sentences_old_and_new(repository):
    edit(repository, r"\ensuremath{-}0.08", "+0.19")
    edit(repository, r"[\ensuremath{-}0.20, +0.04]", "[+0.07, +0.50]")
    found = diff("HEAD", repository)
    assert [row["key"] for row in found["changes"]] == ["listqa.cost.sentence", "listqa.primary.ci", "listqa.primary.delta"]
    delta = found["changes"][-1]
    assert delta["old"] == {"text": "-0.08", "ci": "[-0.20, +0.04]"} and delta["new"] == {"text": "+0.19", "ci": "[+0.07, +0.50]"}
    assert all(row["printed"] for row in found["changes"])
    first = found["sentences"][0]
    assert (first["line"], first["keys"]) == (5, ["listqa.primary.ci", "listqa.primary.delta"])
    assert first["old"] == "The score is -0.08 [-0.20, +0.04], as Figure 1 shows [somebody]."
    assert first["new"] == "The score is +0.19 [+0.07, +0.50], as Figure 1 shows [somebody]."
    assert first["text"].startswith("The score is «-0.08 → +0.19» «[-0.20, +0.04] → [+0.07, +0.50]», as")
    assert len(found["sentences"]) == 2


def test_both_sides_of_a_verdict_have_its_interval(repository):
    edit(repository, "not distinguishable from", "lower than")
    (verdict,) = diff("HEAD", repository)["changes"]
    assert verdict["old"] == {"text": "not distinguishable from", "ci": "[-0.20, +0.04]"}
    assert verdict["new"] == {"text": "lower than", "ci": "[-0.20, +0.04]"}


def test_keys_that_came_and_went(repository):
    path = repository / "paper/numbers/listqa.tex"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "n_prompts" not in line) + "\\definenumber{listqa.new}{1}%\n")
    found = {row["key"]: row for row in diff("HEAD", repository)["changes"]}
    assert found["listqa.n_prompts"]["new"] is None and found["listqa.n_prompts"]["old"]["text"] == "141"
    assert found["listqa.new"]["old"] is None and not found["listqa.new"]["printed"]
    assert diff("HEAD", repository)["sentences"][0]["new"] == "The frontier over [listqa.n_prompts] prompts."


def test_without_records_the_intervals_of_the_text_remain(repository):
    (repository / "paper/numbers/listqa.tex").write_text(
        (repository / "paper/numbers/listqa.tex").read_text().replace(r"delta}{\ensuremath{-}0.08}", "delta}{+0.19}")
    )
    shutil.rmtree(repository / "results")
    (change,) = diff("HEAD", repository)["changes"]
    assert change["new"] == {"text": "+0.19", "ci": "[-0.20, +0.04]"}


def test_an_experiment_by_its_name(repository):
    head = git(repository, "rev-parse", "HEAD")
    path = repository / "paper/numbers/listqa.tex"
    path.write_text(path.read_text().replace("n_prompts}{141}", "n_prompts}{150}"))
    git(repository, "update-ref", f"refs/exps/aa/{'b' * 38}/gray-cats", commit(repository, "experiment"))
    git(repository, "reset", "--quiet", "--hard", head)
    (change,) = diff("gray-cats", repository)["changes"]
    assert (change["old"]["text"], change["new"]["text"]) == ("150", "141")
    with pytest.raises(PolychromicError, match=r"'grey-cats' is no revision and no experiment.*gray-cats"):
        diff("grey-cats", repository)


def test_the_command(repository, command, monkeypatch):
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "200")
    edit(repository, r"\ensuremath{-}0.08", "+0.19")
    path = repository / "paper/numbers/listqa.tex"
    path.write_text(path.read_text().replace(r"24.2\,\%", r"30.0\,\%"))
    code, out, err = command("diff", "HEAD")
    assert code == 0 and err == "" and "-0.08 → +0.19" in out and "listqa.lora.pass@1" not in out and "1 other record did" in out
    assert "listqa.lora.pass@1" in command("diff", "--all")[1]
    code, out, _ = command("diff", "--json")
    assert code == 0 and len(json.loads(out)["changes"]) == 3
    code, _, err = command("diff", "nothing-of-this-name")
    assert code == 1 and "no revision and no experiment" in err


def test_without_git(repository):
    shutil.rmtree(repository / ".git")
    with pytest.raises(PolychromicError, match="no Git history to compare with"):
        diff("HEAD", repository)
