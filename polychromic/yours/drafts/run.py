"""`polychromic draw`: k drafts per prompt as JSON lines, which `evaluate`, `compare-files` and `samples` read.

With --out, lines are appended block by block and a run that is killed goes on with the block in which it was, to the bytes of an
undisturbed one; without, each line goes to standard output as soon as it is there. What an adapter's card says (base, form of the prompts,
temperature, min-p, length, k) is taken where the user says nothing.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from polychromic.base.cache import environment
from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import dumps, read_object, read_text, sha256_json, write_json
from polychromic.base.locks import single_writer
from polychromic.base.parse import parse_json
from polychromic.base.paths import real
from polychromic.base.progress import progress
from polychromic.base.seeds import derive_seed
from polychromic.base.visible import visible_json
from polychromic.models import weights
from polychromic.yours.train.rows import asked, renamed, text_of
from polychromic.yours.train.run import CARD

STDIN = "-"
ROWS = 64  # drafts decoded at once
K, LENGTH, POOL = 5, 128, 4  # where neither the user nor a card says it; drafts drawn for each that is kept
ASKED = "a JSON object with a prompt (a text or a chat) or messages, or in a .txt file or on standard input a line of text"


@dataclass(frozen=True)
class Request:
    """Names as the options of `polychromic draw`; None takes what the adapter's card says."""

    prompts: str
    adapters: tuple[Path, ...]
    base: str | None
    base_alone: bool
    k: int | None
    out: Path | None
    select: str | None
    pool: int | None
    temperature: float | None
    min_p: float | None
    max_new_tokens: int | None
    columns: Mapping[str, str]
    system: str | None
    plain: bool | None
    seed: int
    precision: str


def draw(request: Request) -> None:
    """Draws, or goes on. Raises UsageError, DataError, PolychromicError: what was asked for cannot be, before the first draw."""
    request = with_card(request)
    _check(request)
    stream = request.prompts == STDIN
    rows: Iterable[dict[str, Any]] = read_prompts(request.prompts, request.columns)
    if not stream:
        rows = list(rows)
    if request.out is None:
        with contextlib.suppress(BrokenPipeError):
            for line in _lines(request, load(request), rows, 0, None if stream else len(rows)):
                print(visible_json(line), flush=True)  # what a terminal would obey is spelled as JSON spells it
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read it is gone; nor does the interpreter's end complain
        return
    with single_writer(request.out):
        _to_file(request, rows, stream)


def with_card(request: Request) -> Request:
    """The request with what the adapter's card, or else the defaults, say. Raises PolychromicError: a folder that is no adapter's."""
    for adapter in request.adapters:
        if not (adapter / "adapter_config.json").is_file():
            allowed = "a folder that `polychromic train --out` or PEFT's save_pretrained wrote"
            raise PolychromicError(f"--adapter {adapter}: no adapter_config.json there. Allowed: {allowed}. Check the path.")
    cards = [read_object(adapter / CARD) for adapter in request.adapters if (adapter / CARD).is_file()]
    card = cards[0] if cards else {}
    drawing, form = card.get("drawing", {}), card.get("prompts", {})
    if request.base is None and not card and not request.adapters:
        raise UsageError("draw got neither --base nor --adapter. Allowed: a base model, an adapter that says its base, or both. Add one.")
    given = {
        "k": request.k or drawing.get("k", K),
        "temperature": drawing.get("temperature", 1.0) if request.temperature is None else request.temperature,
        "min_p": drawing.get("min_p", 0.0) if request.min_p is None else request.min_p,
        "max_new_tokens": request.max_new_tokens or drawing.get("max_new_tokens", LENGTH),
        "system": request.system if request.system is not None else form.get("system"),
        "plain": form.get("plain", False) if request.plain is None else request.plain,
    }  # fmt: skip
    given["pool"] = (request.pool or POOL * given["k"]) if request.select else given["k"]
    return replace(request, **given)


def _check(request: Request) -> None:
    if not 0 <= request.temperature < float("inf"):
        raise UsageError(f"--temperature is {request.temperature:g}. Allowed: a finite number of 0 or more; 0 takes the likeliest token.")
    if request.pool < request.k:
        raise UsageError(f"--pool is {request.pool}, and {request.k} drafts are to be kept of it. Allowed: {request.k} or more. Raise it.")
    if request.base_alone and not request.adapters:
        raise UsageError("--base-alone takes the settings of an adapter's card, and there is no --adapter. Allowed: both, or neither.")
    if request.select and request.temperature == 0:
        raise UsageError("--select chooses among drafts that differ, and --temperature 0 draws one and the same. Allowed: more than 0.")


