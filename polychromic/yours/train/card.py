"""What a trained adapter is handed over with: weights in PEFT's format, tokenizer, a model card to read and one for programs, dev's drafts.

The files appear together, or none does (polychromic.base.drafts). The card for programs holds what drafts are drawn with: base, form of
the prompts, length, temperature and min-p.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from polychromic import __version__
from polychromic.base.io import atomic_open, write_jsonl, write_text
from polychromic.base.paths import real
from polychromic.base.visible import visible
from polychromic.models.weights import HubSource, Source
from polychromic.yours.train.functions import Scoring
from polychromic.yours.train.measure import Measured, difference
from polychromic.yours.train.rows import Rows, asked
from polychromic.yours.train.settings import Settings
from polychromic.yours.train.steps import After
from polychromic.yours.train.watch import Finding

BASE = "base"  # the system's name in files of drafts
SHOWN, SIDE_BY_SIDE = 3, 10  # prompts, and drafts of each, that the summary shows
STEM = 200  # bytes of a system's name in that of its file; a file system takes 255
NAMES = {"objective": "D", "quality": "mean quality"}


@dataclass(frozen=True)
class Adapter:
    """A finished run. wall: seconds of this command; seconds: of training, those before a kill included; checked: replies judged in it."""

    model: Any
    tokenizer: Any
    source: Source
    folder: Path
    settings: Settings
    scoring: Scoring
    data: Path
    rows: Rows
    trained: int
    dev: Sequence[dict[str, Any]]
    before: Measured | None
    after: After | None
    history: Sequence[dict[str, float]]
    findings: Sequence[Finding]
    seconds: float
    wall: float
    checked: int
    identity: dict[str, Any]


def write(adapter: Adapter, out: Path, work: Path) -> dict[str, Any]:
    """Writes the files into `out`, and returns the card for programs, which the caller writes last; `work`, a folder that is there.

    adapter_config.json, adapter_model.safetensors, the tokenizer's files, README.md; where dev was measured also dev.jsonl (its prompts,
    references and what is valid), drafts-base.jsonl and drafts-NAME.jsonl (drafts at temperature 1, as `compare-files` reads them).
    """
    config = adapter.model.peft_config["default"]
    # AutoPeftModel loads the base by this name: where it lies here, or the repository at its commit.
    hub = isinstance(adapter.source, HubSource)
    config.base_model_name_or_path = adapter.source.repository if hub else str(real(adapter.folder))
    config.revision = adapter.source.revision if hub else None
    with tempfile.TemporaryDirectory(dir=work) as folder:
        saving = Path(folder)
        adapter.model.save_pretrained(saving)
        adapter.tokenizer.save_pretrained(saving)
        (saving / "README.md").unlink(missing_ok=True)  # PEFT's own
        for path in sorted(saving.iterdir()):
            with path.open("rb") as saved, atomic_open(out / path.name) as file:
                shutil.copyfileobj(saved, file)
    name = real(out).name
    card = facts(adapter, name)
    if adapter.before and adapter.after:
        own = ("id", "prompt", "references")
        write_jsonl(out / "dev.jsonl", [{key: row[key] for key in own} | _known(e) for row, e in zip(adapter.before.rows, adapter.dev)])
        label = {"seed": adapter.settings.seed, "temperature": 1.0}
        for system, found in ((BASE, adapter.before), (name, adapter.after.drafts[1.0, 0.0])):
            write_jsonl(drafts_file(out, system), [row | label | {"system": system} for row in found.rows])
    write_text(out / "README.md", readme(adapter, card))
    return card


def drafts_file(out: Path, system: str) -> Path:
    """Where the drafts of a system lie."""
    return out / f"drafts-{system.encode()[:STEM].decode(errors='ignore')}.jsonl"


def _known(example: dict[str, Any]) -> dict[str, Any]:
    """What of a row is needed to draw to its prompt and to judge drafts: a chat as such, and right answers."""
    row = example["row"]
    chat = {} if isinstance(row.get("prompt"), str) else {"messages": asked("row", row)}
    return chat | ({"valid": row["valid"]} if "valid" in row else {})


def facts(adapter: Adapter, name: str) -> dict[str, Any]:
    """The card for programs."""
    s, dev = adapter.settings, {}
    temperature, min_p = adapter.after.chosen if adapter.after else (1.0, 0.0)
    if adapter.before and adapter.after:
        after = adapter.after.drafts[1.0, 0.0]
        before, later = adapter.before.means(), after.means()
        dev = {
            "prompts": len(adapter.dev), "drafts": len(after.rows[0]["samples"]), "set": s.n, "cross_entropy": adapter.after.loss,
            "metrics": {
                key: {"base": before[key], "adapter": later[key], "difference": difference(after, adapter.before, key)} for key in before
            },
            "decodings": [
                {"temperature": t, "min_p": p, **{key: value["mean"] for key, value in found.means().items()}}
                for (t, p), found in adapter.after.drafts.items()
            ],
        }  # fmt: skip
    return {
        "name": name, "polychromic": __version__, "base": adapter.source.model_dump(), "method": s.method,
        "data": {"sha256": adapter.rows.sha256, "file": Path(adapter.data).name, "rows": adapter.trained},
        "settings": s.public(), "functions": adapter.scoring.names, "identity": adapter.identity,
        "prompts": {"plain": s.plain, "system": s.system},
        "drawing": {"temperature": temperature, "min_p": min_p, "max_new_tokens": s.max_new_tokens, "k": s.n},
        "dev": dev, "warnings": [finding._asdict() for finding in adapter.findings],
        "cost": {
            "training_minutes": round(adapter.seconds / 60, 2), "command_minutes": round(adapter.wall / 60, 2),
            "replies_judged": adapter.checked,
        },
    }  # fmt: skip


def readme(adapter: Adapter, card: dict[str, Any]) -> str:
    """The model card, with the front matter that the Hub reads."""
    s, source = adapter.settings, adapter.source
    base = source.repository if isinstance(source, HubSource) else Path(source.path).name if source.source == "folder" else str(source)
    about = {"lora": "cross-entropy on the completions", "rft": "cross-entropy on the completions, then on good replies of its own"}
    about["polychromic"] = f"cross-entropy minus {s.lam:g} D, D the share of good and different replies among {s.n} that the model draws"
    lines = [
        "---", "library_name: peft", *([f"base_model: {base}"] if isinstance(source, HubSource) else []), "pipeline_tag: text-generation",
        "tags: [lora, polychromic]", "---", "", f"# {card['name']}", "",
        f"A LoRA adapter for {base}, trained with polychromic {__version__} (method {s.method}: {about[s.method]}).", "",
        f"* Data: {card['data']['rows']} rows of {card['data']['file']}, sha256 `{card['data']['sha256']}`.",
        f"* Quality: {', '.join(map(code, adapter.scoring.names['quality']))} ({adapter.scoring.names['combine']}); "
        f"similarity: {code(adapter.scoring.names['similarity'])}. A draft passes at a quality of {s.good:g} or more.",
        f"* Settings: {', '.join(f'{key} {value}' for key, value in card['settings'].items())}.",
        f"* Cost: {card['cost']['training_minutes']:g} minutes of training, {adapter.checked} replies judged.",
        f"* Draw with temperature {card['drawing']['temperature']:g}, min-p {card['drawing']['min_p']:g}, "
        f"at most {s.max_new_tokens} tokens.",
        "",
        *dev_lines(card), *[f"> {finding.kind}: {finding.text}\n" for finding in adapter.findings],
        "## Use", "",
        "```bash", f"polychromic draw --adapter {card['name']} --prompts prompts.jsonl -k {s.n} --out drafts.jsonl", "```", "",
        "```python", "from peft import AutoPeftModelForCausalLM",
        f'model = AutoPeftModelForCausalLM.from_pretrained("{card["name"]}")', "```", "",
        "Numbers on dev are of prompts that nothing was trained on; drafts were judged by the quality that training saw, which",
        "training can game. Read drafts, and judge them by something else, before you rely on them.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def code(spec: str) -> str:
    """A quality or similarity as the card shows it: of a file of the user's the name, not where it lies."""
    place, colon, name = spec.rpartition(":")
    spec = f"{Path(place).name}:{name}" if colon and place.endswith(".py") else spec
    return f"`{spec.replace('`', chr(39))}`"


