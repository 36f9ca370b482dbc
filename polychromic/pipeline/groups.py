"""The groups of stages, inputs first: what a stage's command, deps, parameters and outs are. polychromic.pipeline.stages prints them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.params import Params
from polychromic.pipeline.imports import code_deps
from polychromic.report import build

RUN = "python -m polychromic"
PROMPTS = "polychromic/models/prompts.yaml"
BENCHMARKS = "benchmarks/results"
SAMPLING = "sample"  # the command of everything that trains or samples
WHOLE_FILE: tuple[str, ...] = ()
PLOTS = ("frontier.csv", "lambda.csv", "training.csv")

Each = dict[str, dict[str, str]]  # key of a stage's item -> what ${item.NAME} stands for
Keys = dict[str, tuple[str, ...]]  # file -> dotted keys; WHOLE_FILE: all of it


@dataclass(frozen=True)
class Group:
    """Stages that differ in their items alone, or the one there is where `each` is None. Texts may hold ${item.NAME} and ${lambda}."""

    name: str
    desc: str
    cmd: str
    deps: Sequence[str]
    params: Keys
    outs: Mapping[str, bool]
    axes: Mapping[str, str] = field(default_factory=dict)
    each: Each | None = None
    lambdas: tuple[float, ...] = ()  # a matrix over ${lambda} and these, instead of `each`


def groups(root: Path, params: Params) -> list[Group]:
    """All groups, inputs first."""
    by_split = [group for split in paths.SPLITS for group in _of_split(root, params, split)]
    return [_split(root, params), *_cells(root, params), *by_split, *_examples(root, params), *_of_paper(root, params)]


def _yaml(*keys: str, prompts: Sequence[str] = ()) -> Keys:
    return {paths.PARAMS.as_posix(): keys} | ({PROMPTS: tuple(prompts)} if prompts else {})


def _domains(names: Sequence[str]) -> Each:
    return {name: {"domain": name} for name in names}


def _split(root: Path, params: Params) -> Group:
    return Group(
        "split",
        "train / dev / test, grouped and stratified; fails on leakage",
        f"{RUN} split ${{item.domain}}",
        ["data/${item.domain}.jsonl", *code_deps(root, "data.split", None)],
        _yaml("split", "${item.domain}.sizes"),
        {"results/${item.domain}/split.json": True},
        each=_domains(params.domains),
    )


# How a cell's method trains -> what its parameters are, beside those of every cell.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "prompted": ("the base model, by prompt alone", ("few_shot",)),
    "tuned": ("LoRA on a quality loss, without the checker", ("encoder", "lora", "train", "${item.domain}.steps")),
    "checked": (
        "LoRA with the checker: set objectives and self-training, at a weight of their own",
        ("encoder", "lora", "train", "objective", *(f"${{item.domain}}.{key}" for key in ("steps", "rollouts", "pool_samples"))),
    ),
}
ALL = "every system"  # on test and on calibration one kind is enough: nothing there is an axis of ablations
OF_SPLIT = {
    "dev": (("seeds", "${item.domain}.temperatures"), "sampled on dev"),
    "test": (("analysis.seed", "analysis.test.${item.domain}"), "sampled on test, once what was declared for it is committed"),
    "calibration": (("seeds",), "answering what many people answered"),
}


def _cells(root: Path, params: Params) -> Iterator[Group]:
    """Per kind and split the cells of all domains; and, where the weight of D is the grid's axis, per domain and split its weights."""
    for split in paths.SPLITS:
        keys, what = OF_SPLIT[split]
        grid = [(domain, cell) for domain in params.domains for cell in params.cells(domain, split)]
        kinds = KINDS if split == "dev" else {"cells": (ALL, ("few_shot", *KINDS["checked"][1]))}
        for kind, (desc, of_kind) in kinds.items():
            each: Each = {}
            for domain, cell in grid:
                if (split != "dev" or _kind(params, cell.method) == kind) and (cell.lam is None or split == "test"):
                    item = {"domain": domain, "method": cell.method, "prompt": params.methods[cell.method].prompt}
                    each[f"{domain}-{cell.method}"] = item | ({"cell": cell.name} if split == "test" else {})
            if each:
                yield _cell_group(root, f"{kind}-{split}", f"{desc}; {what}", split, (*keys, *of_kind), kind, each)
        for domain in params.domains:
            weighted = {cell.method: [] for of, cell in grid if of == domain and cell.lam is not None and split != "test"}
            for method in weighted:
                lambdas = tuple(params.domain(domain).lambdas)
                yield _weighted(root, params, domain, split, method, lambdas, what)


