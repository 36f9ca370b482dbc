"""`polychromic train --data`: from rows to an adapter in a folder, with its card, its drafts on dev and what it cost.

What can be wrong is found in the order of what it costs: options, rows, the quality function on rows of the user's, then the base. A run
that is killed goes on at its last checkpoint and ends with the same adapter; SIGTERM and Ctrl-C save one first. Everything lies in a hidden
folder of `out` until it is whole; `polychromic.json` is written last: where it is, the rest is.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polychromic import __version__
from polychromic.base.cache import environment
from polychromic.base.drafts import DRAFT
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_object, sha256_json, together, write_json, write_jsonl, write_text
from polychromic.base.locks import single_writer
from polychromic.models import weights
from polychromic.yours.train.functions import Scoring, build, default_names
from polychromic.yours.train.guard import SECONDS
from polychromic.yours.train.rows import Rows, read_rows, shared_prompts, split, text_of
from polychromic.yours.train.settings import SCALE, Settings

CARD = "polychromic.json"
WORK = ".work"  # in `out`, until the adapter is whole
OURS = (WORK, "printed.txt", "judge.jsonl", "tracker.jsonl", "tensorboard")  # what lies in `out` before that
TEST = "test.jsonl"
DEV_PROMPTS = 32  # that are drawn to before and after training
TRIED = 20  # rows whose own completions are judged before training
SLOW = 2.0  # seconds of a call, from which on fewer are tried


@dataclass(frozen=True)
class Request:
    """What the user asks for; names as the options of `polychromic train`."""

    data: Path
    base: str
    out: Path
    settings: Settings
    columns: Mapping[str, str]
    dev: Path | None = None
    quality: Sequence[str] = ()
    combine: str = "product"
    similarity: str | None = None
    encoder: str = "default"
    seconds: float = SECONDS
    report_to: str = "none"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def train(request: Request) -> dict[str, Any]:
    """Trains, or goes on, or finds that all is done; the card (polychromic.yours.train.card).

    Raises UsageError, DataError, PolychromicError: what was asked for cannot be, in one message; StoppedError: it was asked to stop.
    """
    request.settings.check()
    train_rows, dev_rows, test_rows, rows = _rows(request)
    scoring = _scoring(request, [*train_rows, *dev_rows])
    _try(scoring, train_rows, request.settings)
    with single_writer(request.out):
        return _run(request, rows, train_rows, dev_rows, test_rows, scoring)


def _rows(request: Request) -> tuple[list[dict], list[dict], list[dict], Rows]:
    """(train, dev, test, what was read), with what was done said. Test is written down, and nothing looks at it."""
    rows, settings = read_rows(request.data, request.columns), request.settings
    for note in rows.notes:
        say(f"note: {note}")
    prompts = len({text_of(example["prompt"]) for example in rows.examples})
    examples, test_rows = split(rows.examples, settings.test_share, settings.seed) if settings.test_share else (rows.examples, [])
    if request.dev is not None:
        train_rows, dev_rows = examples, read_rows(request.dev, request.columns).examples
        if both := shared_prompts(train_rows, dev_rows):
            say(f"warning: {both} prompts of {request.dev} stand in {request.data}, too: dev's numbers then say less than they seem to")
        how = f"dev: all {len(dev_rows)} rows of {request.dev}"
    else:
        train_rows, dev_rows = split(examples, settings.dev_share / (1 - settings.test_share), settings.seed)
        how = (
            f"split by prompt (near-duplicates together, seed {settings.seed}): {len(train_rows)} rows to train on, {len(dev_rows)} for dev"
        )
        how += "" if dev_rows else "; no dev, so nothing will be measured"
    how += f", {len(test_rows)} set aside in {TEST}" if test_rows else ""
    if settings.patience and not dev_rows:
        raise UsageError("--patience needs rows of dev, whose cross-entropy ends training. Allowed: --dev FILE or --dev-share above 0.")
    say(f"{len(rows.examples)} rows with {prompts} prompts in {request.data}; {how}")
    return train_rows, dev_rows, test_rows, rows


def _scoring(request: Request, examples: Sequence[dict]) -> Scoring:
    quality, similarity = default_names(examples)
    quality, similarity = list(request.quality) or quality, request.similarity or similarity
    if not request.quality:
        why = "the rows have right answers" if "answers" in quality else "the rows have no `valid`"
        say(f"no --quality: {', '.join(quality)} is taken ({why})")
    if request.similarity is None:
        say(f"no --similarity: {similarity} is taken (by the length of the completions)")
    references = [example["row"]["references"] for example in examples]
    return build(
        quality, request.combine, similarity, encoder=lambda: encoder_folder(request.encoder), kept=request.out,
        references=list({texts[0]: texts for texts in references}.values()), seconds=request.seconds,
    )  # fmt: skip


def encoder_folder(name: str) -> Path:
    """Where the sentence encoder lies; PolychromicError where it cannot be had."""
    from polychromic.yours.evaluate.draw import DEFAULT, pinned

    return weights.obtain(pinned().encoder if name == DEFAULT else weights.FolderSource(source="folder", path=name))


def _try(scoring: Scoring, examples: Sequence[dict], settings: Settings) -> None:
    """Asks quality and similarity about completions of the rows themselves, before anything is loaded: faults show here, and what a call
    takes. Raises PolychromicError as they do."""
    found: list[float] = []
    for example in examples[:TRIED]:
        values, took = _asked(scoring, example, settings.n)
        found.append(float(values[0]))
        if len(found) == 1 and took <= SLOW:  # what it takes when it has loaded what it loads, and whether it says the same again
            again, took = _asked(scoring, example, settings.n)
            if again.tolist() != values.tolist():
                say(f"warning: quality gave {values[0]:g} and then {again[0]:g} for the same reply: a run that goes on may differ")
        if took > SLOW:
            calls = _calls(settings, len(examples))
            about = f"about {calls} calls are {took * calls / 60:.0f} minutes" if calls else "it is asked on dev alone"
            say(f"warning: quality and similarity took {took:.1f} s for {settings.n} replies; {about}. Fewer: --share, --every, --steps")
            break
    mean = sum(found) / len(found)
    passed = sum(value >= settings.good for value in found)
    say(f"your own completions have quality {mean:.2f} (mean of {len(found)}); {passed} of them pass (--good {settings.good:g})")
    if mean == 0:
        say("warning: no completion of yours is good by this quality; if they are good, the quality is wrong")


def _asked(scoring: Scoring, example: dict, n: int) -> tuple[np.ndarray, float]:
    """Quality of the row's own completion, n times, and seconds that it took; of a first call those of the user's functions alone, as ours
    load their models then."""
    from polychromic.method.sets import checked

    started, before = time.monotonic(), sum(guard.spent for guard in scoring.guards)
    first, scoring.asked = not scoring.asked, True
    values = checked(scoring.quality, example["row"], [example["completion"]] * n, 1)
    checked(scoring.similarity, example["row"], [example["completion"]] * n, 2)
    return values, sum(guard.spent for guard in scoring.guards) - before if first else time.monotonic() - started


def _calls(settings: Settings, rows: int) -> int:
    """How often training asks about a prompt's replies, about."""
    settings = settings.filled(rows, [1], 0)
    if settings.method == "polychromic":
        return round((settings.steps - settings.after) / settings.every) * max(1, round(settings.share * settings.batch))
    return rows if settings.method == "rft" else 0


