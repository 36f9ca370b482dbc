"""The groups of stages, inputs first: what a stage's command, deps, parameters and outs are. polychromic.pipeline.stages prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from polychromic.base import paths
from polychromic.params import ContrastParams, Params, read_yaml
from polychromic.pipeline.group import EXPLORER, PDF, Group
from polychromic.pipeline.imports import read_by_paper
from polychromic.report import build
from polychromic.report.results import SHOWN

BENCHMARKS = "benchmarks/results"
SAMPLING = "sample"  # the command of everything that trains or samples
OF = "${item.domain}"
PLOTS = ("frontier.csv", "lambda.csv", "training.csv")

# How a cell's method trains -> what its parameters are, beside those of every cell; {} is the domain.
TRAINED = ("encoder", "lora", "train", "{}.steps")
CHECKED = (*TRAINED, "objective", "{}.rollouts", "{}.pool_samples")
KINDS = {
    "prompted": ("the base model, by prompt alone", ("few_shot",)),
    "tuned": ("LoRA on a quality loss, without the checker", TRAINED),
    "checked": ("LoRA with the checker: set objectives and self-training, at a weight of their own", CHECKED),
}
# On test and on calibration one kind is enough: nothing there is an axis of ablations.
ALL = {"cells": ("every system", ("few_shot", *CHECKED))}
OF_SPLIT = {
    "dev": (("seeds", "{}.temperatures"), "sampled on dev"),
    "test": (("analysis.seed", "analysis.test.{}"), "sampled on test, once what was declared for it is committed"),
    "calibration": (("seeds",), "answering what many people answered"),
}
# Beside the keys that decide on every split, and the scores.
SCORED = {
    "dev": (("seeds", "{}.lambdas"), ("calibration.json", "signatures.json")),
    "test": (("analysis.seed", "analysis.test.{}"), ("machines.json",)),
}


def groups(root: Path, params: Params) -> Iterator[Group]:
    """All groups, inputs first; without the deps on code. Where params.yaml names its model, what depends on it depends on that entry."""
    named = isinstance(read_yaml(root / paths.PARAMS)["model"], str)
    for group in _groups(root, params):
        entry = [key for key in group.keys or () if key == "model" and named]
        yield replace(group, keys=[*group.keys, "models.${model}"]) if entry else group


def _groups(root: Path, params: Params) -> Iterator[Group]:
    desc, each = "train / dev / test, grouped and stratified; fails on leakage", _each(params.domains)
    read, keys, made = [f"data/{OF}.jsonl"], ("split", f"{OF}.sizes"), [f"results/{OF}/split.json"]
    yield Group("split", desc, f"split {OF}", read, ("data.split", None), keys, made, each=each)
    for domain in params.domains:
        desc, keys = (
            "what people's replies to training prompts say, before any method trains",
            ("split.seed", "threads", "model", "encoder", "sampling", f"{domain}.max_new_tokens"),
        )
        made = [f"results/{domain}/norms.json"]
        yield Group(f"norms-{domain}", desc, f"norms {domain}", _inputs(domain), ("score.norms", domain), keys, made, {"domain": domain})
    for split in paths.SPLITS:
        yield from _cells(params, split)
    for split in paths.SPLITS:
        if domains := [domain for domain in params.domains if params.cells(domain, split)]:
            yield from {"dev": _dev, "test": _test, "calibration": _calibration}[split](root, params, domains)
            yield _report(split, domains)
    yield from _examples(params)
    yield from _judge(root, params)
    yield from _explored(params)
    yield from _of_paper(root, params)


def _each(domains: Sequence[str]) -> dict[str, dict[str, str]]:
    return {name: {"domain": name} for name in domains}


def _inputs(domain: str) -> list[str]:
    return [f"data/{domain}.jsonl", f"results/{domain}/split.json"]


def _cells(params: Params, split: str) -> Iterator[Group]:
    """Per kind the cells of all domains; and, where the weight of D is the grid's axis, per domain those of all weights."""
    grid = [(domain, cell) for domain in params.domains for cell in params.cells(domain, split)]
    for kind in KINDS if split == "dev" else ALL:
        each = {}
        for domain, cell in grid:
            if kind in (*ALL, _kind(params, cell.method)) and (cell.lam is None or split == "test"):
                named = {"cell": cell.name} if split == "test" else {}
                each[f"{domain}-{cell.method}"] = {"domain": domain, "method": cell.method, **named}
        if each:
            folder = "${item.cell}" if split == "test" else "${item.method}"
            yield _cell_group(f"{kind}-{split}", split, kind, OF, "${item.method}", folder, each=each)
    for domain, method in dict.fromkeys((domain, cell.method) for domain, cell in grid if cell.lam is not None and split != "test"):
        name, lambdas, about = f"{method}-{split}-{domain}", params.domain(domain).lambdas, {"domain": domain, "method": method}
        desc = f"Polychromic LoRA at the headline lambda and over its grid on {domain}"
        group = _cell_group(name, split, _kind(params, method), domain, method, f"{method}-${{item.lam}}", desc, about, lambdas=lambdas)
        yield group


