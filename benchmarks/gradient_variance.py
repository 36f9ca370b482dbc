"""Variance of the gradient of D on the model, by baseline and replies per set: what each advantage costs in noise.

The policy is standard LoRA after its training (taken from the cache, else trained first); D is the headline's objective. An
estimate is what one step computes from PROMPTS training prompts with N rollouts each, without the quality loss. Two estimates
from the same prompts and independent replies differ by sampling alone: half their squared distance, over all LoRA parameters,
is an unbiased estimate of the trace of their covariance. Every pair has prompts of its own, and its rollouts serve all
baselines. The mean over pairs is divided by that of `marginal`; the 95 % interval is a bootstrap over pairs.

The two biased ones are shown beside: less variance is no merit where the mean is wrong.
Writes benchmarks/results/gradient_variance.json. About 8 minutes on one quiet core where the adapter is in the cache.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor

from benchmarks.common import RESULTS, command, commit_name, device_name, headline, relative
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import write_json
from polychromic.base.progress import progress
from polychromic.method.advantages import BASELINES, BIASED, advantages, check_baseline
from polychromic.method.sets import ScoredSets, SetObjectiveConfig, score_sets
from polychromic.models import weights
from polychromic.models.decode import chosen_log_probs, head, pad_sequences, prefill, sample, uniforms
from polychromic.models.layouts import shared_states
from polychromic.models.load import load_causal_lm
from polychromic.models.prompts import end_tokens
from polychromic.params import Params, load_params
from polychromic.sample.cells import Workbench
from polychromic.train.adapter import trainer_extras, training_rows

PROMPTS = 8
REPLIES = (2, 3, 4, 8)
DECAY = 0.9  # of the running mean of marginals, as in the trainer


class Gradients:
    """Estimates of the gradient of mean D over a batch of prompts, at a policy that stays as it is.

    Attributes:
        running: running mean of the marginals of past estimates; None before the first.
    """

    def __init__(self, model: torch.nn.Module, tokenizer, config: SetObjectiveConfig):  # noqa: ANN001
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.running: float | None = None
        self.names = [name for name in BASELINES if self._defined(name)] + list(BIASED)

    def _defined(self, baseline: str) -> bool:
        try:
            check_baseline(baseline, self.config.objective, self.config.n)
        except ValueError:
            return False
        return True

    def remember(self, scored: ScoredSets) -> None:
        now = float(scored.marginals.mean())
        self.running = now if self.running is None else DECAY * self.running + (1 - DECAY) * now

    def rollout(self, rows: Sequence[dict], *names: int) -> tuple[Tensor, ScoredSets]:
        """log-probabilities (B * N,), with their graph, of N replies to each row's prompt, and the scores of their sets.

        Args: names: of the random stream.
        """
        config, tokenizer = self.config, self.tokenizer
        ids, mask = pad_sequences([row["prompt"] for row in rows], tokenizer.pad_token_id, left=True)
        index = torch.arange(len(rows)).repeat_interleave(config.n)
        start = prefill(self.model, ids, mask)
        numbers = uniforms(len(index), config.max_new_tokens, config.seed, "variance", config.n, *names)
        replies = sample(self.model, start, index, numbers, end_tokens=end_tokens(tokenizer, self.model), pad_token=tokenizer.pad_token_id)
        texts = [text.strip() for text in tokenizer.batch_decode(replies.contents(), skip_special_tokens=True)]
        real = replies.mask.bool()
        states = shared_states(self.model, start, index, replies.tokens, replies.mask)
        log_p = torch.zeros(real.shape).masked_scatter(real, chosen_log_probs(head(self.model, states[real]), replies.tokens[real]))
        return log_p.sum(-1), score_sets(config, rows, texts)

    def estimate(self, rows: Sequence[dict], *names: int) -> tuple[Tensor, ScoredSets]:
        """One estimate per baseline, (baselines, parameters), of the same rollout."""
        log_p, scored = self.rollout(rows, *names)
        estimates = []
        for name in self.names:
            if name in BIASED:
                weight = BIASED[name](self.config.objective, scored.q, scored.s)
            else:
                weight = advantages(name, self.config.objective, scored.q, scored.s, running=self.running)
            surrogate = (log_p * torch.as_tensor(weight.reshape(-1), dtype=log_p.dtype)).sum() / len(rows)
            gradient = torch.autograd.grad(surrogate, self.parameters, retain_graph=True)
            estimates.append(torch.cat([part.flatten() for part in gradient]))
        return torch.stack(estimates), scored


def half_distances(gradients: Gradients, rows: Sequence[dict], pairs: int, seed: int, tick) -> np.ndarray:  # noqa: ANN001
    """(pairs, baselines) half the squared distance between the two estimates of each pair."""
    rng = np.random.default_rng([seed, gradients.config.n])
    found = []
    for pair in range(pairs):
        batch = [rows[i] for i in rng.choice(len(rows), min(PROMPTS, len(rows)), replace=False)]
        if gradients.running is None:
            with torch.no_grad():
                gradients.remember(gradients.rollout(batch, pair, 2)[1])
        (one, first), (other, second) = gradients.estimate(batch, pair, 0), gradients.estimate(batch, pair, 1)
        found.append((one.double() - other).square().sum(-1).numpy() / 2)
        gradients.remember(first)
        gradients.remember(second)
        tick()
    return np.array(found)


def run(params: Params, domain: str, draws: int) -> dict:
    """The document of benchmarks/results/gradient_variance.json."""
    bench = Workbench(params, domain, params.cell(domain, "dev", "lora"))
    seed, train = params.seeds[0], bench.splits["train"]
    trained = bench.train(seed)
    model, tokenizer = load_causal_lm(weights.obtain(params.model), params.train.precision, "cpu")
    model = PeftModel.from_pretrained(model, trained.adapter, is_trainable=True)
    method, lam = headline(params, "polychromic")
    readers = bench.readers()
    readers.bind(model, tokenizer)
    config = trainer_extras(params, bench.domain, method, lam, seed, train, readers)["objective"]
    rows = list({row["record"]: row for row in training_rows(train, tokenizer, domain, method, readers.embed)}.values())
    # The headline's N gets all draws, the others a third of them.
    pairs = {n: max(1, draws // (2 if n == config.n else 6)) for n in REPLIES}
    found, done = [], 0
    with progress(f"{domain}: gradients", sum(pairs.values())) as tick:

        def next_pair() -> None:
            nonlocal done
            done += 1
            tick(done)

        for n, number in pairs.items():
            gradients = Gradients(model, tokenizer, dataclasses.replace(config, n=n, baseline="marginal"))
            distances = half_distances(gradients, rows, number, seed, next_pair)
            reference = distances[:, gradients.names.index("marginal")]
            if not reference.any():
                raise PolychromicError(
                    f"{domain}, N = {n}: none of {2 * number} rollouts held a good reply, so D has no gradient. A variance needs some; "
                    f"raise {domain}.steps in params.yaml or --draws."
                )
            for name, column in zip(gradients.names, distances.T, strict=True):
                ratio, low, high = relative(column, reference, params.analysis.bootstrap, params.analysis.seed)
                found.append(
                    {
                        "n": n,
                        "baseline": name,
                        "trace_variance": float(column.mean()),
                        "relative_to_marginal": ratio,
                        "low": low,
                        "high": high,
                        "biased": name in BIASED,
                    }
                )
    return {
        "device": device_name(),
        "commit": commit_name(),
        "objective": config.name,
        "prompts": min(PROMPTS, len(rows)),
        "draws": draws,
        "rows": found,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domain", default="listqa", help="a domain of params.yaml")
    parser.add_argument("--draws", type=int, default=48, help="estimates at the headline's N, even; a third as many at the others")
    options = parser.parse_args(arguments)
    params = load_params()
    if options.domain not in params.domains:
        raise UsageError(f"--domain is {options.domain!r}; allowed: {', '.join(params.domains)}.")
    if options.draws < 2 or options.draws % 2:
        raise UsageError(f"--draws is {options.draws}; estimates come in pairs: name an even number, 2 or more.")
    path = RESULTS / "gradient_variance.json"
    document = run(params, options.domain, options.draws)
    write_json(path, document)
    for row in document["rows"]:
        kind = " (biased)" if row["biased"] else ""
        print(f"{path}: N {row['n']}, {row['baseline']}{kind}: {row['relative_to_marginal']:.2f} of marginal")


if __name__ == "__main__":
    command(main)
