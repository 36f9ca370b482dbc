"""Models in memory: the causal language model, a LoRA adapter on it, and the sentence encoder; conversion from GGUF.

Where the folders come from is weights.py's matter; nothing here touches the network.
torch and its companions are imported inside the functions, so that importing this module costs nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from polychromic.base.errors import PolychromicError
from polychromic.base.hardware import best_device

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from polychromic.models.loading import Loading

GPU_BATCH = 8


def rows_at_once(rows: int) -> int:
    """`rows` that params or code send through a model at once; on a GPU GPU_BATCH times as many, since few rows leave it idle."""
    return rows * (GPU_BATCH if best_device() == "cuda" else 1)


def compute_reproducibly(threads: int) -> None:
    """The same bytes each time on one machine: so many threads of the tensor library, and operations whose order of sums is fixed.

    To be called before the first model is loaded: cuBLAS reads how much room it may take when it starts.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, torch's deterministic mode refuses matrix products on a GPU
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a kernel per new tensor, for code that reads what nothing wrote


def set_pad_token(tokenizer) -> None:
    """Give the tokenizer a pad token other than its end of reply, where it has one: masking pads must not mask the end."""
    end, known = tokenizer.eos_token, tokenizer.get_vocab()
    if tokenizer.pad_token in (None, end):
        tokenizer.pad_token = next((token for token in ("<|endoftext|>", tokenizer.unk_token) if token in known and token != end), end)


def load_causal_lm(
    folder: str | Path, dtype: Literal["bfloat16", "float32"], device: str | torch.device, loading: Loading | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model for generation (eval mode, key-value cache on, eager attention if `loading` asks for no other) and its tokenizer.

    The tokenizer pads on the left, so that the last position of every row is the newest token, and its pad
    token differs from the end of reply wherever the vocabulary allows it.

    A model that is quantised or spread over devices stays where `loading` puts it, whatever `device` says.

    Raises PolychromicError: the tokenizer has no chat template or no end-of-reply token; quantisation without bitsandbytes.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    lacking = [what for what, value in (("chat template", tokenizer.chat_template), ("eos token", tokenizer.eos_token)) if not value]
    if lacking:
        raise PolychromicError(
            f"{folder}: the tokenizer has no {' and no '.join(lacking)}; prompts are rendered with the first and replies end "
            "with the second. Choose a model tuned for chat (often named Instruct) under `model` in params.yaml."
        )
    set_pad_token(tokenizer)
    options = placement(loading, device) | {"attn_implementation": loading.attention if loading else "eager"}
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=getattr(torch, dtype), **options)
    for config in (model.config, model.generation_config):
        config.pad_token_id, config.use_cache = tokenizer.pad_token_id, True
    return (model if loading and loading.placed else model.to(device)).eval(), tokenizer


def placement(loading: Loading | None, device: str | torch.device) -> dict[str, Any]:
    """What from_pretrained takes for quantisation and devices; nothing by default.

    Raises PolychromicError: nf4 is asked for, and bitsandbytes is not there.
    """
    if loading is None or not loading.placed:
        return {}
    found: dict[str, Any] = {"device_map": loading.device_map or {"": _here(device)}}
    if loading.quantization == "nf4":
        import torch
        from transformers import BitsAndBytesConfig

        if find_spec("bitsandbytes") is None:
            remedy = "Install it (`pip install 'polychromic[gpu]'`), or set quantization: none"
            raise PolychromicError(f"model.quantization is nf4, and bitsandbytes is not installed. Allowed: nf4 with it. {remedy}.")
        found["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
        )
    return found


def _here(device: str | torch.device) -> str | int:
    """The device of this process: of several processes each has a GPU of its own."""
    import torch

    return torch.cuda.current_device() if best_device() == "cuda" else str(device)