def _kind(params: Params, name: str) -> str:
    method = params.methods[name]
    if method.adapter == "none":
        return "prompted"
    return "checked" if method.objective != "none" or method.self_training else "tuned"


def _cell_group(name: str, split: str, kind: str, domain: str, method: str, folder: str, desc: str = "", about=(), **items) -> Group:  # noqa: ANN001, ANN003
    """Cells of a split. `domain` and `method` may be those of the item; about: the axes that are no item's; items: each or lambdas."""
    (of_split, what), (of_kind, usual) = OF_SPLIT[split], (KINDS | ALL)[kind][::-1]
    keys = ("threads", "model", "sampling", "{}.max_new_tokens", f"methods.{method}", *of_split, *of_kind)
    weight, note = (" --lam ${item.lam}", " (a value that stands twice is one cell)") if "lambdas" in items else ("", "")
    left = split == "test" or (split == "dev" and kind != "prompted")
    made = (paths.SAMPLES, paths.HISTORY) if left else (paths.SAMPLES,)
    return Group(
        name,
        f"{desc or usual}; {what}{note}",
        f"{SAMPLING} {domain} {method}{weight} --split {split}",
        [*_inputs(domain), f"results/{domain}/norms.json"],
        ("sample.cells", domain),
        [key.replace("{}", domain) for key in keys],
        [f"results/{domain}/{split}/{folder}/{name}" for name in made],
        {"split": split, **dict(about)},
        **items,
    )


def _folders(params: Params, domain: str, split: str) -> dict[str, str]:
    """Folder of each cell -> its method: the grid's weights as declared, and the headline's as ${lambda}, which DVC fills in."""
    found: dict[str, str] = {}
    for cell in params.cells(domain, split):
        if cell.lam is not None and split != "test":
            found[f"results/{domain}/{split}/{cell.method}-${{lambda}}"] = cell.method
            if cell.lam not in params.domain(domain).lambdas:
                continue
        found[f"results/{domain}/{split}/{cell.name}"] = cell.method
    return found


def _score(params: Params, domain: str, split: str) -> Group:
    keys, made = SCORED[split]
    all_splits = ("threads", "model", "encoder", "scoring", "sampling.n", "sampling.precision", "objective.n", "split.seed")
    return Group(
        f"score-{split}-{domain}",
        f"every metric of the domain, per prompt of {split}",
        f"score {domain} --split {split}",
        [*_inputs(domain), f"results/{domain}/norms.json", *(f"{folder}/{paths.SAMPLES}" for folder in _folders(params, domain, split))],
        ("score.score", domain),
        [*all_splits, f"{domain}.metrics", "methods.polychromic", *(key.replace("{}", domain) for key in keys)],
        [f"results/{domain}/{split}/{name}" for name in ("scores.jsonl.gz", *made)],
        {"domain": domain, "split": split},
    )


def _asked(params: Params, domain: str, contrasts: Sequence[ContrastParams]) -> list[str]:
    """Where records are, of which `compare` asks groups or strata (polychromic.compare.systems.known_prompts)."""
    return _inputs(domain) if domain in params.analysis.clusters or any(one.stratum for one in contrasts) else []


def _dev(root: Path, params: Params, domains: Sequence[str]) -> Iterator[Group]:
    everywhere = ("methods", "sampling.n", "train.batch_size", "train.max_grad_norm")
    for domain in domains:
        folder = f"results/{domain}/dev"
        trained = [cell for cell, method in _folders(params, domain, "dev").items() if params.methods[method].adapter == "lora"]
        yield _score(params, domain, "dev")
        scored = [f"{folder}/{name}" for name in ("scores.jsonl.gz", *SCORED["dev"][1])]
        yield Group(
            f"compare-dev-{domain}",
            "what dev decides: temperatures, best peers, lambda; systems with intervals, paired contrasts with tests",
            f"compare {domain} --split dev",
            [*scored, *_asked(params, domain, params.analysis.contrasts), *(f"{cell}/{paths.HISTORY}" for cell in trained)],
            ("compare.compare", None),
            [*everywhere, "analysis", "lambda", "seeds", *(f"{domain}.{key}" for key in ("metrics", "lambdas", "rollouts"))],
            [f"{folder}/{name}" for name in ("choices.json", "compare.json", "metrics.json", *PLOTS)],
            {"domain": domain, "split": "dev"},
        )