def _kind(params: Params, name: str) -> str:
    method = params.methods[name]
    if method.adapter == "none":
        return "prompted"
    return "checked" if method.objective != "none" or method.self_training else "tuned"


def _cell_params(keys: Sequence[str], prompt: str) -> Keys:
    of_all = ("threads", "model", "sampling", "${item.domain}.max_new_tokens", "methods.${item.method}")
    return _yaml(*of_all, *keys, prompts=[f"${{item.domain}}.{prompt}"])


def _cell_group(root: Path, name: str, desc: str, split: str, keys: Sequence[str], kind: str, each: Each) -> Group:
    folder = f"results/${{item.domain}}/{split}/${{item.{'cell' if split == 'test' else 'method'}}}"
    outs = {f"{folder}/{paths.SAMPLES}": True}
    if split == "dev" and kind != "prompted":
        outs[f"{folder}/{paths.HISTORY}"] = True
    return Group(
        name,
        desc,
        f"{RUN} {SAMPLING} ${{item.domain}} ${{item.method}} --split {split}",
        _cell_deps(root, "${item.domain}"),
        _cell_params(keys, "${item.prompt}"),
        outs,
        {"split": split},
        each,
    )


def _weighted(root: Path, params: Params, domain: str, split: str, method: str, lambdas: tuple[float, ...], what: str) -> Group:
    folder = f"results/{domain}/{split}/{method}-${{item.lam}}"
    keys = [*OF_SPLIT[split][0], *KINDS[_kind(params, method)][1]]
    fixed = {"item.domain": domain, "item.method": method, "item.prompt": params.methods[method].prompt}
    settled = {
        file: tuple(re.sub(r"\$\{([\w.]+)\}", lambda found: fixed[found[1]], key) for key in entry)
        for file, entry in _cell_params(keys, "${item.prompt}").items()
    }
    return Group(
        f"{method}-{split}-{domain}",
        f"Polychromic LoRA at the headline lambda and over its grid on {domain}; {what} (a value that stands twice is one cell)",
        f"{RUN} {SAMPLING} {domain} {method} --lam ${{item.lam}} --split {split}",
        _cell_deps(root, domain),
        settled,
        {f"{folder}/{name}": True for name in (paths.SAMPLES, *([paths.HISTORY] if split == "dev" else []))},
        {"domain": domain, "split": split, "method": method},
        lambdas=lambdas,
    )


def _cell_deps(root: Path, domain: str) -> list[str]:
    return [f"data/{domain}.jsonl", f"results/{domain}/split.json", *code_deps(root, "sample.cells", domain)]


def _samples(params: Params, domain: str, split: str) -> list[str]:
    """Samples of all cells of a split; ${lambda} in place of the headline's weight."""
    return [f"{_folder(domain, split, cell)}/{paths.SAMPLES}" for cell in _with_headline(params, domain, split)]


def _histories(params: Params, domain: str) -> list[str]:
    trained = [(method, name) for method, name in _with_headline(params, domain, "dev") if params.methods[method].adapter == "lora"]
    return [f"{_folder(domain, 'dev', cell)}/{paths.HISTORY}" for cell in trained]


def _with_headline(params: Params, domain: str, split: str) -> list[tuple[str, str]]:
    """(method, folder) of each cell: the grid's weights as declared, and the headline's as ${lambda}, which DVC fills in."""
    found: dict[str, str] = {}
    for cell in params.cells(domain, split):
        if cell.lam is not None and split != "test":
            found[f"{cell.method}-${{lambda}}"] = cell.method
            if cell.lam not in params.domain(domain).lambdas:
                continue
        found[cell.name] = cell.method
    return [(method, name) for name, method in found.items()]


def _folder(domain: str, split: str, cell: tuple[str, str]) -> str:
    return f"results/{domain}/{split}/{cell[1]}"


