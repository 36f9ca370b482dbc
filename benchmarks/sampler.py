"""Tokens per second of the sampler against `model.generate(num_return_sequences=N)`: same model, prompts, N and horizon.

The model is standard LoRA, merged, as the evaluation samples it (taken from the cache, else trained first); PROMPTS dev prompts
of a domain in one batch, temperature 1, nothing truncated. Both take turns ROUNDS times after one that is not counted; a token
counts when it belongs to a reply, its end token included. Writes benchmarks/results/sampler.json. About a minute and a half
on one quiet core where the adapters are in the cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from benchmarks.common import RESULTS, command, commit_name, device_name, generate_replies, now
from polychromic.base.io import write_json
from polychromic.base.progress import progress
from polychromic.models.decode import pad_sequences, prefill, sample, uniforms
from polychromic.models.prompts import end_tokens
from polychromic.params import Params, load_params
from polychromic.sample.cells import Workbench

PROMPTS = 8
REPLIES = (4, 20)
ROUNDS = 2


def measure(params: Params, domain: str) -> list[dict]:
    """One row per number of replies."""
    bench = Workbench(params, domain, params.cell(domain, "dev", "lora"))
    seed, horizon = params.seeds[0], bench.settings.max_new_tokens
    model, tokenizer, *_ = bench.system(seed)
    encoded = bench.encoded_prompts(tokenizer, bench.splits["dev"][:PROMPTS])
    ids, mask = pad_sequences(encoded, tokenizer.pad_token_id, left=True)
    torch.manual_seed(seed)  # of generate; the sampler has streams of its own
    rows = []
    with torch.inference_mode(), progress(f"{domain}: sampler", len(REPLIES) * (ROUNDS + 1)) as tick:
        for n in REPLIES:
            index = torch.arange(len(encoded)).repeat_interleave(n)
            tokens, seconds = {"ours": 0, "generate": 0}, {"ours": 0.0, "generate": 0.0}
            for turn in range(ROUNDS + 1):
                for name in tokens:
                    numbers = uniforms(len(index), horizon, seed, "benchmark", n, turn)
                    started = now()
                    if name == "ours":
                        ends = {"end_tokens": end_tokens(tokenizer, model), "pad_token": tokenizer.pad_token_id}
                        real = sample(model, prefill(model, ids, mask), index, numbers, **ends).mask
                    else:
                        _, real = generate_replies(model, tokenizer, ids, mask, n, horizon)
                    if turn:
                        seconds[name] += now() - started
                        tokens[name] += int(real.sum())
                tick(REPLIES.index(n) * (ROUNDS + 1) + turn + 1)
            speed = {name: tokens[name] / seconds[name] for name in tokens}
            rows.append(
                {
                    "prompts": len(encoded),
                    "n": n,
                    "horizon": horizon,
                    "tokens_per_second": speed["ours"],
                    "generate_tokens_per_second": speed["generate"],
                    "ratio": speed["ours"] / speed["generate"],
                }
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(arguments)
    params = load_params()
    rows = [row for domain in params.domains for row in measure(params, domain)]
    path = RESULTS / "sampler.json"
    write_json(path, {"device": device_name(), "threads": params.threads, "commit": commit_name(), "rows": rows})
    for row in rows:
        print(f"{path}: N {row['n']}, horizon {row['horizon']}: {row['tokens_per_second']:.0f} tokens/s, {row['ratio']:.2f} times generate")


if __name__ == "__main__":
    command(main)
