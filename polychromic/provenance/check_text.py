"""Checks of what the paper prints: records and tables are the results' own, keys are defined, nothing is typed by hand."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.provenance.lock import File
from polychromic.provenance.prose import typed_digits
from polychromic.provenance.records import definitions
from polychromic.provenance.state import Row, State, count, row
from polychromic.report import audit, compute, confirmation, cost_numbers, costs, designs, numbers, records, results, summary, tables

READ = ("compare.json", "select.json", "openers.json", "test.json")
MACROS = {"costs": "cost"}  # results/costs/numbers.json.gz goes to paper/numbers/cost.tex
OF_RESULTS = ("systems", "metrics", "contrasts", "lambda", "tries")  # tables that are a function of a domain's compare.json
HEADLINE = re.compile(r"([^.]+)\.primary\.(?:delta|ci)")
REMEDY = "Nobody edits these by hand: `git checkout` and `dvc checkout` take them back, `dvc repro` makes them again."


def recorded(here: State) -> Row:
    """Each record is what its results give now, and each macro says what its record does."""
    wrong, seen = [], 0
    with _results(here) as folder:
        for name, again in _regenerated(here, folder).items():
            file = _record_file(name)
            lies = {one["key"]: one for one in read_json(_place(here, file))}
            made = {one["key"]: one for one in records.to_json(again)}
            seen += len(made)
            wrong += [f"{file}: {key} is {_text(lies, key)}, results give {_text(made, key)}" for key in sorted({*lies, *made}) if
                      lies.get(key) != made.get(key)]  # fmt: skip
            macros = f"paper/numbers/{MACROS.get(name, name)}.tex"
            printed = definitions(_place(here, macros).read_text(encoding="utf-8"))
            texts = {key: one["text"] for key, one in lies.items()}
            wrong += [f"{macros}: {key} prints {printed.get(key)!r}, its record {texts.get(key)!r}" for key in sorted({*printed, *texts}) if
                      printed.get(key) != texts.get(key)]  # fmt: skip
    return row("records", "what results/ give, and what macros print", count(seen, "record"), wrong, REMEDY)


def _record_file(name: str) -> str:
    """Of the macros in paper/numbers/{name}.tex; "listqa-test" has those about test."""
    return f"results/{name.removesuffix('-test')}/test-numbers.json.gz" if name.endswith("-test") else f"results/{name}/numbers.json.gz"


def tabulated(here: State) -> Row:
    """The tables that are a function of a domain's results say what these give now."""
    wrong, seen = [], 0
    with _results(here) as folder:
        for domain in here.params.domains:
            compare = results.load(domain, folder)
            for name in OF_RESULTS:
                file, again = f"paper/tables/{domain}-{name}.tex", getattr(tables, f"{name}_table")(compare)
                seen += 1
                lies = _place(here, file).read_text(encoding="utf-8")
                if lies != again:
                    pairs = zip(lies.splitlines(), again.splitlines(), strict=False)
                    number = next((place for place, (one, other) in enumerate(pairs, start=1) if one != other), 0)
                    wrong.append(f"{file}:{number} is not what {domain}/compare.json gives")
    return row("tables", "what results/ give", count(seen, "table"), wrong, REMEDY)


def used(here: State) -> Row:
    r"""Every \num{key} is defined, once."""
    defined: dict[str, str] = {}
    wrong = []
    for path in sorted((here.folder / "paper" / "numbers").glob("*.tex")):
        for key in definitions(path.read_text(encoding="utf-8")):
            if key in defined:
                wrong.append(f"{key} is defined in {defined[key]} and in {path.name}")
            defined[key] = path.name
    uses = here.manuscript.uses
    wrong += [f"{use.file}:{use.line}: {use.key} is not defined" for use in uses if use.key not in defined]
    return row("numbers in use", "every \\num key is defined", f"{len(uses)} uses of {len(here.manuscript.keys)}", wrong,
               "Correct the key (`polychromic trace KEY` suggests similar ones), or run `dvc repro`.")  # fmt: skip