def _of_split(root: Path, params: Params, split: str) -> Iterator[Group]:
    """Scores, comparison and report of a split, for the domains that have systems there."""
    domains = [domain for domain in params.domains if params.cells(domain, split)]
    for domain in domains:
        folder = f"results/{domain}/{split}"
        about = {"domain": domain, "split": split}
        if split != "calibration":
            yield _score(root, params, domain, split, folder)
        if split == "dev":
            yield Group(
                f"compare-dev-{domain}",
                "what dev decides: temperatures, best peers, lambda; systems with intervals, paired contrasts with tests",
                f"{RUN} compare {domain} --split dev",
                [paths.scores_file(domain, split).as_posix(), f"{folder}/calibration.json", f"{folder}/signatures.json",
                 *_timings(root, domain), *_histories(params, domain), *code_deps(root, "compare.compare", None)],
                _yaml("lambda", "methods", "analysis", "sampling.n", "seeds", f"{domain}.steps", f"{domain}.metrics", f"{domain}.lambdas"),
                {f"{folder}/{name}": True for name in ("choices.json", "compare.json", "metrics.json", *PLOTS)},
                about,
            )  # fmt: skip
        if split == "calibration":
            yield Group(
                f"compare-calibration-{domain}",
                "how alike drafts are beside people, and how many people they match",
                f"{RUN} compare {domain} --split calibration",
                [f"data/{domain}.jsonl", f"results/{domain}/split.json", f"results/{domain}/dev/calibration.json",
                 *_samples(params, domain, split), *code_deps(root, "compare.people", domain)],
                _yaml("lambda", "threads", "encoder", "methods", "seeds", "analysis.seed", "analysis.bootstrap", "analysis.confidence",
                      f"{domain}.people", f"{domain}.lambdas"),
                {f"{folder}/compare.json": True},
                about,
            )  # fmt: skip
    if split == "test" and domains:
        yield Group(
            "compare-test",
            "the declared contrasts, on test",
            f"{RUN} compare ${{item.domain}} --split test",
            ["results/${item.domain}/test/scores.jsonl.gz", "results/${item.domain}/test/machines.json",
             *code_deps(root, "compare.compare", None)],
            _yaml("methods", "sampling.n", "${item.domain}.steps", "${item.domain}.metrics", *(f"analysis.{key}" for key in (
                "seed", "confidence", "bootstrap", "permutations", "endpoints.${item.domain}", "margin", "test.${item.domain}"))),
            {f"results/${{item.domain}}/test/{name}": True for name in ("compare.json", "metrics.json")},
            {"split": split},
            _domains(domains),
        )  # fmt: skip
    if domains:
        yield _report(root, split, domains)


def _timings(root: Path, domain: str) -> list[str]:
    """The step times of a domain, where `make bench` wrote them."""
    name = f"{BENCHMARKS}/step_cost-{domain}.json"
    return [name] if (root / name).is_file() else []


def _score(root: Path, params: Params, domain: str, split: str, folder: str) -> Group:
    keys = ["threads", "model", "encoder", "scoring", "sampling.n", "sampling.precision", "objective.n", "split.seed", f"{domain}.metrics"]
    keys += (
        ["methods", "seeds", f"{domain}.lambdas"] if split == "dev" else ["methods.polychromic", "analysis.seed", f"analysis.test.{domain}"]
    )
    made = ("scores.jsonl.gz", "calibration.json", "signatures.json") if split == "dev" else ("scores.jsonl.gz", "machines.json")
    return Group(
        f"score-{split}-{domain}",
        f"every metric of the domain, per prompt of {split}",
        f"{RUN} score {domain} --split {split}",
        [f"data/{domain}.jsonl", f"results/{domain}/split.json", *_samples(params, domain, split), *code_deps(root, "score.score", domain)],
        _yaml(*keys, prompts=[f"{domain}.zero_shot"]),
        {f"{folder}/{name}": True for name in made},
        {"domain": domain, "split": split},
    )


def _report(root: Path, split: str, domains: Sequence[str]) -> Group:
    of = "${item.domain}"
    deps = [f"results/{of}/{split}/compare.json", *code_deps(root, "report.build", None)]
    if split == "dev":
        deps += [f"{BENCHMARKS}/step_cost-{of}.json"] if all(_timings(root, domain) for domain in domains) else []
    made = {path: False for domain in domains[:1] for path in build.outs("report", domain, split)}
    outs = {re.sub(rf"(?<=/){domains[0]}(?=-)", of, path): cached for path, cached in made.items()}
    return Group(
        f"report-{split}",
        f"tables and figures about {split}",
        f"{RUN} report {of} --split {split}",
        deps,
        {},
        outs,
        {"split": split},
        _domains(domains),
    )


def _examples(root: Path, params: Params) -> Iterator[Group]:
    for domain in params.domains:
        cells = [cell for cell in _with_headline(params, domain, "dev") if cell[0] in ("lora", "polychromic")]
        yield Group(
            f"examples-{domain}",
            "drafts side by side, of prompts that nobody picked, and at every weight of D",
            f"{RUN} examples {domain}",
            [f"data/{domain}.jsonl", f"results/{domain}/split.json", f"results/{domain}/dev/choices.json",
             f"results/{domain}/dev/calibration.json", *(f"{_folder(domain, 'dev', cell)}/{paths.SAMPLES}" for cell in cells),
             *code_deps(root, "report.examples", domain)],
            _yaml("lambda", "methods.lora", "methods.polychromic", "analysis.seed"),
            {path: False for path in build.outs("examples", domain, None)},
            {"domain": domain, "split": "dev"},
        )  # fmt: skip


