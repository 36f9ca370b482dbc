"""`polychromic export`: a trained adapter with a base that AutoPeftModel finds and a model card; merged into one model; on the hub.

An adapter of the pipeline names its base as params.yaml does, for any copy of the weights; here it is the repository at its commit, or the
folder where the weights lie on this machine.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polychromic import __version__
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import atomic_open, read_json, read_object, together, write_json, write_text
from polychromic.base.paths import real
from polychromic.models import weights

CONFIG, WEIGHTS, CARD, HISTORY = "adapter_config.json", "adapter_model.safetensors", "polychromic.json", "history.json"
SHOWN = {"ce": "training cross-entropy", "eval_loss": "validation cross-entropy", "objective": "D", "quality": "mean quality",
         "kl_to_base": "KL to the base per reply"}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """As the options of `polychromic export`. hub: NAME/MODEL to push to, None for none; public: whether anybody may see it there."""

    adapter: Path
    out: Path
    base: str | None = None
    merge: bool = False
    precision: str = "auto"
    hub: str | None = None
    public: bool = False


def export(request: Request) -> list[Path]:
    """Writes the folder, and pushes it where that is asked for; what was written.

    Raises UsageError: no adapter, a base that is not known, an --out that holds something; PolychromicError: the hub refuses.
    """
    config = _config(request.adapter)
    if request.out.is_dir() and any(request.out.iterdir()):
        raise UsageError(f"--out {request.out} holds files. Allowed: a folder that is empty or not there. Choose another.")
    source = base_of(request, config)
    folder = weights.obtain(source)
    with tempfile.TemporaryDirectory() as work:
        made = Path(work)
        if request.merge:
            _merge(request, folder, made)
        else:
            shutil.copy(request.adapter / WEIGHTS, made / WEIGHTS)
            write_json(made / CONFIG, config | resolvable(source, folder))
            _tokenizer(folder).save_pretrained(made)
        write_text(made / "README.md", card(request, config, source))
        with together():
            written = [_copied(path, request.out / path.name) for path in sorted(made.iterdir()) if path.is_file()]
    if request.hub:
        push(request.out, request.hub, request.public)
    return written


def _config(adapter: Path) -> dict[str, Any]:
    if missing := [name for name in (CONFIG, WEIGHTS) if not (adapter / name).is_file()]:
        allowed = "a folder that `polychromic train` wrote, or another one in PEFT's format"
        raise UsageError(f"{adapter}: no {' and no '.join(missing)}. Allowed: {allowed}. Name one.")
    return dict(read_object(adapter / CONFIG))


def base_of(request: Request, config: dict[str, Any]) -> weights.Source:
    """What the adapter was trained on: as the user says, as the card of `train --data` says, or the model of params.yaml that it names.

    Raises UsageError: none of them knows.
    """
    from polychromic.yours.evaluate.draw import pinned
    from polychromic.yours.train.base import source_from, source_of

    if request.base is not None:
        known = pinned().models
        return weights.bare(known[request.base]) if request.base in known else source_of(request.base)
    if (request.adapter / CARD).is_file():
        return source_from(read_object(request.adapter / CARD)["base"])
    name, params = config.get("base_model_name_or_path"), pinned()
    for model in (params.model, *params.models.values()):
        if name in (str(model), getattr(model, "repository", None)):
            return weights.bare(model)
    allowed = "an entry of `models:`, a folder, or NAME/MODEL@COMMIT of the hub"
    raise UsageError(f"{request.adapter / CONFIG}: the base {name!r} is no model of params.yaml. Allowed: --base with {allowed}. Add it.")


def resolvable(source: weights.Source, folder: Path) -> dict[str, Any]:
    """The keys of adapter_config.json by which AutoPeftModel loads the base."""
    if isinstance(source, weights.HubSource):
        return {"base_model_name_or_path": source.repository, "revision": source.revision}
    return {"base_model_name_or_path": str(real(folder)), "revision": None}


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _merge(request: Request, folder: Path, out: Path) -> None:
    """Base and adapter as one model, in full precision whatever the base was trained in."""
    from peft import PeftModel

    from polychromic.yours.train.base import load, precision_of, quiet

    quiet()
    model, tokenizer = load(folder, precision_of(request.precision), "cpu")
    PeftModel.from_pretrained(model, request.adapter).merge_and_unload().save_pretrained(out)
    tokenizer.save_pretrained(out)


def _copied(path: Path, place: Path) -> Path:
    with path.open("rb") as made, atomic_open(place) as file:
        shutil.copyfileobj(made, file)
    return place


def card(request: Request, config: dict[str, Any], source: weights.Source) -> str:
    """The model card: that of `train --data` as it is, of a merged model with a line on top; else from the run's own history."""
    name, hub = real(request.out).name, isinstance(source, weights.HubSource)
    ready = request.adapter / "README.md"
    if ready.is_file() and (request.adapter / CARD).is_file() and not request.merge:
        return ready.read_text(encoding="utf-8")
    base = source.repository if hub else Path(source.path).name if source.source == "folder" else str(source)
    kind = "A model: " if request.merge else ""
    about = f"{kind}{base} with a LoRA adapter (rank {config.get('r')}, alpha {config.get('lora_alpha')})"
    head = ["---", f"library_name: {'transformers' if request.merge else 'peft'}", *([f"base_model: {base}"] if hub else [])]
    pinned = [f"* Base: {source.repository} at commit `{source.revision}`."] if hub else [f"* Base: {base}."]
    return "\n".join([
        *head, "pipeline_tag: text-generation", "tags: [lora, polychromic]", "---", "", f"# {name}", "",
        f"{about}, trained with polychromic {__version__}.", "", *pinned, *_records(request.adapter), "", "## Use", "", "```python",
        *_use(request.merge, request.hub or name), "```",
    ]) + "\n"  # fmt: skip


def _records(adapter: Path) -> list[str]:
    """What the run recorded last of each number, as lines of the card."""
    path = adapter / HISTORY
    history: Sequence[dict[str, float]] = read_json(path) if path.is_file() else []
    last = {key: (row[key], row["step"]) for row in history for key in SHOWN if key in row}
    return [f"* {SHOWN[key]}: {value:.4f} at step {step}." for key, (value, step) in last.items()]


def _use(merged: bool, name: str) -> list[str]:
    kind, library = ("AutoModelForCausalLM", "transformers") if merged else ("AutoPeftModelForCausalLM", "peft")
    return [f"from {library} import {kind}", f'model = {kind}.from_pretrained("{name}")']


def push(folder: Path, name: str, public: bool) -> None:
    """Uploads a folder to the hub, with the token of `hf auth login` or HF_TOKEN. Raises PolychromicError: the hub refuses."""
    from huggingface_hub import HfApi

    try:
        HfApi().create_repo(name, private=not public, exist_ok=True)
        HfApi().upload_folder(repo_id=name, folder_path=folder, commit_message="Adapter trained with polychromic")
    except Exception as error:  # of several libraries, all of which say what they met
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        remedy = f"Log in (`hf auth login`) and check the name; {folder} is whole, and can be pushed again"
        raise PolychromicError(f"--push-to-hub {name}: the hub did not take it ({said}). Allowed: NAME/MODEL of yours. {remedy}.") from None