def dev_lines(card: dict[str, Any]) -> list[str]:
    """The table of dev, as Markdown."""
    if not card["dev"]:
        return ["No dev rows: nothing was measured.", ""]
    dev = card["dev"]
    drawn = f"{dev['prompts']} prompts, {dev['drafts']} drafts each at temperature 1"
    head = f"Dev: {drawn}; means with 95 % intervals over prompts, higher is better."
    loss = "" if dev["cross_entropy"] is None else f" Cross-entropy after training: {dev['cross_entropy']:.3f} nats per token."
    lines = [head + loss, "", "| metric | base | adapter | adapter - base |", "|---|---|---|---|"]
    for name, found in dev["metrics"].items():
        shown = [interval(name, found[which], which == "difference") for which in ("base", "adapter", "difference")]
        lines.append(f"| {NAMES.get(name, name)} | {' | '.join(shown)} |")
    return [*lines, ""]


def interval(name: str, found: dict[str, float | None], signed: bool = False) -> str:
    """ "31.2 % [25.0, 37.5]" of a share of drafts that pass, "0.312 [0.250, 0.375]" of the others."""
    times, form, unit = (100, ".1f", " %") if name.startswith("pass@") else (1, ".3f", "")
    written = lambda value: f"{times * value:{'+' if signed else ''}{form}}"
    ends = "" if found["low"] is None else f" [{written(found['low'])}, {written(found['high'])}]"
    return f"{written(found['mean'])}{unit}{ends}"