def _test(root: Path, params: Params, domains: Sequence[str]) -> Iterator[Group]:
    of_analysis = ("seed", "confidence", "resamples", "permutations", "clusters", "least", "margin")
    for domain in domains:
        folder, plan = f"results/{domain}/test", params.test_plan(domain)
        trained = [cell.name for cell in params.cells(domain, "test") if params.methods[cell.method].adapter == "lora"]
        yield _score(params, domain, "test")
        keys = [f"analysis.{key}" for key in (*of_analysis, f"endpoints.{domain}", f"test.{domain}")]
        read = [f"{folder}/scores.jsonl.gz", f"{folder}/machines.json", *(f"{folder}/{cell}/{paths.HISTORY}" for cell in trained)]
        yield Group(
            f"compare-test-{domain}",
            "the declared contrasts, on test",
            f"compare {domain} --split test",
            [*read, *_asked(params, domain, plan.contrasts)],
            ("compare.compare", None),
            ["methods", "sampling.n", f"{domain}.metrics", *keys],
            [f"{folder}/{name}" for name in ("compare.json", "metrics.json")],
            {"domain": domain, "split": "test"},
        )


def _calibration(root: Path, params: Params, domains: Sequence[str]) -> Iterator[Group]:
    for domain in domains:
        drafts = [f"{folder}/{paths.SAMPLES}" for folder in _folders(params, domain, "calibration")]
        of_analysis = ("analysis.seed", "analysis.bootstrap", "analysis.confidence")
        yield Group(
            f"compare-calibration-{domain}",
            "how alike drafts are beside people, and how many people they match",
            f"compare {domain} --split calibration",
            [*_inputs(domain), f"results/{domain}/dev/calibration.json", *drafts],
            ("compare.people", domain),
            ("lambda", "threads", "encoder", "seeds", *of_analysis, f"{domain}.people", f"{domain}.lambdas"),
            [f"results/{domain}/calibration/compare.json"],
            {"domain": domain, "split": "calibration"},
        )


def _report(split: str, domains: Sequence[str]) -> Group:
    return Group(
        f"report-{split}",
        f"tables and figures about {split}",
        f"report {OF} --split {split}",
        [f"results/{OF}/{split}/compare.json"],
        ("report.build", None),
        (),
        build.outs("report", OF, split),
        {"split": split},
        _each(domains),
    )


def _examples(params: Params) -> Iterator[Group]:
    for domain in params.domains:
        cells = [folder for folder, method in _folders(params, domain, "dev").items() if method in ("lora", "polychromic")]
        decided = [f"results/{domain}/dev/{name}.json" for name in ("choices", "calibration")]
        yield Group(
            f"examples-{domain}",
            "drafts side by side, of prompts that nobody picked, and at every weight of D",
            f"examples {domain}",
            [*_inputs(domain), *decided, *(f"{folder}/{paths.SAMPLES}" for folder in cells)],
            ("report.examples", domain),
            ("lambda", "methods.lora", "methods.polychromic", "analysis.seed"),
            build.outs("examples", domain),
            {"domain": domain, "split": "dev"},
        )


def _judged(root: Path) -> list[str]:
    """What the recorded answers of judges give, where there are such: without them no stage reads or makes it."""
    return [paths.JUDGEMENT.as_posix()] if (root / paths.JUDGED).is_file() else []


def _judge(root: Path, params: Params) -> Iterator[Group]:
    """Replays what judges answered, which is recorded once and committed; a stage never asks anybody."""
    if not (made := _judged(root)):
        return
    domains = [name for name in params.judge.pairs if name in params.domains]
    cells = {
        f"results/{domain}/test/{params.cell(domain, 'test', name).name}/{paths.SAMPLES}"
        for domain in domains for pair in params.judge.of(domain) for name in pair
    }  # fmt: skip
    read = [paths.CALLS.as_posix(), paths.JUDGED.as_posix(), *(f"data/{domain}.jsonl" for domain in domains), *sorted(cells)]
    desc = "what judges answered about the declared pairs, from the recorded calls"
    keys = ("judge", "analysis.bootstrap", "analysis.confidence")
    yield Group("judge", desc, "judge --mode replay", read, ("judge.declared", None), keys, made)