def _run(
    request: Request, rows: Rows, train_rows: list[dict], dev_rows: list[dict], test_rows: list[dict], scoring: Scoring
) -> dict[str, Any]:
    from polychromic.models.load import attach_lora, compute_reproducibly
    from polychromic.yours.train import base as bases
    from polychromic.yours.train import card as cards
    from polychromic.yours.train.measure import dev_prompts

    out, work, started = request.out, request.out / WORK, time.monotonic()
    source = bases.source_of(_begun(work, request.base))
    precision = bases.precision_of(request.settings.precision)
    identity = {
        "base": weights.fingerprint(source), "data": rows.sha256, "dev": sha256_json([e["row"] for e in dev_rows]),
        "settings": asdict(request.settings),
        "functions": scoring.names | scoring.identity, "precision": precision, "libraries": environment(), "version": __version__,
    }  # fmt: skip
    if done := _check_begun(out, work, identity):
        say(f"{out} is done: the same rows, base and settings were trained before")
        return done
    folder = weights.obtain(source)
    import torch

    bases.quiet()
    compute_reproducibly(torch.get_num_threads())
    device = bases.best_device()
    model, tokenizer = bases.load(folder, precision, "cpu")
    plain = request.settings.plain or not tokenizer.chat_template
    given = [example | {"prompt": bases.as_asked(example["prompt"], request.settings.system, plain)} for example in train_rows]
    given_dev = [example | {"prompt": bases.as_asked(example["prompt"], request.settings.system, plain)} for example in dev_rows]
    (given, lengths), (given_dev, _) = _fitting(tokenizer, given, request.settings.max_length), _fitting(tokenizer, given_dev, 2**31)
    settings = request.settings.filled(len(given), lengths, sum(p.numel() for p in model.parameters()))
    settings = replace(settings, plain=plain, precision=precision)
    model = attach_lora(model, settings.rank, SCALE * settings.rank, bases.linear_names(model), settings.seed, settings.dropout).to(device)
    asked = dev_prompts(given_dev, DEV_PROMPTS)
    from polychromic.yours.train.steps import Bench

    write_text(work / ".gitignore", "*\n")  # what goes on is no output
    write_json(work / "begun.json", {"identity": identity, "source": source.model_dump()})
    bench = Bench(model, tokenizer, settings, scoring, given, given_dev, asked, work, say, request.report_to)
    bench.tell_plan()
    before = bench.before()
    history, findings, seconds = bench.train()
    found = bench.after()
    adapter = cards.Adapter(
        model=model, tokenizer=tokenizer, source=source, folder=folder, settings=settings, scoring=scoring, data=request.data, rows=rows,
        trained=len(given), dev=asked, before=before, after=found, history=history, findings=findings,
        seconds=seconds, wall=time.monotonic() - started, checked=bench.checked, identity=identity,
    )  # fmt: skip
    with together():
        card = cards.write(adapter, out, work)
        write_jsonl(out / "history.jsonl", history)
        if test_rows:
            write_jsonl(out / TEST, [example["row"] for example in test_rows])
        write_json(out / CARD, card)
    shutil.rmtree(work, ignore_errors=True)
    return card


