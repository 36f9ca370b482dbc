"""Replies from a base model, with adapters or without, to the prompts of a file: saved as they come, resumed after a kill.

Prompts are drawn in blocks of at most ROWS replies that are decoded together, each block with a stream of its own, and a block's
lines are appended at once: a run that is cut draws again only the block in which it was cut, and ends with the bytes of an
undisturbed one. A block is as small as that can be: all of its replies end in the same decoding.

Whether a LoRA adapter belongs to the base is answered before the base's weights are read or a reply drawn. PEFT loads it onto a base
without memory ("meta"): a wider base differs in shapes, a deeper or shallower one in names. A base of the same architecture with other
weights looks the same, and the name that the adapter recorded decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from polychromic.base import paths
from polychromic.base.cache import environment
from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import dumps, read_json, read_jsonl, read_text, sha256_file, sha256_json, write_json, write_jsonl
from polychromic.base.locks import single_writer
from polychromic.base.parse import parse_yaml
from polychromic.base.seeds import derive_seed
from polychromic.models import prompts, weights
from polychromic.models.prompts import SLOT, PromptVariant
from polychromic.params import Params, load_params
from polychromic.yours.evaluate.inputs import Row, System, group, read_row

ADAPTER = CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
DEFAULT = "default"  # the pinned model of params.yaml
ROWS = 64  # replies decoded at once, 3 prompts of 20: what a kill can cost, and enough to keep a processor busy
Shots = Sequence[tuple[str, str]]  # (prompt, reply) of solved examples


@dataclass(frozen=True)
class Settings:
    """What decides the replies of a system, beside its weights and its prompts."""

    n: int
    temperature: float
    max_new_tokens: int
    seed: int
    min_p: float = 0.0


def draw_all(
    out: Path, base: str, adapters: Sequence[Path], data: Path, zero_shot: bool, few_shot: Path | None, prompt: str, settings: Settings,
    limit: int | None,
) -> list[Path]:  # fmt: skip
    """Files of the replies of all systems asked for; what can be wrong in the input is found before the first draw.

    Args: as the options of `polychromic evaluate`; `limit` is --max-examples.

    Raises UsageError: two systems of one name, or no such base. PolychromicError, DataError: a file or folder is not what it must be.
    """
    rows, variant = read_prompts(data, limit), read_variant(prompt)
    runs: list[tuple[str, Path | None, Shots]] = [("zero_shot", None, [])] if zero_shot or not (adapters or few_shot) else []
    runs += [("few_shot", None, read_exemplars(few_shot))] if few_shot else []
    runs += [(paths.real(adapter).name, adapter, []) for adapter in adapters]
    names = [name for name, _, _ in runs]
    if len(set(names)) < len(names):
        raise UsageError(f"the systems are {', '.join(names)}: two of one name. Allowed: different names. Rename an adapter's folder.")
    if base != DEFAULT and not Path(base).is_dir():
        raise UsageError(f"--base {base}: no such folder. Allowed: a folder with a model, or `{DEFAULT}`, the pinned model of params.yaml.")
    source = pinned().model if base == DEFAULT else weights.FolderSource(source="folder", path=base)
    folder = weights.obtain(source)
    with _readable(base):
        from transformers import AutoConfig, AutoTokenizer

        AutoConfig.from_pretrained(folder, local_files_only=True)
        AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for adapter in adapters:
        check_adapter(adapter, base, folder)
    with single_writer(out):
        for name, adapter, shots in runs:
            chats = [chat(variant, row["prompt"], shots) for row in rows]
            identity = {"base": weights.fingerprint(source), "adapter": adapter and fingerprint(adapter), "prompts": sha256_json(chats)}
            _draw(out / f"samples-{name}.jsonl", name, identity, rows, chats, settings, folder, adapter)
    return [out / f"samples-{name}.jsonl" for name in names]


def check_adapter(adapter: Path, base: str, folder: Path) -> None:
    """Raises PolychromicError for an adapter that is incomplete, or does not fit the model in `folder`, which the user called `base`."""
    import torch
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from peft.utils import load_peft_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    named = None
    try:
        if missing := [name for name in ADAPTER if not (adapter / name).is_file()]:
            raise ValueError(f"no {' and no '.join(missing)}")
        config = read_json(adapter / CONFIG)
        if not isinstance(config, dict):
            raise ValueError(f"{CONFIG} holds a JSON {type(config).__name__}")
        if (kind := config.get("peft_type")) != "LORA":
            raise ValueError(f"an adapter of type {kind!r}")
        named = config.get("base_model_name_or_path")
        saved = load_peft_weights(str(adapter), device="cpu")
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
        lora = LoraConfig.from_pretrained(adapter)
        lora.base_model_name_or_path = None  # another name is ours to tell
        result = set_peft_model_state_dict(get_peft_model(model, lora, low_cpu_mem_usage=True), saved, low_cpu_mem_usage=True)
        if names := result.unexpected_keys:
            raise ValueError(f"{len(names)} tensors for which the base has no module, such as {names[0]}")
        if names := [name for name in result.missing_keys if ".lora_" in name]:
            raise ValueError(f"{len(names)} tensors are lacking, such as {names[0]}")
    except Exception as error:  # whatever torch and PEFT make of a file that others wrote
        head, *lines = str(error).partition(" Allowed: ")[0].splitlines() or [type(error).__name__]
        sizes = [line for line in lines if "size mismatch" in line][:2]  # of which the first line says nothing
        said = "; ".join(line.strip(" \t.")[:300] for line in sizes or [head])
        made = f"It names {named!r} as its base: give" if named else "Give"
        allowed = f"a LoRA adapter for it in PEFT's format, such as `polychromic train` makes. {made} that model as --base, or leave it out"
        raise PolychromicError(f"{adapter} does not fit {base}: {said}. Allowed: {allowed}.") from None


def fingerprint(adapter: Path) -> str:
    """Of its weights and its configuration, which scales them; not of where it lies or what it says about its base."""
    config = read_json(adapter / CONFIG)
    return sha256_json([{key: value for key, value in config.items() if key != "base_model_name_or_path"}, sha256_file(adapter / WEIGHTS)])


def pinned() -> Params:
    """params.yaml of this folder or, elsewhere, that which the package came with: it names the pinned model and encoder."""
    return load_params(paths.PARAMS if paths.PARAMS.exists() else Path(__file__).parents[1] / paths.PARAMS)


def read_prompts(path: Path, limit: int | None) -> list[dict]:
    """The lines of a data file: id (its number where there is none), prompt, and what metrics may read (references, valid).

    Raises DataError for a line that `evaluate --samples` would refuse, PolychromicError for no file or no line.
    """
    rows = [_asked(where, raw, str(number)) for number, (where, raw) in enumerate(islice(read_jsonl(path), limit))]
    (system,) = group(path, rows)
    return [row.model_dump(include={"id", "prompt", "references", "valid"}, exclude_none=True) for row in system.rows.values()]


def foreseen(data: Path, limit: int | None, n: int) -> list[System]:
    """What drawing will give, of one system and with empty words for replies: whether it can be evaluated is asked before it is drawn.

    Raises as `read_prompts`.
    """
    rows = read_prompts(data, limit)
    return group(data, (read_row(f"{data}:{number}", row | {"samples": ["-"] * n}) for number, row in enumerate(rows, start=1)))


def _asked(where: str, raw: dict, id: str) -> Row:
    """A line that is read for what it asks, as one with a reply that nobody reads."""
    asks = {key: value for key, value in raw.items() if key not in ("samples", "system", "temperature", "seed")}
    return read_row(where, asks, id=id, samples=["-"])


def read_variant(name: str) -> PromptVariant:
    """A prompt variant: DOMAIN/NAME of polychromic/models/prompts.yaml, or a YAML file with `system` and, if wanted, `ask`."""
    if os.path.lexists(name) or Path(name).suffix in (".yaml", ".yml"):
        try:
            return PromptVariant.model_validate(parse_yaml(read_text(name), name, lines=True))
        except (PolychromicError, ValueError) as error:
            allowed = f"YAML with `system`, and `ask` that holds {SLOT} once"
            raise UsageError(f"{name}: no prompt template ({str(error).splitlines()[0]}). Allowed: {allowed}.") from None
    domain, slash, variant = name.partition("/")
    if not slash:
        allowed = "DOMAIN/VARIANT of polychromic/models/prompts.yaml, such as listqa/zero_shot, or a file"
        raise UsageError(f"--prompt is {name!r}. Allowed: {allowed}.")
    return prompts.variant(domain, variant)


def read_exemplars(path: Path) -> list[tuple[str, str]]:
    """(prompt, reply) pairs of a file with columns prompt and references (the first one is shown)."""
    (system,) = group(path, (_asked(where, raw | {"valid": None}, str(number)) for number, (where, raw) in enumerate(read_jsonl(path))))
    if (first := system.first).references is None:
        raise DataError(first.where, f"columns {', '.join(first.raw)}", "a prompt and a list of references, of which the first is shown")
    return [(row.prompt, row.references[0]) for row in system.rows.values()]


def chat(variant: PromptVariant, prompt: str, exemplars: Shots = ()) -> list[dict[str, str]]:
    """The chat of a prompt; user text is placed as it is."""
    shots = [{"role": role, "content": text} for pair in exemplars for role, text in zip(("user", "assistant"), pair, strict=True)]
    before, after = variant.ask.split(SLOT)
    return [{"role": "system", "content": variant.system}, *shots, {"role": "user", "content": before + prompt + after}]


@contextmanager
def _readable(base: str | Path) -> Iterator[None]:
    """Raises PolychromicError for whatever transformers makes of a folder that others wrote."""
    try:
        yield
    except PolychromicError:
        raise
    except Exception as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)[:300].rstrip(". ")
        allowed = "a causal language model with its tokenizer, as save_pretrained writes it. Copy or save it again, or give another --base"
        raise PolychromicError(f"{base}: the model cannot be read ({said}). Allowed: {allowed}.") from None


def _load(folder: Path, adapter: Path | None):  # noqa: ANN202 - (model, tokenizer)
    """The base model, with the adapter merged where there is one (it fits, see check_adapter), in bfloat16 on the best device."""
    from polychromic.base.hardware import best_device
    from polychromic.models.decode import check_head
    from polychromic.models.load import load_causal_lm

    with _readable(folder):
        model, tokenizer = load_causal_lm(folder, "bfloat16", best_device())
    try:
        check_head(model)
    except ValueError as error:
        raise PolychromicError(f"{folder}: {error}") from None
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload().eval()
    return model, tokenizer


def _draw(
    path: Path, name: str, identity: dict, rows: Sequence[dict], chats: Sequence[list[dict]], settings: Settings, folder: Path,
    adapter: Path | None,
) -> None:  # fmt: skip
    """Replies to all chats in `path`, what is there already kept; `identity` says what decides them, and is kept beside it.

    References and valid answers are not what was drawn: where the data file has other ones now, the saved lines get them.
    """
    from polychromic.sample.draw import sample_prompts

    identity |= asdict(settings) | {"n_prompts": len(rows), "rows": ROWS, "libraries": environment()}
    facts = path.with_suffix(".json")
    before = read_json(facts) if facts.exists() else {}
    if not isinstance(before, dict):
        raise PolychromicError(f"{facts}: a JSON {type(before).__name__}. Allowed: what evaluate wrote there. Choose another --out.")
    if path.exists() and before != identity:
        changed = ", ".join(key for key in identity if before.get(key) != identity[key])
        problem = f"was begun with another {changed}" if before else "was not drawn here"
        raise PolychromicError(f"{path} {problem}. Allowed: to go on as it was begun. Choose another --out, or delete it.")
    size, total = max(1, ROWS // settings.n), len(rows)
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if path.exists() else []
    done = total if len(lines) == total else len(lines) // size * size  # first lines, in complete blocks; what comes after is cut off
    if done < total:
        model, tokenizer = _load(folder, adapter)
        write_json(facts, identity)
        encoded = [prompts.encode(tokenizer, one) for one in chats]
    with path.open("ab") as file:
        if (kept := sum(map(len, lines[:done]))) < path.stat().st_size:
            file.truncate(kept)
        for first in range(done, total, size):
            part = slice(first, first + size)
            drawn = sample_prompts(
                model, tokenizer, encoded[part], n=settings.n, temperature=settings.temperature, rows=ROWS, min_p=settings.min_p,
                max_new_tokens=settings.max_new_tokens, seed=derive_seed(settings.seed, "evaluate", first),
                what=f"{name}, prompts {first + 1} to {min(first + size, total)} of {total}",
            )  # fmt: skip
            about = {"system": name, "seed": settings.seed, "temperature": settings.temperature}
            replies = [{key: reply[key] for key in ("samples", "tokens")} for reply in drawn]
            file.write("".join(dumps({**row, **about, **reply}) + "\n" for row, reply in zip(rows[part], replies, strict=True)).encode())
            file.flush()
            os.fsync(file.fileno())
    saved = [line for _, line in read_jsonl(path)]
    own = ("id", "references", "valid")
    renewed = [{key: value for key, value in line.items() if key not in own} | row for line, row in zip(saved, rows, strict=True)]
    if renewed != saved:
        write_jsonl(path, renewed)
