"""dvc.yaml against the code: each stage declares the modules, package files and params that its command reaches.

What a command reaches: polychromic/provenance/reach.py. A dependency missing from dvc.yaml would make `dvc repro` keep stale results.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest
from ruamel.yaml import YAML

from polychromic.data.domains import domain_names
from polychromic.models import prompts
from polychromic.params import DomainParams, Method, Params, load_params, read_yaml
from polychromic.provenance import reach as reaching
from polychromic.provenance.declared import declared
from polychromic.provenance.reach import EXCLUDED, PROMPTS, REPORTS, WITHOUT_INFLUENCE
from polychromic.score.score import SAMPLES
from tests.pipeline_walk import CODE, PACKAGE, Part, Symbol, chain, definitions, source_of
from tests.workspace import REPOSITORY

# A `foreach` stage keeps its content under `do`.
STAGES: dict[str, dict[str, Any]] = {
    name: {"foreach": stage.get("foreach")} | stage.get("do", stage)
    for name, stage in YAML(typ="safe").load(REPOSITORY / "dvc.yaml")["stages"].items()
}
VALUES = read_yaml(REPOSITORY / "params.yaml")
PARAMS = load_params(REPOSITORY / "params.yaml")
# Protocols and type names: they stand in annotations, so the walk need not meet them, and they may be deps.
ANNOTATIONS = {"domains.base": "what a domain must say"}
# A link to dvc.yaml: whoever depends on it follows the structure of the pipeline.
STRUCTURE = "paper/pipeline.yaml"
Item = dict[str, str]
READ_BY = {  # methods of Params -> keys
    "seeds_of": ("seeds", "methods"),
    "runs": ("methods",),
    "trains_like": ("methods", "lambda"),
    "endpoint": ("analysis.endpoints",),
    "test_plan": ("analysis.test",),
    "adapters": ("analysis.test", "methods", "<domain>.steps"),
    "trained": ("methods", "<domain>.steps"),
    "for_test": ("analysis.test", "sampling.precision"),
    "temperatures": ("methods", "<domain>.temperatures"),
}


@cache
def reach(stage: str, domain: str | None) -> tuple[frozenset[Symbol], tuple[Part, ...]]:
    """What the stage's command can use for a domain."""
    return reaching.reach(CODE, stage, command_of(stage), domain)


def command_of(stage: str) -> str:
    return reaching.command_of(STAGES[stage]["cmd"])


CELLS = [stage for stage in STAGES if command_of(stage) == "cell"]
OPENING = [stage for stage in STAGES if command_of(stage) == "sample-test"]
OF_TEST = [stage for stage in STAGES if command_of(stage).endswith("-test")] + ["summary"]


def methods_of(stage: str) -> list[Method]:
    """The methods whose cells the stage makes."""
    return [PARAMS.methods[item.get("item.method", "polychromic")] for item in items(stage)]


def without_influence(stage: str) -> set[str]:
    """Keys that a stage of cells does not depend on, although all cells share one command and its code: its methods make no use of them."""
    if stage in OPENING:
        return {"lambda"}  # as below; a system on test has the weight that is declared for it
    methods = methods_of(stage)
    variants = [prompts.variant(domain, method.prompt) for domain in domains_of(stage) for method in methods]
    used = {
        ("steps", "lora", "train"): any(method.adapter == "lora" for method in methods),
        ("rollouts", "objective"): any(method.objective != "none" for method in methods),
        ("pool_samples",): any(method.self_training for method in methods),
        # vectors: of semantic similarity and of the quality of replies, or of loss deviation
        ("encoder",): any(method.objective != "none" or method.self_training or method.loss == "deviation" for method in methods),
        ("few_shot",): any(variant.exemplars for variant in variants),
        # The headline lambda stands in an error message; the cells of the grid get theirs on the command line.
        ("lambda",): False,
    }
    return {key for keys, use in used.items() if not use for key in keys}


