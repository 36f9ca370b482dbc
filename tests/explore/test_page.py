"""The page as a file: what it holds, that no text escapes, that it is the same twice and small, and what its commands refuse."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex

import pytest
from typer.main import get_command

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_json
from polychromic.cli.app import app
from polychromic.explore import chart, drafts, page
from polychromic.explore.duplicates import ALIKE
from polychromic.explore.views import DIGITS, rounded
from polychromic.provenance.lock import md5_of
from polychromic.report import results
from tests import page_tools as pages
from tests.explore.toy import HOSTILE


@pytest.fixture
def document(workspace, params) -> dict:
    found, notes = page.explore(params, ["listqa"])
    assert notes == []
    return found


def test_the_docs_name_what_there_is():
    text = pages.read("explore.md")
    pages.check(text)
    written = [shlex.split(line)[1:] for line in pages.commands(text) if line.startswith("polychromic ")]
    assert [words[0] for words in written] == ["drafts", "explore", "explore"]
    for words in written:
        get_command(app).commands[words[0]].make_context(words[0], words[1:])
    assert f"{drafts.LIMIT // 1000} kB" in text and f"chrF of {ALIKE:g} or more" in text and f"{page.LIMIT // 10**6} MB" in text


def embedded(text: str, name: str) -> dict:
    (found,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', text, flags=re.DOTALL)
    return json.loads(found)


def test_a_view_has_the_numbers_of_compare_json_rounded(document):
    dev, test = document["views"]
    assert [(one["domain"], one["split"]) for one in (dev, test)] == [("listqa", "dev"), ("listqa", "test")]
    compare = results.load("listqa", "dev")
    assert len(dev["points"]) == len(compare.systems) == 48 and list(dev["metrics"])[:2] == ["pass@1", "valid_distinct@10"]
    for point in dev["points"]:
        system = compare.at(point["label"], point["t"])
        mean, low, high, seeds = [*point["values"]["pass@1"], None][:4]
        found = system.metrics["pass@1"]
        assert (mean, low, high) == tuple(rounded(found[end]) for end in ("mean", "low", "high"))
        assert seeds == (None if len(system.seeds) == 1 else [rounded(one) for one in found.by_seed])
        assert (point["chosen"], point["seeds"], point["prompts"], point["over"]) == (system.chosen, system.seeds, 8, system.over)
        assert sum(point["passed"]) == 8 * len(system.seeds)
    assert dev["fronts"]["lora"]["x"][0] == rounded(compare.fronts.lora.curve.quality[0])
    assert rounded(0.123456789) == float(f"{0.123456789:.{DIGITS}g}") and rounded(None) is None


def test_sliders_have_the_weights_and_doses_of_dev_and_none_of_test(document):
    dev, test = document["views"]
    assert [(stop["value"], stop["label"]) for stop in dev["lambdas"]] == [(0.0, "lora"), (0.3, "polychromic@0.3"), (3.0, "polychromic")]
    assert [stop["label"] for stop in dev["doses"]] == ["lora", "polychromic_1c", "polychromic"]
    assert [stop["value"] for stop in dev["doses"]] == sorted(stop["value"] for stop in dev["doses"])
    assert test["lambdas"] == test["doses"] == []
    assert {point["label"]: point["cost"] for point in dev["points"]} | {"zero_shot": None} == {
        "zero_shot": None, "few_shot": None, "lora": 1.0, "lora_2c": 2.0, "rft": 2.0, "polychromic_1c": 1.0, "polychromic": 2.0,
        "polychromic@0.3": 2.0}  # fmt: skip


def test_rows_lead_to_points(document):
    for one in document["views"]:
        stored = read_json(paths.drafts_file("listqa", one["split"]))
        for ours, theirs in zip(one["prompts"], stored["prompts"], strict=True):
            for (place, mine, count), (label, t, those, passed) in zip(ours["rows"], theirs["rows"], strict=True):
                assert (one["points"][place]["label"], one["points"][place]["t"]) == (label, t) and (mine, count) == (those, passed)


def test_origins_are_the_files_that_lie_here_and_the_declared_parameters(document):
    dev = document["views"][0]
    path = paths.compare_file("listqa", "dev")
    assert dev["origin"]["file"] == path.as_posix() and dev["origin"]["md5"] == md5_of(path)
    assert dev["origin"]["stage"] == "compare-dev-listqa" and dev["origin"]["command"].endswith("compare listqa --split dev")
    assert dev["origin"]["data"] == {"data/listqa.jsonl": md5_of(paths.data_file("listqa"))}
    assert dev["origin"]["stages"] == 12 and re.fullmatch("[0-9a-f]{8}", dev["origin"]["params"])
    ours = dev["cells"]["polychromic"]
    samples = paths.cell_dir("listqa", "dev", ours["cell"]) / paths.SAMPLES
    assert (ours["stage"], ours["md5"]) == ("polychromic-dev-listqa@3.0", md5_of(samples))
    assert ours["params"]["methods.polychromic"]["lam"] == "lambda" and dev["shared"]["seeds"] == [0, 1]


def test_no_text_ends_a_script_turns_the_reading_order_or_is_a_template(document):
    view = document["views"][0]
    view["points"][0]["name"] = "{{ 7 * 7 }}<b>\u202e&"
    text = page.render(document, commit='"><script>')
    assert len(re.findall("<script", text)) == len(re.findall("</script>", text)) == 4 and "\u202e" not in text
    assert "<img" not in text and "7 * 7 }}<" not in text
    shown = embedded(text, "data")["views"][0]
    assert shown["points"][0]["name"] == "{{ 7 * 7 }}<b><U+202E>&"
    assert any(HOSTILE.replace("\u202e", "<U+202E>") in one["texts"] for one in shown["prompts"])
    assert page.embedded({"a": ["x\ny\t\u2028"]}) == '{"a":["x\\ny␉\\u003cU+2028\\u003e"]}'


def test_scripts_are_allowed_by_their_hashes_and_nothing_may_be_fetched(document):
    text = page.render(document)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'" and rules["img-src"] == "data:"
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = lambda script: base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["script-src"].split() == [f"'sha256-{digest(script)}'" for script in scripts] and len(scripts) == 2
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:)", outside) and "@import" not in text and "url(" not in outside


def test_the_same_twice_whatever_else_bokeh_has_drawn(document):
    first = page.render(document)
    assert chart.figure() == chart.figure()
    assert page.render(document) == first and '<html lang="en" data-commit="">' in first


def test_a_page_stays_below_its_limit_by_leaving_out_prompts(document, monkeypatch):
    assert len(page.render(document).encode()) < page.LIMIT == 5_000_000
    bare = len(page.render(document | {"views": [one | {"prompts": []} for one in document["views"]]}).encode())
    monkeypatch.setattr(page, "LIMIT", bare + 9_000)
    text = page.render(document)
    held = [len(one["prompts"]) for one in embedded(text, "data")["views"]]
    assert len(text.encode()) <= page.LIMIT and 0 < sum(held) < 12 and [len(one["prompts"]) for one in document["views"]] == [8, 4]
    monkeypatch.setattr(page, "LIMIT", bare - 1)
    with pytest.raises(PolychromicError, match="without any draft. Allowed: fewer systems or domains."):
        page.render(document)


def test_what_is_missing_is_said_and_left_out(workspace, params):
    paths.compare_file("listqa", "test").unlink()
    paths.drafts_file("listqa", "dev").unlink()
    found, notes = page.explore(params, ["listqa"])
    assert [one["split"] for one in found["views"]] == ["dev"] and found["views"][0]["prompts"] == []
    assert len(notes) == 2 and "`polychromic drafts listqa` makes it" in notes[1] and "leaves out listqa on test" in notes[0]
    assert "no drafts are stored" in page.render(found)
    paths.compare_file("listqa", "dev").unlink()
    with pytest.raises(PolychromicError, match="nothing to explore: no results/listqa/dev/compare.json. Allowed: .*dvc repro"):
        page.explore(params, ["listqa"])


def test_a_compare_json_of_another_version_is_an_error_that_names_the_field(workspace, params):
    path = paths.compare_file("listqa", "dev")
    write_json(path, {key: value for key, value in read_json(path).items() if key != "fronts"})
    with pytest.raises(PolychromicError, match="compare.json: no 'fronts'. Allowed"):
        page.explore(params, ["listqa"])


def test_the_command_writes_beside_the_pdf_without_a_commit_and_elsewhere_with_one(workspace, command):
    (workspace / "paper").unlink()
    (workspace / "paper").mkdir()
    (workspace / "paper" / "main.tex").write_text("")
    code, out, err = command("explore")
    assert (code, out.strip(), err) == (0, paths.EXPLORER.as_posix(), "") and 'data-commit=""' in paths.EXPLORER.read_text()
    code, out, _ = command("explore", "--domain", "listqa", "--out", "my/page.html")
    assert code == 0 and 'data-commit="unknown"' in (workspace / "my" / "page.html").read_text()
    for arguments, said in (
        (("--domain", "listqa"), "Add --out FILE"),
        (("--domain", "poems", "--out", "x.html"), "Allowed: listqa."),
        (("--out", "results/x.html"), "which the pipeline owns"),
        (("--out", "my"), "is a folder. Allowed: a file, such as my/my-explorer.html"),
    ):
        code, out, err = command("explore", *arguments)
        assert (code, out) == (2, "") and said in err