def attach_lora(
    model: PreTrainedModel, rank: int, alpha: float, target_modules: Sequence[str], seed: int, dropout: float = 0.0
) -> PeftModel:
    """Wrap the model with a fresh LoRA adapter, arXiv:2106.09685: W + (alpha / rank) B A, with B = 0.

    At first the adapted model therefore equals the base model. A is drawn from `seed` alone, on the CPU: the
    global generator neither decides it nor moves. Call `.train()` before training; the model comes in the mode it had.

    Args:
        rank: r >= 1. alpha: scale, > 0.
        target_modules: names of linear modules ("q_proj", ...).
        dropout: of A's input; 0 wherever rollouts are drawn, since one policy must sample and score.

    Raises PolychromicError: no module of the model has such a name.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    if unknown := sorted(set(target_modules) - linear):
        raise PolychromicError(
            f"target_modules: the model has no linear module named {', '.join(unknown)}. "
            f"Allowed: some of {', '.join(sorted(linear))}. Correct it in params.yaml."
        )
    names = sorted(target_modules)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=names, lora_dropout=dropout, bias="none", task_type="CAUSAL_LM")
    training, device = model.training, model.device
    placed = getattr(model, "is_quantized", False) or hasattr(model, "hf_device_map")  # then peft draws on the CPU and moves what it drew
    if not placed:
        model.to("cpu")  # CPU and CUDA generators draw different numbers from one seed
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would move the CUDA generators, too
        adapted = get_peft_model(model, config)
    # peft keeps a set and would save it in an order that changes from process to process.
    config.target_modules = sorted(config.target_modules)
    return (adapted if placed else adapted.to(device)).train(training)


def load_encoder(folder: str | Path, device: str = "cpu") -> SentenceTransformer:
    """Load a sentence encoder for `embed`, in float32. It cuts texts at its max_seq_length, and never beyond its positions."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(folder), device=device, local_files_only=True).eval()
    positions = usable_positions(encoder[0].auto_model) if hasattr(encoder[0], "auto_model") else None
    if positions and (encoder.max_seq_length or positions + 1) > positions:
        encoder.max_seq_length = positions
    return encoder


def usable_positions(model: torch.nn.Module) -> int | None:
    """How many tokens, marks included, a transformer has positions for; None where it has no limit.

    RoBERTa and its kin (XLM-R, CamemBERT, MPNet, Longformer) count positions from their padding's number on: of 514, 512 are usable.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "weight"):
            unused = getattr(module, "padding_idx", None)
            return len(module.weight) - (0 if unused is None else unused + 1)
    positions = getattr(model.config, "max_position_embeddings", None)
    return positions if positions and positions > 0 else None  # XLNet says -1


def cut_at(encoder: SentenceTransformer, texts: Sequence[str]) -> np.ndarray:
    """(n,) integers: for a text longer than the encoder reads, how many tokens that is, marks included; 0 for one that is read whole."""
    limit = encoder.max_seq_length
    found = np.zeros(len(texts), dtype=np.int64)
    # A token stands for a byte at least, but for two marks and SentencePiece's first blank: a short text need not be split to know.
    if limit and (long := [i for i, text in enumerate(texts) if len(text.encode(errors="replace")) + 3 > limit]):
        lengths = map(len, encoder.tokenizer([texts[i] for i in long], verbose=False)["input_ids"])
        found[[i for i, length in zip(long, lengths, strict=True) if length > limit]] = limit
    return found


def tell_cut(what: str, cut: Mapping[str, int]) -> None:
    """`cut_note` on stderr, once at the end of a run of `what`."""
    if cut:
        print(f"{what}: {cut_note(cut)}", file=sys.stderr, flush=True)


def cut_note(cut: Mapping[str, int]) -> str:
    """What a run says at its end of the texts that its encoder cut, text -> tokens that it reads; "" where it cut none."""
    if not cut:
        return ""
    many = "1 text is" if len(cut) == 1 else f"{len(cut)} texts are"
    behind = "what stands behind does not count in its vectors"
    return f"{many} longer than the {max(cut.values())} tokens that the sentence encoder reads; {behind}"


def embed(encoder: SentenceTransformer, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """Embed texts: array of shape (len(texts), dimension), float32, every row of unit norm.

    Each distinct text is encoded once, in an order that depends on the set of texts alone, so equal texts get equal
    rows and the order of the arguments does not change a row.
    """
    distinct = sorted(set(texts))
    rows = encoder.encode(distinct, batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True)
    index = {text: row for row, text in enumerate(distinct)}
    return np.ascontiguousarray(rows, dtype=np.float32)[[index[text] for text in texts]]


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise a GGUF file to float32 and save model and tokenizer in `folder`; the same bytes every time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    set_pad_token(tokenizer)
    with torch.random.fork_rng(devices=[]):  # a new model draws initial weights, which must not move the caller's generator
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # What was read still counts as quantised and refuses to be saved: a plain model takes over its weights.
        dropped = ("quantization_config", "_name_or_path", "_model_name_or_path")
        values = {key: value for key, value in read.config.to_dict().items() if key not in dropped}
        values |= {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        model = AutoModelForCausalLM.from_config(type(read.config).from_dict(values), dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