def reached_modules(stage: str, domain: str | None) -> set[str]:
    return {module for module, _ in reach(stage, domain)[0]}


def reached_files(stage: str, domain: str | None) -> set[str]:
    """Files of the package that are not modules and that the code reached names in a string."""
    return reaching.files_named(CODE, reach(stage, domain)[1])


def params_used(stage: str) -> set[str]:
    """Keys of params.yaml that the code reached reads through `params`, `values` or a domain's `settings`; as far as names tell."""
    top = {field.alias or name: name for name, field in Params.model_fields.items()}
    by_field = {name: key for key, name in top.items()}
    found = set()
    statements = {id(statement): statement for domain in domains_of(stage) for _, statement in reach(stage, domain)[1]}
    for statement in statements.values():
        for node in ast.walk(statement):
            if not isinstance(node, ast.Attribute):
                continue
            names = chain(node) or []
            for place, name in enumerate(names[:-1]):
                if name in ("params", "values"):
                    found |= set(READ_BY.get(names[place + 1], ()))
                    if names[place + 1] in by_field:
                        found.add(".".join([by_field[names[place + 1]], *names[place + 2 :]]))
                if name in ("settings", "domain_params") and place == len(names) - 2 and names[-1] in DomainParams.model_fields:
                    found.add(f"<domain>.{names[-1]}")
            inner = node.value
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "domain":
                found.add(f"<domain>.{node.attr}")
    found = {known_part(key) for key in found}
    return {key for key in found if not any(other.startswith(f"{key}.") for other in found)}


def known_part(key: str) -> str:
    """Without what follows the last key that params.yaml has: "methods.items" is "methods"."""
    place, kept = VALUES, []
    if key.startswith("<domain>."):
        return key
    for part in key.split("."):
        if not isinstance(place, Mapping) or part not in place:
            break
        kept.append(part)
        place = place[part]
    return ".".join(kept)


def params_declared(stage: str) -> list[str]:
    """Keys of params.yaml as written in dvc.yaml; the whole file is "*". Other files are not among them."""
    declared = []
    for entry in STAGES[stage].get("params", ()):
        if isinstance(entry, str):
            declared.append(re.sub(r"\$\{(item\.domain|key)\}", "<domain>", entry))
        elif "params.yaml" in entry:
            declared.append("*")
    return declared


def prompts_declared(stage: str, item: Item) -> set[str]:
    """Keys of prompts.yaml that an item of the stage names."""
    keys = [key for entry in STAGES[stage].get("params", ()) if isinstance(entry, Mapping) for key in entry.get(PROMPTS, ())]
    return {filled(key, item) for key in keys}


def items(stage: str) -> list[Item]:
    """What each item of the stage's matrix or foreach stands for, template -> text; one empty item for a stage without them."""
    headline = {"lambda": str(VALUES["lambda"])}
    if each := STAGES[stage]["foreach"]:
        return [headline | {"key": key} | {f"item.{name}": str(value) for name, value in item.items()} for key, item in each.items()]
    axes = []
    for key, values in STAGES[stage].get("matrix", {}).items():
        values = VALUES[values[2:-1]] if isinstance(values, str) else values
        axes.append([(f"item.{key}", filled(str(value), headline)) for value in values])
    return [headline | dict(combination) for combination in product(*axes)]


def filled(text: str, item: Item) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda found: item.get(found.group(1), found.group(0)), text)


def domain_of(item: Item) -> str | None:
    """The domain of a stage's item: its axis or key, or the word behind the command's name."""
    return item.get("item.domain", item.get("key"))


def domains_of(stage: str) -> list[str | None]:
    return list(dict.fromkeys(domain_of(item) for item in items(stage)))


def resolved(stage: str, text: str) -> set[str]:
    """A templated string of the stage for every item of its matrix or foreach."""
    return {filled(text, item) for item in items(stage)}


def deps(stage: str, domain: str | None) -> set[str]:
    """The deps of the stage's items for one domain."""
    return {filled(dep, item) for item in items(stage) if domain_of(item) == domain for dep in STAGES[stage]["deps"]}


