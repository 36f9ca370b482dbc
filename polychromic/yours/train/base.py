"""The base model that a user names: a folder, a repository of the hub, or the pinned one; loaded with its tokenizer, and its prompts.

A prompt that is a text is put into a user's turn of the model's chat template, unless the user wants it as it stands or there is no
template. Which of the two it was is part of an adapter's card: drafts are drawn as the adapter was trained.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.hardware import best_device, fast_bfloat16
from polychromic.base.paths import real
from polychromic.models.weights import FolderSource, HubSource, Source, WheelSource, bare
from polychromic.yours.evaluate.draw import DEFAULT, pinned
from polychromic.yours.train.rows import Chat

PRECISIONS = ("auto", "bfloat16", "float32")
ALLOWED = f"a folder with a model, NAME/MODEL or NAME/MODEL@COMMIT of the hub, or `{DEFAULT}`, the pinned model of params.yaml"


def source_of(base: str) -> Source:
    """Where the weights come from. A repository without a commit is pinned to the one that it is at now.

    Raises UsageError: neither a folder nor a repository's name; PolychromicError: the hub does not say the commit.
    """
    if base == DEFAULT:
        return bare(pinned().model)
    if Path(base).expanduser().is_dir():
        return FolderSource(source="folder", path=str(real(Path(base).expanduser())))
    found = re.fullmatch(r"([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)(?:@([0-9a-f]{40}))?", base)
    if not found or base.startswith((".", "/", "~")):
        raise UsageError(f"--base {base}: no such folder, and no repository of the hub. Allowed: {ALLOWED}.")
    return HubSource(source="hub", repository=found[1], revision=found[2] or _commit(found[1]))


def _commit(repository: str) -> str:
    from huggingface_hub import HfApi

    try:
        return HfApi().model_info(repository, timeout=20).sha
    except Exception as error:  # of three libraries, all of which say what they met
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        remedy = f"Check the name and the network, or give the commit: {repository}@COMMIT, 40 digits"
        raise PolychromicError(
            f"--base {repository}: no such folder, and the hub does not know it ({said}). Allowed: {ALLOWED}. {remedy}."
        ) from None


def source_from(record: dict[str, Any]) -> Source:
    """The source that a card holds (model_dump)."""
    return {"folder": FolderSource, "hub": HubSource, "wheel": WheelSource}[record["source"]].model_validate(record)


def precision_of(asked: str) -> str:
    """ "bfloat16" or "float32"; "auto" is the first where it is fast."""
    if asked not in PRECISIONS:
        raise UsageError(f"--precision {asked}. Allowed: {', '.join(PRECISIONS)}.")
    if asked != "auto":
        return asked
    return "bfloat16" if best_device() == "cuda" or fast_bfloat16() else "float32"


def quiet() -> None:
    """No bars of files being read and written, and no warnings of transformers that are not the user's to change."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*deprecated and will be removed in version")  # told as torch's


def load(folder: Path, precision: str, device: str):  # noqa: ANN201 - (model, tokenizer), whose libraries are imported here
    """As models.load.load_causal_lm; a model without a chat template, too. PolychromicError: it is none that drafts can be drawn from."""
    from polychromic.models.decode import check_head
    from polychromic.models.load import load_causal_lm

    try:
        if has_template(folder):
            model, tokenizer = load_causal_lm(folder, precision, device)
        else:
            model, tokenizer = _load_plain(folder, precision, device)
        check_head(model)
    except (ValueError, OSError, KeyError) as error:
        said = str(error).strip().splitlines()[0][:300].rstrip(".")
        raise PolychromicError(
            f"{folder}: {said}. Allowed: a causal language model such as Llama, Qwen3 or Mistral, with its tokenizer."
        ) from None
    return model, tokenizer


def has_template(folder: Path) -> bool:
    from transformers import AutoTokenizer

    return bool(AutoTokenizer.from_pretrained(folder, local_files_only=True).chat_template)


def _load_plain(folder: Path, precision: str, device: str):  # noqa: ANN202
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from polychromic.models.load import set_pad_token

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    if not tokenizer.eos_token:
        raise ValueError("the tokenizer has no eos token, with which replies end")
    set_pad_token(tokenizer)
    model = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, dtype=getattr(torch, precision), attn_implementation="eager"
    )
    for config in (model.config, model.generation_config):
        config.pad_token_id, config.use_cache = tokenizer.pad_token_id, True
    return model.to(device).eval(), tokenizer


def linear_names(model: Any) -> list[str]:
    """Last names of the linear modules but the output head: where LoRA goes."""
    import torch

    head = model.get_output_embeddings()
    found = {
        name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not head
    }
    if not found:
        allowed = "a model of linear layers, such as Llama, Qwen3 or Mistral"
        raise PolychromicError(f"{type(model).__name__}: the model has no linear layer that LoRA could adapt. Allowed: {allowed}.")
    return sorted(found)


def as_asked(prompt: str | Chat, system: str | None, plain: bool) -> str | Chat:
    """A prompt as the model is given it.

    Args: system, a message before a chat that has none; plain, whether a text stays a text.

    Raises UsageError: a chat where prompts are plain.
    """
    if isinstance(prompt, str):
        prompt = prompt if plain else [{"role": "user", "content": prompt.strip()}]
    elif plain:
        raise UsageError("--plain takes prompts that are texts, and there is a chat. Allowed: texts; or leave --plain out.")
    if system and not isinstance(prompt, str) and prompt[0]["role"] != "system":
        prompt = [{"role": "system", "content": system}, *prompt]
    return prompt


def encoded(tokenizer: Any, prompts: Sequence[tuple[str, str | Chat]]) -> list[list[int]]:
    """Token ids of prompts (where each stands, what it is). Raises PolychromicError: the chat template refuses one, which is named."""
    from polychromic.train.batches import encode_prompt

    found = []
    for where, prompt in prompts:
        try:
            found.append(encode_prompt(tokenizer, prompt))
        except Exception as error:  # Jinja's, and whatever a template raises
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            allowed = "what the model's chat template takes (some know no system message, or want user and assistant in turn)"
            raise PolychromicError(f"{where}: the prompt cannot be written for this model ({said}). Allowed: {allowed}.") from None
    return found
