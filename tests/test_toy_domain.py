"""docs/domain.md, followed as printed: a new domain, from its file to its tables, on tiny random models and on the real pipeline."""

from __future__ import annotations

import copy
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from polychromic.base.io import read_json, read_jsonl
from polychromic.pipeline.workspace import round_trip_yaml
from tests import page_tools as pages
from tests import pipeline_tools as tools
from tests.workspace import REPOSITORY, make_models

PAGE = pages.read("domain.md")
BASELINES = ("zero_shot", "few_shot", "lora", "polychromic")
TRAINED = ("lora", "polychromic-3.0")
TOPICS = """tea sun rain bread chess moon paint glass river stone cloud music
    paper honey wheel lemon piano snow tiger candle window forest boat salt""".split()
LENGTHS = (("three", "3"), ("four", "4"))

pytestmark = pytest.mark.timeout(2 * tools.PATIENCE)


def block(language: str, place: int = 0) -> str:
    return pages.blocks(PAGE, language)[place]


def records() -> list[dict]:
    """The page's record, for other topics and two lengths."""
    shown = json.loads(block("json"))
    asked = [(topic, *LENGTHS[number % 2]) for number, topic in enumerate(TOPICS)]
    of = lambda topic, stratum, length: {"id": f"toy-{topic}", "group": topic, "stratum": stratum, "valid": [length]}
    return [shown | of(*one) | {"prompt": f"Write {one[2]} letters about {one[0]}."} for one in asked]


def edit_yaml(path: Path, change) -> None:
    yaml = round_trip_yaml()
    values = yaml.load(path)
    change(values)
    yaml.dump(values, path)


def grid(values: dict) -> None:
    """Step 3.1; the other domains are left out, to run this one alone."""
    values["domains"] = ["toy"]
    values["analysis"]["endpoints"]["toy"] = {"primary": "valid_distinct@10", "quality": "pass@1"}
    values["analysis"]["test"]["toy"] = copy.deepcopy(values["analysis"]["test"]["replies"])


def add_toy(workspace: Path) -> list[str]:
    """The page's steps; the files that they write or edit, dvc.yaml apart, which is printed."""
    module = "polychromic/data/domains/toy/__init__.py"
    (workspace / module).parent.mkdir()
    (workspace / module).write_text(block("python"))
    for name, text in (("params.yaml", block("yaml", 0)), ("polychromic/models/prompts.yaml", block("yaml", 1))):
        with (workspace / name).open("a") as file:
            file.write("\n" + text)
    (workspace / "data" / "toy.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records()))
    edit_yaml(workspace / "params.yaml", grid)
    return [module, "params.yaml", "polychromic/models/prompts.yaml", "data/toy.jsonl"]


@dataclass(frozen=True)
class Run:
    workspace: Path
    ran: list[str]

    def read(self, name: str):
        return read_json(self.workspace / "results" / "toy" / name)

    def text(self, name: str) -> str:
        return (self.workspace / "paper" / name).read_text()

    def samples(self, cell: str) -> dict[str, list[str]]:
        """Id -> the drafts of the one seed at the one temperature."""
        drawn = self.workspace / "results" / "toy" / "dev" / cell / "samples.jsonl.gz"
        return {line["id"]: line["samples"] for _, line in read_jsonl(drawn)}


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Run:
    base = tmp_path_factory.mktemp("toy")
    make_models(base)
    workspace = tools.make_workspace(REPOSITORY, base / "workspace", tools.TINY, BASELINES, ())
    edited = add_toy(workspace)
    environment = tools.environment(workspace, base / "cache")
    tools.output(workspace, environment, "polychromic", "pipeline")
    tools.dvc(workspace, environment, "add", "--quiet", "data")
    changed = set(tools.git(workspace, "status", "--porcelain", "--untracked-files=all").split()[1::2])
    assert changed <= {*edited, "dvc.yaml", "data.dvc", ".gitignore"}
    tools.commit(workspace, "A new domain")
    output = tools.output(workspace, environment, "tests.run_stages", "report-dev@toy", "examples-toy", "report-test@toy")
    return Run(workspace, tools.stages_run(output))


def is_valid(record: dict, reply: str) -> bool:
    """The rule of the page again, without its code: as many letters as asked for."""
    return sum(c.isalpha() for c in reply) == int(record["valid"][0])


def test_the_pages_steps_make_every_stage_of_the_domain_and_no_other(toy):
    cells = {"prompted-dev@toy-zero_shot", "prompted-dev@toy-few_shot", "tuned-dev@toy-lora", "polychromic-dev-toy@3.0"}
    opened = {f"cells-test@toy-{system}" for system in BASELINES}
    about = {"split@toy", "norms-toy", "score-dev-toy", "compare-dev-toy", "report-dev@toy", "examples-toy"}
    about |= {"score-test-toy", "compare-test-toy", "report-test@toy"}
    assert set(toy.ran) == cells | opened | about
    splits = toy.read("split.json")["splits"]
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 12, "dev": 6, "test": 6, "calibration": 0}
    assert sorted(sum(splits.values(), [])) == sorted(record["id"] for record in records())


