"""Replies from a base model, with adapters or without, to the prompts of a file: saved as they come, resumed after a kill.

Prompts are drawn in blocks of a fixed size, each with a stream of its own, and a block's lines are appended at once: a run that
is cut goes on with the first block that is not complete, and ends with the bytes of an undisturbed one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from polychromic import prompts
from polychromic.errors import DataError, PolychromicError, UsageError
from polychromic.io import dumps, read_json, read_jsonl, sha256_json, write_json
from polychromic.prompts import SLOT, PromptVariant
from polychromic.seeds import derive_seed

DEFAULT = "default"  # the pinned model of params.yaml
ROWS = 320  # replies decoded at once


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

    Raises:
        DataError: a line without a prompt, or an id that is used twice.
        PolychromicError: no such file, or no line.
    """
    rows, seen = [], {}
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
        rows.append({"id": name, "prompt": prompt, **{key: raw[key] for key in ("references", "valid") if raw.get(key)}})
    if not rows:
        raise PolychromicError(f"{path}: the file holds no line. Allowed: one JSON object per prompt, with a column `prompt`.")
    return rows


def read_variant(name: str) -> PromptVariant:
    """A prompt variant: DOMAIN/NAME of polychromic/prompts.yaml, or a YAML file with `system` and, if wanted, `ask`."""
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
        raise UsageError(f"--prompt is {name!r}. Allowed: DOMAIN/VARIANT of polychromic/prompts.yaml, such as listqa/zero_shot, or a file.")
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


def load(base: str, adapter: Path | None):  # noqa: ANN201 - (model, tokenizer)
    """The base model, with the adapter merged where there is one, in bfloat16 on the best device.

    Raises:
        UsageError: `base` is no folder with a model.
        PolychromicError: the adapter is incomplete, or was made for another base model.
    """
    import torch

    from polychromic.models import weights
    from polychromic.models.load import load_causal_lm
    from polychromic.params import load_params

    if base == DEFAULT:
        folder = weights.obtain(load_params().model)
    elif (folder := Path(base)).is_dir():
        folder = weights.obtain(weights.FolderSource(source="folder", path=str(folder)))
    else:
        raise UsageError(f"--base {base}: no such folder. Allowed: a folder with a model, or `{DEFAULT}`, the pinned model of params.yaml.")
    check_adapter(adapter)
    model, tokenizer = load_causal_lm(folder, "bfloat16", "cuda" if torch.cuda.is_available() else "cpu")
    if adapter is None:
        return model, tokenizer
    from peft import PeftModel

    try:
        merged = PeftModel.from_pretrained(model, adapter)
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if "mismatch" in line or "not found" in line] or str(error).splitlines()
        named = read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
        raise PolychromicError(
            f"{adapter}: the adapter does not fit {base} ({lines[-1][:160]}). It was made for {named!r}. Give that model as --base."
        ) from None
    return merged.merge_and_unload().eval(), tokenizer


def check_adapter(adapter: Path | None) -> None:
    """Raises PolychromicError for a folder that is no LoRA adapter in PEFT's format."""
    if adapter is None:
        return
    missing = [name for name in ("adapter_config.json", "adapter_model.safetensors") if not (adapter / name).is_file()]
    if missing:
        raise PolychromicError(
            f"{adapter}: no {' and no '.join(missing)}. Allowed: a folder that PEFT saved, such as `polychromic train` makes."
        )


def draw(
    out: Path, name: str, base: str, adapter: Path | None, rows: Sequence[dict], variant: PromptVariant,
    exemplars: Sequence[tuple[str, str]], settings: Settings,
) -> Path:  # fmt: skip
    """Replies to all prompts in out/samples-NAME.jsonl, what is there already kept; returns the file.

    Raises:
        PolychromicError: the file was begun with other prompts or settings; see also `load`.
    """
    path, facts = out / f"samples-{name}.jsonl", out / f"samples-{name}.json"
    chats = [chat(variant, row["prompt"], exemplars) for row in rows]
    identity = {"base": base, "adapter": _identity(adapter), "chats": sha256_json(chats), "n_prompts": len(rows), **settings.__dict__}
    size = max(1, ROWS // settings.n)
    if facts.exists() and (before := read_json(facts)) != identity:
        changed = ", ".join(key for key in identity if before.get(key) != identity[key])
        raise PolychromicError(
            f"{path} was begun with another {changed}. Allowed: to go on as it was begun. Choose another --out, or delete it."
        )
    write_json(facts, identity)
    done = _complete_blocks(path, size, len(rows))
    if done == len(rows):
        return path
    model, tokenizer = load(base, adapter)
    from polychromic.sampling import sample_prompts

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
                dumps({**row, "system": name, "seed": settings.seed, "samples": reply["samples"], "tokens": reply["tokens"]}) + "\n"
                for row, reply in zip(rows[part], drawn, strict=True)
            ]
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())
    return path


def _identity(adapter: Path | None) -> str | None:
    from polychromic.io import sha256_file

    return None if adapter is None else sha256_file(adapter / "adapter_model.safetensors")


def _complete_blocks(path: Path, size: int, total: int) -> int:
    """How many first lines of the file stand in complete blocks; what comes after them is cut off."""
    if not path.exists():
        return 0
    kept, count = 0, 0
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
