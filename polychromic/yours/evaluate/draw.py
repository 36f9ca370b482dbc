"""Replies from a base model, with adapters or without, to the prompts of a file: saved as they come, resumed after a kill.

Prompts are drawn in blocks of at most ROWS replies that are decoded together, each block with a stream of its own, and a block's
lines are appended at once: a run that is cut draws again only the block in which it was cut, and ends with the bytes of an
undisturbed one. A block is as small as that can be: all of its replies end in the same decoding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML, YAMLError

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import dumps, read_json, read_jsonl, sha256_json, write_json, write_jsonl
from polychromic.base.seeds import derive_seed
from polychromic.models import prompts
from polychromic.models.prompts import SLOT, PromptVariant
from polychromic.yours.evaluate import adapters
from polychromic.yours.evaluate.inputs import empty_valid, read_row

if TYPE_CHECKING:
    from polychromic.params import Params

DEFAULT = "default"  # the pinned model of params.yaml
ROWS = 64  # replies decoded at once, 3 prompts of 20: what a kill can cost, and enough to keep a processor busy


@dataclass(frozen=True)
class Settings:
    """What decides the replies of a system, beside its weights."""

    n: int
    temperature: float
    max_new_tokens: int
    seed: int
    min_p: float = 0.0


def read_prompts(path: Path, limit: int | None) -> list[dict]:
    """The lines of a data file: id (its number where there is none), prompt, and what metrics may read (references, valid).

    `valid` that is [] on every line is left out: such a file does not know what is right (data/replies.jsonl), and no reply
    should count as wrong for that.

    Raises:
        DataError: a line without a prompt, an id that is used twice, or a column that `evaluate --samples` would refuse.
        PolychromicError: no such file, or no line.
    """
    rows, seen, valid = [], {}, []
    for where, raw in read_jsonl(path):
        if limit is not None and len(rows) == limit:
            break
        prompt, name = raw.get("prompt"), raw.get("id", str(len(rows)))
        if not isinstance(prompt, str) or not prompt.strip():
            raise DataError(where, f"prompt is {prompt!r}; columns found: {', '.join(raw) or 'none'}", "a column `prompt` with text")
        if not isinstance(name, str):
            raise DataError(where, f"id is {name!r}", "text")
        if name in seen:
            raise DataError(where, f"id {name!r} was already used at {seen[name]}", "each id once")
        seen[name] = where
        kept = {key: raw[key] for key in ("references", "valid") if raw.get(key) is not None}
        if isinstance(kept.get("valid"), list) and any(isinstance(flag, bool) for flag in kept["valid"]):
            raise DataError(where, "valid holds booleans", "right answers: the samples that booleans judge are not drawn yet")
        rows.append({"id": name, "prompt": prompt, **kept})
        read_row(where, rows[-1] | {"samples": ["-"]})
        valid.append((where, raw.get("valid")))
        for column in ("references", "valid"):
            if (column in rows[0]) != (column in rows[-1]):
                raise DataError(where, f"{column} is {raw.get(column)!r}, unlike on the first line", f"{column} on every line, or on none")
    if not rows:
        raise PolychromicError(f"{path}: the file holds no line. Allowed: one JSON object per prompt, with a column `prompt`.")
    if empty_valid(valid):
        rows = [{key: value for key, value in row.items() if key != "valid"} for row in rows]
    return rows


def read_variant(name: str) -> PromptVariant:
    """A prompt variant: DOMAIN/NAME of polychromic/models/prompts.yaml, or a YAML file with `system` and, if wanted, `ask`."""
    if Path(name).is_file():
        try:
            values = YAML(typ="safe").load(Path(name).read_text(encoding="utf-8"))
            return PromptVariant.model_validate(values)
        except (YAMLError, UnicodeDecodeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{name}: no prompt template ({reason}). Allowed: YAML with `system`, and `ask` that holds {SLOT} once."
            ) from None
    domain, slash, variant = name.partition("/")
    if not slash:
        raise UsageError(f"--prompt is {name!r}. Allowed: DOMAIN/VARIANT of polychromic/models/prompts.yaml, such as listqa/zero_shot, or a file.")
    return prompts.variant(domain, variant)


def read_exemplars(path: Path) -> list[tuple[str, str]]:
    """(prompt, reply) pairs of a file with columns prompt and references (the first one is shown)."""
    pairs = []
    for where, raw in read_jsonl(path):
        references = raw.get("references")
        if not isinstance(raw.get("prompt"), str) or not isinstance(references, list) or not references:
            raise DataError(where, f"columns {', '.join(raw) or 'none'}", "a prompt and a list of references, of which the first is shown")
        pairs.append((raw["prompt"], references[0]))
    if not pairs:
        raise PolychromicError(f"{path}: the file holds no line. Allowed: solved examples, one JSON object each.")
    return pairs


def chat(variant: PromptVariant, prompt: str, exemplars: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """The chat of a prompt; user text is placed as it is."""
    shots = [{"role": role, "content": text} for pair in exemplars for role, text in zip(("user", "assistant"), pair, strict=True)]
    before, after = variant.ask.split(SLOT)
    return [{"role": "system", "content": variant.system}, *shots, {"role": "user", "content": before + prompt + after}]


@dataclass(frozen=True)
class Base:
    """A base model: as the user called it, the folder that holds it, and a hash of its content."""

    name: str
    folder: Path
    fingerprint: str


def find_base(name: str, params: Callable[[], Params]) -> Base:
    """The base model of --base.

    Args:
        params: gives params.yaml, which pins the model called DEFAULT.

    Raises:
        UsageError: `name` is no folder. PolychromicError: it holds no complete model.
    """
    from polychromic.models import weights

    if name == DEFAULT:
        source = params().model
    elif Path(name).is_dir():
        source = weights.FolderSource(source="folder", path=name)
    else:
        raise UsageError(f"--base {name}: no such folder. Allowed: a folder with a model, or `{DEFAULT}`, the pinned model of params.yaml.")
    return Base(name, weights.obtain(source), weights.fingerprint(source))


def load(folder: Path, adapter: Path | None):  # noqa: ANN201 - (model, tokenizer)
    """The base model, with the adapter merged where there is one (it fits, see adapters.py), in bfloat16 on the best device."""
    from polychromic.base.hardware import best_device
    from polychromic.models.decode import check_head
    from polychromic.models.load import load_causal_lm

    model, tokenizer = load_causal_lm(folder, "bfloat16", best_device())
    try:
        check_head(model)
    except ValueError as error:
        raise PolychromicError(f"{folder}: {error}") from None
    if adapter is None:
        return model, tokenizer
    from peft import PeftModel

    return PeftModel.from_pretrained(model, adapter).merge_and_unload().eval(), tokenizer


def draw(
    out: Path, name: str, base: Base, adapter: Path | None, rows: Sequence[dict], variant: PromptVariant,
    exemplars: Sequence[tuple[str, str]], settings: Settings,
) -> Path:  # fmt: skip
    """Replies to all prompts in out/samples-NAME.jsonl, what is there already kept; returns the file.

    References and valid answers are not what was drawn: where the data file has other ones now, the saved lines get them.

    Raises:
        PolychromicError: the file was begun with other prompts or settings, or by something else; see also `load`.
    """
    path, facts = out / f"samples-{name}.jsonl", drawing_facts(out, name)
    chats = [chat(variant, row["prompt"], exemplars) for row in rows]
    identity = {
        "base": base.fingerprint, "adapter": None if adapter is None else adapters.fingerprint(adapter),
        "prompts": sha256_json(chats), "n_prompts": len(rows), "rows": ROWS, **settings.__dict__,
    }  # fmt: skip
    before = read_json(facts) if facts.exists() else None
    if path.exists() and before != identity:
        changed = ", ".join(key for key in identity if before is None or before.get(key) != identity[key])
        problem = "was not drawn here" if before is None else f"was begun with another {changed}"
        raise PolychromicError(f"{path} {problem}. Allowed: to go on as it was begun. Choose another --out, or delete it.")
    size = max(1, ROWS // settings.n)
    done = _complete_blocks(path, size, len(rows))
    if done < len(rows):
        model, tokenizer = load(base.folder, adapter)
        write_json(facts, identity)
        _draw(path, done, size, name, model, tokenizer, rows, chats, settings)
    _renew(path, rows)
    return path


def drawing_facts(out: Path, name: str) -> Path:
    """What decided the replies of out/samples-NAME.jsonl, where they were drawn here."""
    return out / f"samples-{name}.json"


def _draw(
    path: Path, done: int, size: int, name: str, model, tokenizer, rows: Sequence[dict], chats: Sequence[list], settings: Settings  # noqa: ANN001
) -> None:  # fmt: skip
    """Append the blocks of `size` prompts that follow the first `done` prompts."""
    from polychromic.sample.draw import sample_prompts

    encoded = [prompts.encode(tokenizer, one) for one in chats]
    with path.open("ab") as file:
        for first in range(done, len(rows), size):
            part = slice(first, first + size)
            drawn = sample_prompts(
                model, tokenizer, encoded[part], n=settings.n, temperature=settings.temperature, max_new_tokens=settings.max_new_tokens,
                rows=ROWS, seed=derive_seed(settings.seed, "evaluate", first), min_p=settings.min_p,
                what=f"{name}, prompts {first + 1} to {min(first + size, len(rows))} of {len(rows)}",
            )  # fmt: skip
            lines = [
                dumps({**row, "system": name, "seed": settings.seed, "temperature": settings.temperature, "samples": reply["samples"],
                       "tokens": reply["tokens"]}) + "\n"
                for row, reply in zip(rows[part], drawn, strict=True)
            ]  # fmt: skip
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())


def _complete_blocks(path: Path, size: int, total: int) -> int:
    """How many first lines of the file stand in complete blocks; what comes after them is cut off."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    whole = 0
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n"):
            break
        whole += 1
    count = whole if whole == total else whole // size * size
    kept = sum(len(line) for line in lines[:count])
    if kept < len(data):
        with path.open("r+b") as file:
            file.truncate(kept)
    return count


def _renew(path: Path, rows: Sequence[dict]) -> None:
    """Give the saved lines the ids, references and valid answers of `rows`."""
    saved = [line for _, line in read_jsonl(path)]
    renewed = [
        {key: value for key, value in line.items() if key not in ("id", "references", "valid")} | row
        for line, row in zip(saved, rows, strict=True)
    ]
    if renewed != saved:
        write_jsonl(path, renewed)