def headline(here: State) -> Row:
    """The primary contrast of each domain is printed, in the text or among all contrasts: what was declared to decide is not left out."""
    listed, inputs = set(here.manuscript.keys), here.manuscript.inputs
    wanted = {key: found[1] for key in here.records if (found := HEADLINE.fullmatch(key))}
    wrong = [
        f"{key} ({here.records[key].text}) is printed nowhere"
        for key, domain in wanted.items()
        if key not in listed and here.records[key].text not in inputs.get(f"paper/tables/{domain}-contrasts.tex", "")
    ]
    remedy = "Print it with \\num{key}, or \\input its table of contrasts: what was declared to decide is reported, whatever it says."
    return row("headline", "primary contrasts are printed", count(len(wanted), "number"), wrong, remedy)


def typed(here: State) -> Row:
    """No digit of the text is typed by hand, but structure, names and years."""
    found = typed_digits(here.manuscript, here.params.analysis.confidence)
    remedy = "Print the record with \\num{key}; `polychromic trace` finds it by its text."
    return row("typed digits", "none in paper/main.tex", "none", [f"paper/main.tex:{line}: “{words}”" for line, words in found], remedy)


def _place(here: State, path: str) -> Path:
    place = here.place(here.made.get(path) or File(path, None, None))
    if place is None:
        raise PolychromicError(f"{path}: neither here nor in store/. Run `dvc pull`, or `dvc repro`.")
    return place


@contextmanager
def _results(here: State) -> Iterator[Path]:
    """results/ of all domains in one folder, from the store where they are not here."""
    with tempfile.TemporaryDirectory(prefix="polychromic-verify-") as name:
        for path in here.made:
            folder, _, file = path.removeprefix("results/").rpartition("/")
            if path.startswith("results/") and file in READ:
                (Path(name) / folder).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(_place(here, path), Path(name) / folder / file)
        yield Path(name)


def _regenerated(here: State, folder: Path) -> Mapping[str, list[records.Number]]:
    """The records of each results/NAME/numbers.json.gz as polychromic.report makes them from the results in `folder`."""
    params, benchmarks = here.params, here.folder / "benchmarks" / "results"
    found: dict[str, list[records.Number]] = {}
    compares = {domain: results.load(domain, folder) for domain in params.domains}
    timings = {domain: benchmarks / f"step_cost-{domain}.json" for domain in params.domains}
    steps = {domain: costs.load(costs.StepCost, file) for domain, file in timings.items() if file.exists()}
    for domain, compare in compares.items():
        cost = steps.get(domain)
        spent = cost_numbers.headline_numbers(cost, compare.headline, f"{domain}.cost") if cost else []
        equal = cost_numbers.equal_cost_numbers(cost, compare) if cost else []
        found[domain] = records.unique([*numbers.domain_numbers(compare), *spent, *equal])
    first = params.domains[0]
    sampler = costs.load(costs.Sampler, benchmarks / "sampler.json")
    variance = costs.load(costs.GradientVariance, benchmarks / "gradient_variance.json")
    spent = cost_numbers.cost_numbers(steps[first], sampler, variance, compares[first].headline)
    found["costs"] = records.unique([*spent, *compute.compute_numbers(list(compares.values()), steps)])
    found["designs"] = designs.designs_numbers(results.parse(designs.Designs, benchmarks / "calibration.json"))
    found["setup"] = numbers.setup_numbers(params.model_dump(mode="json", by_alias=True))
    tests = {domain: results.parse(results.Confirmation, folder / domain / "test.json") for domain in params.domains}
    found |= {f"{domain}-test": confirmation.test_numbers(test) for domain, test in tests.items()}
    found["summary"] = summary.summary_numbers(list(tests.values()))
    found["audit"] = audit.audit_numbers(audit.load(here.folder / audit.SOURCE))
    if (folder / "replies" / "openers.json").is_file() and "replies" in compares:
        from polychromic.report import people

        openers = results.parse(people.Openers, folder / "replies" / "openers.json")
        found["people"] = people.people_numbers(openers, compares["replies"])
    return found


def _text(rows: Mapping[str, dict], key: str) -> str:
    return f"{rows[key]['text']!r} ({rows[key]['value']})" if key in rows else "not there"
