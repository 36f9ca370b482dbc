"""Does a LoRA adapter belong to this base model? Answered before the base's weights are read or a reply drawn.

PEFT loads the adapter onto a base without memory ("meta"): a wider base differs in shapes, a deeper or shallower one in names. A
base of the same architecture with other weights looks the same; the name that the adapter recorded is said, and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file, sha256_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def read_config(adapter: Path) -> dict:
    """The adapter's configuration. Raises PolychromicError for a folder that is no LoRA adapter in PEFT's format."""
    if missing := [name for name in (CONFIG, WEIGHTS) if not (adapter / name).is_file()]:
        allowed = "a folder that PEFT saved, such as `polychromic train` makes"
        raise PolychromicError(f"{adapter}: no {' and no '.join(missing)}. Allowed: {allowed}.")
    try:
        config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
        kind = config.get("peft_type")
    except (ValueError, AttributeError) as error:
        raise PolychromicError(f"{adapter / CONFIG}: no adapter's configuration ({error}). Copy the folder again.") from None
    if kind != "LORA":
        raise PolychromicError(f"{adapter}: an adapter of type {kind!r}. Allowed: LORA. Merge it into its base, and give that as --base.")
    return config


def fingerprint(adapter: Path) -> str:
    """Of its weights and its configuration, which scales them; not of where it lies or what it says about its base."""
    config = {key: value for key, value in read_config(adapter).items() if key != "base_model_name_or_path"}
    return sha256_json([config, sha256_file(adapter / WEIGHTS)])


def check_adapters(adapters: Sequence[Path], base: str, folder: Path) -> list[str]:
    """Notes on adapters that name another base than `base`, which is how the user called the model in `folder`.

    Raises PolychromicError for an adapter that is incomplete, or does not fit the base.
    """
    recorded = {adapter: read_config(adapter).get("base_model_name_or_path") for adapter in adapters}
    for adapter, named in recorded.items():
        if problem := _misfit(adapter, folder):
            made = f"It names {named!r} as its base: give" if named else "Give"
            raise PolychromicError(
                f"{adapter}: the adapter does not fit {base}: {problem}. {made} the model that it was made for as --base, or leave it out."
            )
    return [
        f"{adapter} fits {base} in names and shapes; it was made for {named!r}"
        for adapter, named in recorded.items()
        if named and named != base and not (Path(named).exists() and Path(named).resolve() == folder.resolve())
    ]


def _misfit(adapter: Path, folder: Path) -> str:
    """What PEFT finds wrong with the adapter on this base; "" where nothing is."""
    import torch
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from peft.utils import load_peft_weights
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        saved = load_peft_weights(str(adapter), device="cpu")
    except SafetensorError as error:
        raise PolychromicError(f"{adapter / WEIGHTS}: not a whole safetensors file ({error}). Copy the folder again.") from None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    config = LoraConfig.from_pretrained(adapter)
    config.base_model_name_or_path = None  # another name is ours to tell
    try:
        adapted = get_peft_model(model, config, low_cpu_mem_usage=True)
        result = set_peft_model_state_dict(adapted, saved, low_cpu_mem_usage=True)
    except (ValueError, TypeError, RuntimeError) as error:  # none of the modules, or other sizes, of which the first line says nothing
        head, *lines = str(error).splitlines()
        return "; ".join(line.strip(" \t.")[:300] for line in lines[:2] or [head])
    if result.unexpected_keys:
        return f"the base has no module for {len(result.unexpected_keys)} tensors of the adapter, such as {result.unexpected_keys[0]}"
    if absent := [name for name in result.missing_keys if ".lora_" in name]:
        return f"the adapter lacks {len(absent)} tensors for modules of the base, such as {absent[0]}"
    return ""