def all_outs() -> set[str]:
    outs = set()
    for stage, content in STAGES.items():
        for out in content.get("outs", ()):
            outs |= resolved(stage, out if isinstance(out, str) else next(iter(out)))
    return outs


def inputs() -> set[str]:
    """What the stages before the paper's last two read and no stage makes: code, data, timings."""
    read = {
        path for stage in STAGES if stage not in ("provenance", "paper") for domain in domains_of(stage) for path in deps(stage, domain)
    }
    return read - all_outs()


BY_DOMAIN = [(stage, domain) for stage in STAGES for domain in domains_of(stage)]


def test_the_walk_finds_what_it_should():
    """Guards the walk itself: imports in functions, a domain by its name, a module used through its alias, and no more than is used."""
    split, cell, select = (reached_modules(stage, "listqa") for stage in ("split", "lora", "select"))
    assert {"data.split", "data.records", "data.text"} <= split and "training.trainer" not in split
    assert {"cells", "sampling", "training.rollout", "training.bulk", "training.losses", "models.load", "domains.text"} <= cell
    assert "domains.listqa" in cell and "domains.replies" not in cell and "domains.replies" in reached_modules("lora", "replies")
    assert ("domains.listqa", "ListQA") in reach("lora", "listqa")[0]
    assert "analysis" in select and not {"scoring", "cells", "training.trainer"} & select
    assert "stats" in reached_modules("compare", "listqa")
    assert reached_files("split", "listqa") == {"polychromic/data/seen_prompts.txt", "polychromic/data/seen_words.txt"} and reached_files(
        "lora", "listqa"
    ) == {PROMPTS}
    assert {"seeds", "methods", "<domain>.temperatures", "sampling.n", "train.precision", "encoder"} <= params_used("lora")


@pytest.mark.parametrize(("stage", "domain"), BY_DOMAIN)
def test_a_stage_depends_on_every_module_that_changes_its_numbers(stage: str, domain: str | None):
    free = EXCLUDED.keys() | WITHOUT_INFLUENCE.get(stage, {}).keys()
    needed = {source_of(module).relative_to(REPOSITORY).as_posix() for module in reached_modules(stage, domain) - free}
    files = reached_files(stage, domain) - {PROMPTS}  # which is declared by key, under params
    missing = sorted((needed | files) - deps(stage, domain))
    assert not missing, f"dvc.yaml, stage {stage}: add to deps {missing}"


DECLARED = declared(REPOSITORY)


@pytest.mark.parametrize("group", STAGES)
def test_verify_notices_a_missing_dep_of_every_stage(group: str):
    """What `verify` asks: it knows the command of each stage, and names the dep that a stage lacks."""
    stage = next(stage for stage in DECLARED.values() if stage.group == group)
    assert reaching.missing_deps(CODE, [stage]) == {}
    of_package = sorted(dep for dep in stage.deps if dep.startswith(f"{PACKAGE}/") and dep.endswith(".py"))
    lacking = replace(stage, deps=tuple(dep for dep in stage.deps if dep not in of_package))
    found = reaching.missing_deps(CODE, [lacking])
    assert found and set(found[stage.name]) <= set(of_package)


@pytest.mark.parametrize(("stage", "domain"), BY_DOMAIN)
def test_a_stage_depends_on_no_module_without_influence(stage: str, domain: str | None):
    """Every dep of the package is reached by the command: a stale name would rerun the stage for nothing.

    Cells share one list of deps over stages and items: what one of their domains uses may stand there for all.
    """
    alike = [other for other in STAGES if STAGES[other]["deps"] == STAGES[stage]["deps"] and "matrix" in STAGES[stage]]
    sharing = [each for other in alike for each in domains_of(other)] or [domain]
    modules = ANNOTATIONS.keys() | {module for each in sharing for module in reached_modules(stage, each)}
    reached = {source_of(module).relative_to(REPOSITORY).as_posix() for module in modules}
    reached |= {file for each in sharing for file in reached_files(stage, each)}
    if stage == "provenance":
        reached |= inputs()  # it hashes them
    declared = {dep for dep in deps(stage, domain) if dep.startswith(f"{PACKAGE}/")}
    assert declared <= reached, f"dvc.yaml, stage {stage}: the command does not use {sorted(declared - reached)}"