def summary(card: dict[str, Any]) -> Table:
    """Dev before and after, for the terminal."""
    drawn = Table(title=f"{visible(card['name'])} on dev, higher is better", title_justify="left")
    for head in ("metric", "base", "adapter", "adapter - base"):
        drawn.add_column(head, no_wrap=True)
    bare = lambda name, found: interval(name, found | {"low": None})
    for name, found in card["dev"]["metrics"].items():
        means = (bare(name, found["base"]), bare(name, found["adapter"]), interval(name, found["difference"], True))
        drawn.add_row(NAMES.get(name, name), *means)
    drawn.caption = (
        f"{card['dev']['prompts']} prompts, {card['dev']['drafts']} drafts each, temperature 1; 95 % intervals over prompts. Training took "
        f"{card['cost']['training_minutes']:g} minutes, {card['cost']['replies_judged']} replies judged. Draw with temperature "
        f"{card['drawing']['temperature']:g}, min-p {card['drawing']['min_p']:g}."
    )
    return drawn


def side_by_side(base: Sequence[dict[str, Any]], adapter: Sequence[dict[str, Any]], name: str) -> list[Table]:
    """Drafts of both to a few prompts; those that pass in bold, with a check mark."""
    tables = []
    for one, other in list(zip(base, adapter, strict=True))[:SHOWN]:
        drawn = Table(title=visible(one["prompt"][:300]), title_justify="left")
        for system in (BASE, name):
            drawn.add_column(visible(system), overflow="fold", ratio=1)
        for a, b in list(zip(_marked(one), _marked(other), strict=False))[:SIDE_BY_SIDE]:
            drawn.add_row(a, b)
        tables.append(drawn)
    return tables


def _marked(row: dict[str, Any]) -> list[Text]:
    shown = [Text(visible(text)) if text else Text("(empty)", "dim") for text in row["samples"]]
    marked = lambda text, good: Text.assemble("\u2713 ", text, style="bold") if good else Text.assemble("  ", text)
    return [marked(text, good) for text, good in zip(shown, row["valid"], strict=True)]
