"""Does a LoRA adapter belong to this base model? Answered from names and shapes, before any weight is read or reply drawn.

The base is built without memory ("meta"), PEFT attaches an adapter of the saved configuration to it, and the tensors that this
would make are held against those in the file: a wider base differs in shapes, a deeper or shallower one in names. A base of
the same architecture with other weights looks the same; the name that the adapter recorded is said, and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
Shapes = dict[str, tuple[int, ...]]  # tensor's name -> its shape


def read_config(adapter: Path) -> dict:
    """The adapter's configuration. Raises PolychromicError for a folder that is no LoRA adapter in PEFT's format."""
    if missing := [name for name in (CONFIG, WEIGHTS) if not (adapter / name).is_file()]:
        raise PolychromicError(
            f"{adapter}: no {' and no '.join(missing)}. Allowed: a folder that PEFT saved, such as `polychromic train` makes."
        )
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
    from polychromic.base.io import sha256_file

    config = {key: value for key, value in read_config(adapter).items() if key != "base_model_name_or_path"}
    return sha256_json([config, sha256_file(adapter / WEIGHTS)])


def check_adapters(adapters: Sequence[Path], base: str, folder: Path) -> list[str]:
    """Notes on adapters that name another base model than `base`.

    Args:
        base: as the user called it. folder: the base model.

    Raises:
        PolychromicError: an adapter is incomplete, or does not fit the base.
    """
    recorded = {adapter: read_config(adapter).get("base_model_name_or_path") for adapter in adapters}
    for adapter in adapters:
        _check(adapter, base, folder, recorded[adapter])
    return [
        f"{adapter} fits {base} in names and shapes; it was made for {named!r}"
        for adapter, named in recorded.items()
        if named and named != base and not same_folder(named, folder)
    ]


def same_folder(named: str, folder: Path) -> bool:
    return Path(named).exists() and Path(named).resolve() == folder.resolve()


def _check(adapter: Path, base: str, folder: Path, named: str | None) -> None:
    got = _saved(adapter)
    model = _skeleton(folder)
    parameters = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    try:
        expected = _attached(model, adapter)
    except (ValueError, TypeError) as error:  # PEFT finds none of the modules, or does not know the configuration
        raise PolychromicError(_message(adapter, base, named, f"PEFT says: {str(error).splitlines()[0][:200]}")) from None
    problems = []
    if absent := sorted(expected.keys() - got.keys()):
        problems.append(f"the base has {_blocks(expected)} and {len(absent)} tensors for which the adapter, with {_blocks(got)}, has none, "
                        f"such as {absent[0]}")  # fmt: skip
    full = {name: shape for name, shape in got.items() if name not in expected}  # saved whole, beside LoRA's: embeddings
    if foreign := sorted(name for name in full if _plain(name) not in parameters):
        problems.append(f"the adapter has {_blocks(got)} and {len(foreign)} tensors for which the base, with {_blocks(expected)}, has no "
                        f"module, such as {foreign[0]}")  # fmt: skip
    wanted = expected | {name: parameters[_plain(name)] for name in full if _plain(name) in parameters}
    if other := sorted(name for name in got.keys() & wanted.keys() if got[name] != wanted[name]):
        name = other[0]
        problems.append(f"{len(other)} tensors have another shape, such as {name}: {list(got[name])} in the adapter, "
                        f"{list(wanted[name])} for the base")  # fmt: skip
    if problems:
        raise PolychromicError(_message(adapter, base, named, "; ".join(problems)))


def _message(adapter: Path, base: str, named: str | None, problems: str) -> str:
    made = f"It names {named!r} as its base: give" if named else "Give"
    return f"{adapter}: the adapter does not fit {base}: {problems}. {made} the model that it was made for as --base, or leave it out."


def _plain(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def _blocks(names: Mapping[str, object]) -> str:
    """ "24 blocks": what stands between dots as a number, counted."""
    return f"{len({part for name in names for part in name.split('.') if part.isdigit()})} blocks"


def _saved(adapter: Path) -> Shapes:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(adapter / WEIGHTS, framework="np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except SafetensorError as error:
        raise PolychromicError(f"{adapter / WEIGHTS}: not a whole safetensors file ({error}). Copy the folder again.") from None


def _skeleton(folder: Path):  # noqa: ANN202 - a model without weights
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))


def _attached(model, adapter: Path) -> Shapes:  # noqa: ANN001
    """The tensors that an adapter of this configuration has on the model."""
    from peft import LoraConfig, get_peft_model
    from peft.utils import get_peft_model_state_dict

    config = LoraConfig.from_pretrained(adapter)
    config.base_model_name_or_path = None  # another name is ours to tell
    adapted = get_peft_model(model, config, low_cpu_mem_usage=True)
    return {name: tuple(value.shape) for name, value in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()}