def read_prompts(source: str, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """{"id", "prompt" (as it is asked), "where", "kept": what goes into the line of drafts}, one by one.

    Raises DataError: a line that asks nothing, or an id for the second time; PolychromicError: no line.
    """
    seen: dict[str, str] = {}
    number = 0
    for where, raw in _raw(source):
        raw = {"prompt": raw} if isinstance(raw, str) else renamed(where, raw, columns)
        prompt = asked(where, {"messages": raw["messages"]} if "messages" in raw else raw)
        name = str(raw.get("id", number)).strip() or str(number)
        if seen.setdefault(name, where) != where:
            raise DataError(where, f"id {name!r} was already used at {seen[name]}", "each id once")
        kept = {key: raw[key] for key in ("references", "valid", "messages") if raw.get(key)}
        if isinstance(kept.get("valid"), list) and isinstance(kept["valid"][0], bool):
            del kept["valid"]  # of other drafts
        if not isinstance(prompt, str):
            kept["messages"] = prompt
        number += 1
        yield {"id": name, "prompt": prompt, "where": where, "kept": kept | {"id": name, "prompt": text_of(prompt)}}
    if not number:
        raise PolychromicError(f"--prompts {source}: no line. Allowed: {ASKED}.")


def _raw(source: str) -> Iterator[tuple[str, object]]:
    """(where it stands, a text or a row)."""
    if source != STDIN and not source.endswith(".txt"):
        from polychromic.yours.train.rows import _raw as rows_of

        yield from rows_of(Path(source))
        return
    if source != STDIN and not Path(source).exists():
        raise PolychromicError(f"--prompts {source}: no such file. Allowed: {ASKED}. Check the path.")
    lines = sys.stdin if source == STDIN else read_text(source).removeprefix("\ufeff").splitlines()
    for number, line in enumerate(lines, start=1):
        where = f"{'standard input' if source == STDIN else source}:{number}"
        if not line.strip():
            continue
        if source == STDIN and line.lstrip().startswith("{"):
            try:
                yield where, parse_json(line.encode())
            except ValueError as error:
                raise DataError(where, str(error), ASKED) from None
        else:
            yield where, line.strip()


def _to_file(request: Request, rows: Iterable[dict[str, Any]], stream: bool) -> None:
    """Appends to `out` what is not there yet; beside it a .json says what it was drawn with."""
    path, facts = request.out, request.out.with_suffix(".json")
    about = {name: value for name, value in vars(request).items() if name not in ("out", "adapters", "prompts", "columns")}
    identity = about | {"adapters": [_adapter_hash(one) for one in request.adapters], "libraries": environment()}
    identity["prompts"] = STDIN if stream else sha256_json([row["kept"] for row in rows])
    if path.exists():
        before = read_object(facts) if facts.is_file() else {}
        if stream or before != identity:
            changed = ", ".join(key for key in identity if before.get(key) != identity[key])
            problem = (
                "holds drafts, and standard input cannot be read again"
                if stream
                else f"was begun with another {changed}"
                if before
                else "was not drawn here"
            )
            raise PolychromicError(f"--out {path} {problem}. Allowed: to go on as it was begun. Choose another --out, or delete it.")
    size = 1 if stream else max(1, ROWS // request.pool)
    total = None if stream else len(rows)
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if path.exists() else []
    done = len(lines) if len(lines) == total else len(lines) // size * size
    if done == total:
        print(f"{path} is done: all {total} prompts have drafts", file=sys.stderr)
        return
    loaded = load(request)  # what can be wrong with it is, before a file is touched
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(facts, identity)
    with path.open("ab") as file:
        file.truncate(sum(map(len, lines[:done])))
        for line in _lines(request, loaded, rows, done, total):
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def _lines(request: Request, loaded: Any, rows: Iterable[dict[str, Any]], done: int, total: int | None) -> Iterator[str]:
    """The JSON lines from place `done` on; loaded: (model, tokenizer)."""
    from polychromic.yours.train.base import as_asked, encoded

    model, tokenizer = loaded
    plain = request.plain or not tokenizer.chat_template
    source, size, first = iter(rows), 1 if total is None else max(1, ROWS // request.pool), done
    next(islice(source, done, done), None)
    what = progress("drafts", total) if total else contextlib.nullcontext(lambda done: None)
    with what as tick:
        while block := list(islice(source, size)):
            prompts = [(row["where"], as_asked(row["prompt"], request.system, plain)) for row in block]
            ids = encoded(tokenizer, prompts)
            for row, drawn in zip(block, drafts(request, model, tokenizer, ids, first), strict=True):
                about = {"system": name_of(request), "seed": request.seed, "temperature": float(request.temperature)}
                yield dumps(row["kept"] | about | drawn)
            first += len(block)
            tick(first)


def name_of(request: Request) -> str:
    """The system's name in the lines."""
    return "base" if request.base_alone or not request.adapters else "+".join(real(adapter).name for adapter in request.adapters)


def drafts(request: Request, model: Any, tokenizer: Any, encoded: list[list[int]], first: int) -> list[dict[str, Any]]:
    """{"samples", "tokens"} of each prompt, with "log_likelihood" (mean per token) where they were chosen by it; `first`, its place."""
    from polychromic.sample.draw import sample_prompts

    with contextlib.redirect_stderr(io.StringIO()):  # a bar of its own for each block
        drawn = sample_prompts(
            model, tokenizer, encoded, n=request.pool, temperature=request.temperature, min_p=request.min_p, rows=ROWS,
            max_new_tokens=request.max_new_tokens, seed=derive_seed(request.seed, "draw", first), what="",
        )  # fmt: skip
    if request.select is None:
        return [{key: row[key] for key in ("samples", "tokens")} for row in drawn]
    from polychromic.models.readers import log_likelihoods
    from polychromic.yours.drafts.select import diverse, likeliest
    from polychromic.yours.train.functions import same_words

    found = []
    for row, sums in zip(
        drawn, log_likelihoods(model, tokenizer, [(ids, row["samples"]) for ids, row in zip(encoded, drawn)]), strict=True
    ):
        mean = (sums[:, 0] / sums[:, 1]).round(6).tolist()
        if request.select == "likelihood":
            kept = likeliest(row["samples"], mean, request.k)
        else:
            kept = diverse(row["samples"], mean, same_words({}, row["samples"]), request.k)
        chosen = {key: [row[key][i] for i in kept] for key in ("samples", "tokens")}
        found.append(chosen | {"log_likelihood": [mean[i] for i in kept]})
    return found


def load(request: Request):  # noqa: ANN201 - (model, tokenizer), whose libraries are imported here
    """The base with all adapters merged into it, on the best device. Raises as models.weights.obtain and evaluate.draw.check_adapter."""
    from polychromic.base.hardware import best_device
    from polychromic.yours.evaluate.draw import check_adapter
    from polychromic.yours.train.base import load as load_base
    from polychromic.yours.train.base import precision_of, quiet

    quiet()

    source = base_of(request)
    folder = weights.obtain(source)
    merged = () if request.base_alone else request.adapters
    for adapter in merged:
        check_adapter(adapter, request.base or str(source), folder)
        trained = read_object(adapter / CARD).get("identity", {}).get("base") if (adapter / CARD).is_file() else None
        if trained and trained != weights.fingerprint(source):
            print(f"warning: {adapter} was trained on other weights than {request.base or source}", file=sys.stderr)
    model, tokenizer = load_base(folder, precision_of(request.precision), best_device())
    for adapter in merged:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload().eval()
    return model, tokenizer


def base_of(request: Request) -> weights.Source:
    """The base that the user names, or that the adapters' cards or configurations do. Raises UsageError: they name none, or two."""
    from polychromic.yours.train.base import source_from, source_of

    if request.base is not None:
        return source_of(request.base)
    found: list[weights.Source] = []
    for adapter in request.adapters:
        if (adapter / CARD).is_file():
            found.append(source_from(read_object(adapter / CARD)["base"]))
            continue
        named = read_object(adapter / "adapter_config.json").get("base_model_name_or_path")
        try:
            found.append(source_of(named or ""))
        except UsageError:
            raise UsageError(
                f"--adapter {adapter} names {named!r} as its base, which is not here. Allowed: --base MODEL. Add it."
            ) from None
    if len(set(found)) > 1:
        raise UsageError(
            f"the adapters are of {len(set(found))} bases: {', '.join(map(str, found))}. Allowed: adapters of one base, or --base."
        )
    return found[0]


def _adapter_hash(adapter: Path) -> str:
    from polychromic.yours.evaluate.draw import fingerprint

    return fingerprint(adapter)