def _of_paper(root: Path, params: Params) -> Iterator[Group]:
    """What is about no single domain, the records of all that the text prints, and the PDF."""
    compares = [
        f"results/{domain}/{split}/compare.json" for split in paths.SPLITS for domain in params.domains if params.cells(domain, split)
    ]
    tests = [path for path in compares if "/test/" in path]
    timings = [name for domain in params.domains for name in _timings(root, domain)]
    machines = [f"{BENCHMARKS}/sampler.json", f"{BENCHMARKS}/gradient_variance.json"]
    code = code_deps(root, "report.build", None)
    tables = {
        "summary": ("the four baselines over all domains, on test", tests, _yaml("domains")),
        "costs": ("what diversity costs, from the timings that `make bench` wrote", [*timings, *machines, compares[0]], _yaml("domains")),
        "designs": ("are intervals and tests right, from the simulation of `make calibration`", [f"{BENCHMARKS}/calibration.json"], {}),
        "setup": ("the table of defaults, from params.yaml", [], {paths.PARAMS.as_posix(): WHOLE_FILE}),
    }
    for name, (desc, deps, keys) in tables.items():
        outs = {path: False for path in build.outs(name, None, None)}
        yield Group(name, desc, f"{RUN} report {name}", [*deps, *code], keys, outs)
    records = ["paper/main.tex", "requirements.lock", f"{BENCHMARKS}/audit.json", f"{BENCHMARKS}/calibration.json"]
    yield Group(
        "numbers",
        "the records of every number that the text prints, and their macros",
        f"{RUN} report numbers",
        [*records, *compares, *timings, *machines, *code],
        {paths.PARAMS.as_posix(): WHOLE_FILE},
        {paths.NUMBERS.as_posix(): True, "paper/numbers.tex": False},
    )
    shown = read_by_paper(root)
    own = sorted(path for path in shown if path.startswith("paper/tables/provenance-"))
    folders = {path.rpartition("/")[0] for path in shown if path.count("/") > 1}
    yield Group(
        "provenance",
        "where each printed number, figure and table comes from; its deps are the inputs of all stages, which it hashes",
        f"{RUN} report provenance",
        [*(path for path in shown if path not in own), paths.NUMBERS.as_posix(), "polychromic", "data", "requirements.lock", BENCHMARKS],
        {paths.PARAMS.as_posix(): WHOLE_FILE},
        dict.fromkeys(own, False),
    )
    yield Group(
        "paper",
        "the PDF",
        f"{RUN} paper",
        [
            *(path for path in shown if path.count("/") == 1),
            *sorted(folders),
            paths.NUMBERS.as_posix(),
            *code_deps(root, "report.paper", None),
        ],
        {},
        {"paper/main.pdf": True},
    )


def read_by_paper(root: Path) -> list[str]:
    r"""What main.tex reads: itself, its bibliography, what it \inputs and what it shows; sorted."""
    main = root / paths.PAPER / "main.tex"
    if not main.is_file():
        raise PolychromicError(f"{main}: file not found. Restore it with `git checkout {paths.PAPER}/main.tex`.")
    text = re.sub(r"(?<!\\)%.*", "", main.read_text(encoding="utf-8"))
    found = {f"{name}.tex" for name in re.findall(r"\\input\{([^}]+)\}", text)}
    found |= {f"{name}.pdf" for name in re.findall(r"\\includegraphics(?:\[[^\]]*\])?\{([^}]+)\}", text)}
    found |= {f"{name}.bib" for name in re.findall(r"\\bibliography\{([^}]+)\}", text)}
    return sorted(f"{paths.PAPER}/{name}" for name in {*found, "main.tex"})


def metric_files(params: Params) -> list[str]:
    """What `dvc metrics` shows, a small JSON per domain and split."""
    return [f"results/{domain}/{split}/metrics.json" for split in ("dev", "test") for domain in params.domains]


def plots(params: Params) -> dict[str, dict[str, str]]:
    """What `dvc plots` shows: file -> its axes and template."""
    found = {}
    for domain in params.domains:
        quality, primary = params.endpoint(domain).quality, params.endpoint(domain).primary
        axes = {
            "frontier.csv": {"x": quality, "y": primary, "title": f"frontier on {domain}", "template": "scatter"},
            "lambda.csv": {"x": "lambda", "y": "objective", "title": f"D over lambda on {domain}"},
            "training.csv": {"x": "step", "y": "ce", "title": f"cross-entropy while training on {domain}"},
        }
        found |= {f"results/{domain}/dev/{name}": axes[name] for name in PLOTS}
    return found