@pytest.mark.parametrize(("stage", "domain"), [(stage, domain) for stage, domain in BY_DOMAIN if domain])
def test_a_stage_depends_on_no_other_domain(stage: str, domain: str):
    """An edit to one domain must leave the results of the others as they are."""
    others = {f"{PACKAGE}/domains/{name}.py" for name in domain_names() if name != domain}
    assert not others & deps(stage, domain)
    if stage in (*CELLS, *OPENING, "score", "score_test"):
        assert f"{PACKAGE}/domains/{domain}.py" in deps(stage, domain)


def test_exclusions_are_modules_that_exist():
    for module in [*EXCLUDED, *ANNOTATIONS, *(module for modules in WITHOUT_INFLUENCE.values() for module in modules)]:
        assert source_of(module), module
    methods = {name for name, value in vars(Params).items() if callable(value) and not name.startswith(("_", "model_"))}
    assert methods == {*READ_BY, "domain"}
    assert {stage for stage in STAGES if command_of(stage) == "report"} == set(REPORTS)
    (function,) = definitions("cli_stages")["report"]
    called = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    assert {name for _, name in REPORTS.values()} <= called
    assert all(name in definitions(module) for module, name in REPORTS.values())
    assert WITHOUT_INFLUENCE.keys() <= STAGES.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_each_dep_is_a_single_file_that_someone_makes(stage: str):
    outs = all_outs()
    for dep in STAGES[stage]["deps"]:
        for path in resolved(stage, dep):
            assert "$" not in path, path
            assert not (REPOSITORY / path).is_dir(), f"{path} is a folder: an empty one would pass"
            tracked = path.startswith("data/") and path.endswith(".jsonl")  # of data.dvc
            assert path in outs or tracked or (REPOSITORY / path).is_file(), f"{path}: no such file, and no stage makes it"


@pytest.mark.parametrize("stage", STAGES)
def test_params_exist_and_cover_what_the_code_reads(stage: str):
    for entry in STAGES[stage].get("params", ()):
        if isinstance(entry, Mapping):
            assert entry in ({"params.yaml": None}, {STRUCTURE: None}) or entry.keys() == {PROMPTS}
            continue
        for key in resolved(stage, entry):
            place = VALUES
            for part in key.split("."):
                assert isinstance(place, Mapping) and part in place, f"dvc.yaml, stage {stage}: params.yaml has no {key}"
                place = place[part]
    declared = params_declared(stage)
    if "*" in declared:
        return
    free = without_influence(stage) if command_of(stage) in ("cell", "openers", "sample-test") else set()
    used = {key for key in params_used(stage) if not free & set(key.split("."))}
    covers = lambda entry, key: f"{key}.".startswith(f"{entry}.") or f"{entry}.".startswith(f"{key}.")
    # A value that stands in the command line or in the matrix is in the stage's identity already.
    inline = set(re.findall(r"\$\{(\w+)\}", str([STAGES[stage]["cmd"], STAGES[stage].get("matrix")])))
    missing = sorted(key for key in used - inline if not any(covers(entry, key) for entry in declared))
    assert not missing, f"dvc.yaml, stage {stage}: add to params {missing}"