def test_its_checker_decides_what_the_metrics_are(toy):
    by_id = {record["id"]: record for record in records()}
    dev = toy.read("split.json")["splits"]["dev"]
    systems = {system["label"]: system["metrics"] for system in toy.read("dev/compare.json")["systems"]}
    found = []
    for label, cell in zip(BASELINES, ("zero_shot", "few_shot", *TRAINED), strict=True):
        drafts = toy.samples(cell)
        assert sorted(drafts) == sorted(dev) and {len(samples) for samples in drafts.values()} == {10}
        valid = {name: [reply for reply in samples if is_valid(by_id[name], reply)] for name, samples in drafts.items()}
        found.append(sum(len(replies) for replies in valid.values()) / (10 * len(dev)))
        assert math.isclose(systems[label]["pass@1"]["mean"], found[-1], abs_tol=1e-9)
        distinct = [len({" ".join(re.sub(r"[^\w\s]+", " ", reply.lower()).split()) for reply in replies}) for replies in valid.values()]
        assert systems[label]["valid_distinct@10"]["mean"] <= sum(distinct) / len(dev) + 1e-9
    assert 0 < max(found) < 1, "a rule that none or all keep tests nothing"


def test_its_test_prompts_are_sampled_scored_and_printed(toy):
    test, found = toy.read("split.json")["splits"]["test"], toy.read("test/compare.json")
    rows = [line for _, line in read_jsonl(toy.workspace / "results" / "toy" / "test" / "lora" / "samples.jsonl.gz")]
    assert {row["id"] for row in rows} == set(test) and {row["split"] for row in rows} == {"test"}
    assert {system["label"] for system in found["systems"]} == set(BASELINES) and found["primary"] == "valid_distinct@10"
    declared = re.search(r"metrics: \[(.*?)\]", block("yaml", 0)).group(1).split(", ")
    assert all(set(system["metrics"]) == {*declared, "objective"} for system in toy.read("dev/compare.json")["systems"])
    assert {toy.read("dev/choices.json")[key] for key in ("primary", "quality")} == {"valid_distinct@10", "pass@1"}
    assert "LoRA" in toy.text("tables/toy-test.tex") and (toy.workspace / "paper" / "figures" / "toy-test-fronts.pdf").exists()


def test_its_tables_figures_and_numbers_are_there_with_the_four_baselines(toy):
    rows = re.findall(r"^\| ([A-Z][\w -]+?) \|", toy.text("tables/toy-systems.md"), flags=re.MULTILINE)
    assert rows == ["Zero-shot", "Few-shot", "LoRA", "Polychromic"]
    assert all(name in toy.text("tables/toy-systems.tex") for name in rows)
    for name in ("objectives", "contrasts", "lambda", "samples", "lambda-samples"):
        assert r"\bottomrule" in toy.text(f"tables/toy-{name}.tex"), name
    assert "letters about" in toy.text("tables/toy-samples.tex")
    for name in ("fronts", "budgets", "doses", "gaming", "training"):
        assert (toy.workspace / "paper" / "figures" / f"toy-{name}.pdf").read_bytes().startswith(b"%PDF"), name