def _begun(work: Path, base: str) -> str:
    """The base as asked for; a repository that was pinned when the run began stays pinned."""
    path = work / "begun.json"
    source = read_object(path)["source"] if path.is_file() else {}
    return f"{base}@{source['revision']}" if source.get("repository") == base else base


def _check_begun(out: Path, work: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The card where this very run is done; None where it is to be begun or to go on. Raises PolychromicError: `out` holds another."""
    for path, read in (
        (out / CARD, lambda document: document.get("identity")),
        (work / "begun.json", lambda document: document["identity"]),
    ):
        if not path.is_file():
            continue
        document = read_object(path)
        before = read(document) or {}
        if before == identity:
            return document if path.name == CARD else None
        changed = ", ".join(key for key in identity if before.get(key) != identity[key])
        inner = [key for key in identity["settings"] if before.get("settings", {}).get(key) != identity["settings"][key]]
        changed += f" ({', '.join(inner)})" if "settings" in changed and inner else ""
        allowed = "to go on as it was begun. Choose another --out, or delete it"
        raise PolychromicError(f"--out {out} was {'made' if path.name == CARD else 'begun'} with another {changed}. Allowed: {allowed}.")
    if out.is_dir() and (kept := [path.name for path in out.iterdir() if path.name not in OURS and not path.name.startswith(DRAFT)]):
        allowed = "an empty folder, or one that this command began"
        raise PolychromicError(f"--out {out} holds {kept[0]!r}, which was not made here. Allowed: {allowed}. Choose another.")
    return None


def _fitting(tokenizer: Any, examples: list[dict], longest: int) -> tuple[list[dict], list[int]]:
    """The examples of at most so many tokens, and the tokens of their completions; how many are left out is said.

    Raises PolychromicError: none is left.
    """
    from polychromic.train.batches import encode_completion
    from polychromic.yours.train.base import encoded

    prompts = encoded(tokenizer, [(example["where"], example["prompt"]) for example in examples])
    lengths = [len(encode_completion(tokenizer, example["completion"])) for example in examples]
    kept = [place for place, ids in enumerate(prompts) if len(ids) + lengths[place] <= longest]
    if len(kept) < len(examples):
        say(f"note: {len(examples) - len(kept)} of {len(examples)} rows are longer than {longest} tokens and left out (--max-length)")
    if examples and not kept:
        raise PolychromicError(
            f"no row is left of {len(examples)}: all are longer than {longest} tokens. Allowed: shorter rows. Raise --max-length."
        )
    return [examples[place] for place in kept], [lengths[place] for place in kept]