def test_the_provenance_depends_on_all_that_its_hashes_are_of():
    """Every input and parameter of the stages before it, their structure, the records, and what the paper shows."""
    declared = deps("provenance", None)
    missing = sorted(inputs() - declared)
    assert not missing, f"dvc.yaml, stage provenance: add to deps {missing}"
    own = {f"paper/tables/provenance-{name}.tex" for name in ("outputs", "sources", "numbers")}
    assert own <= deps("paper", None) & all_outs()
    shown = {path for path in deps("paper", None) if re.match(r"paper/(tables|figures|main\.tex)|results/", path)} - own
    assert not sorted(shown - declared), f"dvc.yaml, stage provenance: add to deps {sorted(shown - declared)}"
    whole = {file for entry in STAGES["provenance"]["params"] for file in entry}
    assert whole == {"params.yaml", PROMPTS, STRUCTURE} and set(STAGES["provenance"]["params"][0]) == {"params.yaml"}
    assert (REPOSITORY / STRUCTURE).resolve() == REPOSITORY / "dvc.yaml"


@pytest.mark.parametrize("stage", CELLS)
def test_a_cell_depends_on_its_own_prompts(stage: str):
    """The variant that the method names, by its key: an edit to another one leaves the cell as it is."""
    for item, method in zip(items(stage), methods_of(stage), strict=True):
        assert prompts_declared(stage, item) == {f"{domain_of(item)}.{method.prompt}"}


def test_the_grid_of_dvc_yaml_is_that_of_params_yaml():
    """Every method on every domain that params.yaml gives it, in one stage; and its samples are scored."""
    cells = [(item.get("item.method", "polychromic"), domain_of(item)) for stage in CELLS for item in items(stage)]
    assert set(cells) == {(name, domain) for name in PARAMS.methods for domain in PARAMS.domains if PARAMS.runs(name, domain)}
    once = [cell for cell in cells if cell[0] != "polychromic"]
    assert len(set(once)) == len(once)
    made = {path for stage in CELLS for out in STAGES[stage]["outs"] for path in resolved(stage, out)}
    read = {path for domain in PARAMS.domains for path in deps("score", domain)}
    assert {path for path in read if path.endswith(SAMPLES)} == {path for path in made if path.endswith(SAMPLES)}


def test_what_dvc_yaml_opens_test_for_is_what_params_yaml_declares():
    """Every declared system on its domain, in one stage; and its samples are scored, compared and printed."""
    opened = [(item["item.system"], domain_of(item)) for stage in OPENING for item in items(stage)]
    assert len(set(opened)) == len(opened)
    domains = {domain_of(item) for item in items("compare_test")}
    assert domains == set(PARAMS.domains) == {domain_of(item) for item in items("report_test")}
    assert set(opened) == {(name, domain) for domain in domains for name in PARAMS.test_plan(domain).systems}
    made = {path for stage in OPENING for out in STAGES[stage]["outs"] for path in resolved(stage, out)}
    assert made == {f"results/{domain}/test/{name}.jsonl.gz" for name, domain in opened}
    read = {path for domain in domains for path in deps("score_test", domain)}
    assert {path for path in read if "/test/" in path} == made


def test_no_stage_about_test_reads_a_choice():
    """Another headline weight, and what dev says then, must leave test alone: neither is in a dep or a parameter, however far back."""
    makers = {path: stage for stage in STAGES for out in STAGES[stage]["outs"]
              for path in resolved(stage, out if isinstance(out, str) else next(iter(out)))}  # fmt: skip
    seen, pending = set(), list(OF_TEST)
    while pending:
        stage = pending.pop()
        if stage not in seen:
            seen.add(stage)
            pending += {makers[dep] for domain in domains_of(stage) for dep in deps(stage, domain) if dep in makers}
    assert seen == {"split", *OF_TEST}
    for stage in seen:
        assert not {"lambda", "seeds", "*"} & set(params_declared(stage)) and "${lambda}" not in str(STAGES[stage]), stage


def test_only_dev_is_read_by_the_other_stages():
    """A sample or score on test is an input of the stages about test alone."""
    for stage in set(STAGES) - {*OF_TEST, "provenance", "paper"}:
        read = {path for domain in domains_of(stage) for path in deps(stage, domain)}
        assert not [path for path in read if re.search(r"/test[/.-]", path)], stage