def _explored(params: Params) -> Iterator[Group]:
    """Drafts of each domain, and the page that shows them beside what was compared."""
    found = [(domain, split) for domain in params.domains for split in ("dev", "test") if params.cells(domain, split)]
    for domain in params.domains:
        splits = [split for other, split in found if other == domain]
        cells = [folder for split in splits for folder in _folders(params, domain, split)]
        scores = [f"results/{domain}/{split}/scores.jsonl.gz" for split in splits]
        yield Group(
            f"drafts-{domain}",
            "drafts of some prompts, with validity and near-duplicates, for the page",
            f"drafts {domain}",
            [*_inputs(domain), *scores, f"results/{domain}/dev/choices.json", *(f"{cell}/{paths.SAMPLES}" for cell in cells)],
            ("explore.drafts", domain),
            ("lambda", "split.seed", "sampling.n", *(f"analysis.{split}.{domain}" for split in splits if split == "test")),
            [f"results/{domain}/{split}/drafts.json.gz" for split in splits],
            {"domain": domain},
        )
    read = [f"results/{domain}/{split}/{name}" for domain, split in found for name in ("compare.json", "drafts.json.gz")]
    data = [f"data/{domain}.jsonl" for domain in params.domains]
    desc = "the page that a reader explores: fronts, the drafts behind them, and where each number is from"
    yield Group("explore", desc, "explore", [*read, *data, "requirements.lock"], ("explore.page", None), None, [EXPLORER])


def _of_paper(root: Path, params: Params) -> Iterator[Group]:
    """What is about no single domain, the records of all that the text prints, and the PDF."""
    found = [(domain, split) for split in paths.SPLITS for domain in params.domains if params.cells(domain, split)]
    compares = [f"results/{domain}/{split}/compare.json" for domain, split in found]
    last = [f"results/{domain}/{'test' if params.cells(domain, 'test') else 'dev'}" for domain in params.domains]
    shown = next((folder for folder in last if folder.split("/")[1] == SHOWN), last[0])
    decisive = [*(f"{folder}/compare.json" for folder in last), f"{shown}/drafts.json.gz"]
    timings = [f"{BENCHMARKS}/{name}.json" for name in (f"step_cost-{params.domains[0]}", "gradient_variance")]
    simulated, opened = f"{BENCHMARKS}/fronts.json", f"{BENCHMARKS}/first_opening.json"
    sources = ["paper/main.tex", "requirements.lock", f"{BENCHMARKS}/audit.json", simulated, *_judged(root)]
    for name, desc, deps, keys in (
        ("summary", "baselines, best peers and the headline over all domains, on test where it is opened", decisive, ()),
        ("costs", "seconds of a step and variances of gradients, which `make bench` measured", timings, ("domains",)),
        ("designs", "are intervals and tests right, as simulated; what an earlier opening of test said", [simulated, opened], ()),
        ("judge", "the table of what judges answered, if anybody did", _judged(root), ()),
        ("setup", "the table of defaults, from params.yaml", [], None),
        ("numbers", "the records of every number that the text prints, and their macros", [*sources, *compares, *timings], None),
    ):
        group = "judge-table" if name == "judge" else name  # "judge" asks the store
        yield Group(group, desc, f"report {name}", deps, ("report.build", None), keys, build.outs(name))
    absent, numbers = build.unmade(params), paths.NUMBERS.as_posix()
    shown = [path for path in read_by_paper(root) if path not in absent]
    own = [path for path in shown if path.startswith("paper/tables/provenance-")]
    desc = "where each printed number, figure and table comes from; its deps are the inputs of all stages, which it hashes"
    read = [*(path for path in shown if path not in own), numbers, "polychromic", "data", "requirements.lock", BENCHMARKS]
    yield Group("provenance", desc, "report provenance", read, None, None, own)
    folders = sorted({path.rpartition("/")[0] for path in shown if path.count("/") > 1})
    read = [*(path for path in shown if path.count("/") == 1), *folders, numbers]
    yield Group("paper", "the PDF", "paper", read, ("report.paper", None), (), [PDF])
