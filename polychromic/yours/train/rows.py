"""Rows to train on, as TRL and the Hub have them: read, checked one by one, brought into one form, and split. No model.

A row is a prompt with a completion (texts, or chats), or a chat under `messages` whose last message is the reply; beside it there may be
`references` (other good replies), `valid` (right answers) and whatever a quality function reads. A row with references and no completion
is trained on each of them. What comes out has the columns prompt (a text or a chat), completion (a text), row (what stood in the file).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import dumps, read_bytes, sha256_json
from polychromic.base.parse import parse_json
from polychromic.data.text import hashed, joined, near_duplicates

COLUMNS = ("prompt", "completion", "messages", "references", "valid", "id", "weight")
SPEAKERS = {"human": "user", "gpt": "assistant", "bot": "assistant"}  # of ShareGPT's {"from", "value"}
ROLES = ("system", "developer", "user", "assistant", "tool")
LISTS = ("references", "valid")
SHAPES = "prompt with completion (texts, or lists of {role, content}), prompt with references, or messages that end in the reply"
LOCAL = (".jsonl", ".jsonl.gz", ".json", ".csv", ".parquet")
MOST_DEV = 100  # prompts that dev takes at most: what measuring it costs grows with them

Chat = list[dict[str, str]]


@dataclass(frozen=True)
class Rows:
    """What was read.

    Attributes:
        examples: {"prompt": text or chat, "completion": text, "row": the columns of the file, "where": "file:line"}, in the file's order.
        sha256: of all that was read, wherever it lies and in whatever format.
        notes: what a reader should know, such as how many rows were the same.
    """

    examples: list[dict[str, Any]]
    sha256: str
    notes: list[str]


def parse_columns(text: str | None, names: Sequence[str] = COLUMNS) -> dict[str, str]:
    """--columns, such as "prompt=question,completion=answer.text" -> {"prompt": "question", ...}. Raises UsageError for anything else, and
    for a name of ours that is not among `names`."""
    found: dict[str, str] = {}
    for part in filter(None, (text or "").split(",")):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or name not in names or not column or name in found:
            allowed = f"NAME=COLUMN with commas between, NAME one of {', '.join(names)}, each once; a.b is column b within a"
            raise UsageError(f"--columns has {part!r}. Allowed: {allowed}, such as prompt=question. Correct it.")
        found[name] = column
    return found


def read_rows(path: Path, columns: Mapping[str, str] | None = None) -> Rows:
    """All rows of a file or of a folder that `Dataset.save_to_disk` wrote; the same row twice is one.

    Args: columns, what each column of ours is called there; columns that are called as ours are found without.

    Raises UsageError: a format that is not read. DataError: a row that is not as the head of this module says. PolychromicError: no row.
    """
    examples: list[dict[str, Any]] = []
    seen: set[str] = set()
    read = same = 0
    for where, raw in _raw(Path(path)):
        read += 1
        for example in _examples(where, renamed(where, raw, columns or {})):
            key = sha256_json([example["prompt"], example["completion"]])
            same += key in seen
            if key not in seen:
                seen.add(key)
                examples.append(example)
    _share_references(examples)
    if not read:
        raise PolychromicError(f"{path}: the file holds no row. Allowed: one or more, each with {SHAPES}.")
    digest = hashlib.sha256("".join(dumps([e["prompt"], e["completion"], e["row"]]) for e in examples).encode()).hexdigest()
    notes = (
        [f"{same} of {len(examples) + same} pairs of prompt and completion stand there more than once; each is taken once"] if same else []
    )
    return Rows(examples, digest, notes)


def renamed(where: str, raw: object, columns: Mapping[str, str]) -> dict[str, Any]:
    """A row under our names. Raises DataError: no JSON object, without a column that was named, or with what JSON has not."""
    if not isinstance(raw, dict):
        raise DataError(where, f"a {type(raw).__name__}", "a row with named columns")
    found = {name: value for name, value in raw.items() if name not in columns.values() or name in columns}
    for name, column in columns.items():
        value: Any = raw
        for part in [column] if column in raw else column.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise DataError(where, f"no column {column!r}, which --columns names for {name}", f"one of {', '.join(map(repr, raw))}")
            value = value[part]
        found[name] = value
    for name in ("messages", "prompt", "completion", *LISTS):  # CSV has no lists
        if isinstance(text := found.get(name), str) and text.lstrip().startswith("[") and name != "completion":
            try:
                found[name] = parse_json(text.encode())
            except ValueError:
                continue
    found = {name: value for name, value in found.items() if value is not None and value != "" and not _nan(value)}
    try:
        dumps(found).encode()
    except (TypeError, ValueError) as error:  # of NaN within, of half a character, of dates
        said = f"the row cannot be written as JSON ({' '.join(str(error).split())[:100]})"
        raise DataError(where, said, "texts, finite numbers, lists and objects of them") from None
    return found


def _share_references(examples: Sequence[dict[str, Any]]) -> None:
    """Gives each row all good replies to its prompt that the file holds, as its `references`: its own, and other rows' completions."""
    known: dict[str, dict[str, None]] = {}
    for example in examples:
        texts = known.setdefault(dumps(example["prompt"]), {})
        texts |= dict.fromkeys([*example["row"].get("references", ()), example["completion"]])
    for example in examples:
        example["row"] = example["row"] | {"references": list(known[dumps(example["prompt"])])}


def _nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _raw(path: Path) -> Iterator[tuple[str, object]]:
    """(where it stands, the row as it was parsed)."""
    if path.is_dir():
        yield from _dataset(path)
    elif path.name.lower().endswith(".json"):
        if not path.exists():
            raise PolychromicError(f"{path}: no such file. Allowed: a file in {', '.join(LOCAL)}, or a datasets folder. Check the path.")
        try:
            document = parse_json(read_bytes(path))
        except ValueError as error:
            raise DataError(str(path), str(error), "a JSON list of rows", "Correct it, or name JSON lines .jsonl.") from None
        if not isinstance(document, list):
            raise DataError(str(path), f"a JSON {type(document).__name__}", "a JSON list of rows; JSON lines in a file called .jsonl")
        yield from ((f"{path}: row {number}", row) for number, row in enumerate(document, start=1))
    else:
        if not path.name.lower().endswith(LOCAL):
            raise UsageError(f"--data {path}: not a format that is read. Allowed: {', '.join(LOCAL)}, or a folder of Dataset.save_to_disk.")
        from polychromic.yours.collect.sources import of_file

        yield from of_file(path).rows()


def _dataset(path: Path) -> Iterator[tuple[str, object]]:
    """The rows of a folder that `Dataset.save_to_disk` wrote; of a DatasetDict those of its split "train"."""
    if not any((path / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        allowed = f"a folder that Dataset.save_to_disk wrote, or a file in {', '.join(LOCAL)}"
        raise PolychromicError(f"--data {path}: the folder is no dataset of the datasets library. Allowed: {allowed}. Name the file in it.")
    from datasets import DatasetDict, load_from_disk

    found = load_from_disk(str(path))
    if isinstance(found, DatasetDict):
        if "train" not in found:
            allowed = "a split called train, or the folder of one split"
            raise PolychromicError(f"--data {path}: its splits are {', '.join(found)}. Allowed: {allowed}. Name {path}/SPLIT.")
        found = found["train"]
    yield from ((f"{path}: row {number}", dict(row)) for number, row in enumerate(found, start=1))


def _examples(where: str, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row as it is trained on: once for each of its completions."""
    for name in LISTS:
        if name in row and not (isinstance(row[name], list) and row[name] and all(isinstance(t, str) and t.strip() for t in row[name])):
            raise DataError(where, f"{name} is {repr(row[name])[:60]}", "a list of one or more texts that are not empty")
    if "weight" in row and not (isinstance(row["weight"], (int, float)) and 0 < row["weight"] < math.inf):
        raise DataError(where, f"weight is {row['weight']!r}", "a number above 0, a factor of the row's cross-entropy")
    if "messages" in row:
        *before, last = _chat(where, "messages", row["messages"])
        if last["role"] != "assistant" or not before or before[-1]["role"] == "assistant":
            raise DataError(
                where, f"messages end with {[m['role'] for m in (*before, last)][-2:]}", "a user's message and the assistant's reply"
            )
        prompt, completions = before, [last["content"]]
    elif "prompt" in row:
        prompt = asked(where, row)
        completions = [_completion(where, row["completion"])] if "completion" in row else list(row.get("references", ()))
        if isinstance(row.get("completion"), list) and isinstance(prompt, str):
            raise DataError(where, "prompt is a text and completion a chat", "both texts, or both chats")
    else:
        raise DataError(where, f"columns {', '.join(map(repr, row))}", SHAPES, "Name them: --columns prompt=YOURS,completion=YOURS.")
    if not completions:
        raise DataError(where, "no completion and no references", SHAPES, "Add one, or name its column: --columns completion=YOURS.")
    for text in completions:
        example = {"prompt": prompt, "completion": text.strip(), "row": row, "where": where}
        yield example | ({"weight": float(row["weight"])} if "weight" in row else {})


def asked(where: str, row: Mapping[str, Any]) -> str | Chat:
    """What a row asks, as a text or as a chat that ends with a user's message. Raises DataError: it asks nothing."""
    if "prompt" not in row and "messages" in row:
        chat = _chat(where, "messages", row["messages"])
        prompt: str | Chat = chat[:-1] if chat[-1]["role"] == "assistant" else chat
    elif isinstance(prompt := row.get("prompt"), str) and prompt.strip():
        return prompt
    elif isinstance(prompt, list):
        prompt = _chat(where, "prompt", prompt)
    else:
        raise DataError(where, f"prompt is {repr(prompt)[:60]}", "a text that is not empty, or a chat")
    if not prompt or prompt[-1]["role"] == "assistant":
        raise DataError(where, "the prompt does not end with something to reply to", "a chat that ends with a user's message")
    return prompt


def _chat(where: str, name: str, value: object) -> Chat:
    """Messages as {"role", "content"}; ShareGPT's {"from", "value"} are read, too."""
    found = []
    for message in value if isinstance(value, list) and value else [None]:
        role, content = (
            (message.get("role", message.get("from")), message.get("content", message.get("value")))
            if isinstance(message, dict)
            else (0, 0)
        )
        role = SPEAKERS.get(role, role)
        if role not in ROLES or not isinstance(content, str) or role != "system" and not content.strip():
            allowed = f"a list of messages with a role ({', '.join(ROLES)}) and a content that is a text and not empty"
            raise DataError(where, f"{name} holds {repr(message if isinstance(value, list) else value)[:80]}", allowed)
        found.append({"role": role, "content": content})
    return found


def _completion(where: str, value: object) -> str:
    if isinstance(value, list):
        chat = _chat(where, "completion", value)
        if len(chat) > 1 or chat[0]["role"] != "assistant":
            raise DataError(where, f"completion holds {len(chat)} messages, {chat[0]['role']!r} first", "one message of the assistant")
        return chat[0]["content"]
    if not isinstance(value, str) or not value.strip():
        raise DataError(where, f"completion is {repr(value)[:60]}", "a text that is not empty, or one message of the assistant")
    return value


def text_of(prompt: str | Chat) -> str:
    """The prompt as a person reads it: the only message of a chat, or all of them with who speaks."""
    if isinstance(prompt, str):
        return prompt
    said = [message for message in prompt if message["role"] != "system"]
    return said[0]["content"] if len(said) == 1 else "\n".join(f"{message['role']}: {message['content']}" for message in said)


def split(examples: Sequence[dict[str, Any]], share: float, seed: int) -> tuple[list[dict], list[dict]]:
    """(train, dev): dev has `share` of the distinct prompts, MOST_DEV at most, and one at least; by a hash of seed and prompt.

    Equal prompts, and prompts that nearly repeat one another (polychromic.data.text.near_duplicates), stand on one side.

    Raises PolychromicError: all rows would be on one side.
    """
    texts = list(dict.fromkeys(text_of(example["prompt"]) for example in examples))
    group = joined(texts, ((texts[i], texts[j]) for i, j in near_duplicates(texts)))
    sizes, wanted = Counter(group.values()), min(MOST_DEV, max(1, round(share * len(texts)))) if share else 0
    dev, room = set(), wanted
    for name in sorted(sizes, key=lambda name: hashed(f"{seed}:{name}")):
        if sizes[name] <= room:
            dev.add(name)
            room -= sizes[name]
    parts: tuple[list[dict], list[dict]] = ([], [])
    for example in examples:
        parts[group[text_of(example["prompt"])] in dev].append(example)
    if not parts[0] or share and not parts[1]:
        allowed = (
            "two prompts or more that are not nearly the same. Add rows, name a file of your own with --dev, or do without: --dev-share 0"
        )
        raise PolychromicError(
            f"the rows cannot be split: {len(texts)} prompts in {len(sizes)} groups of near-duplicates. Allowed: {allowed}."
        )
    return parts


def shared_prompts(train: Iterable[dict], dev: Iterable[dict]) -> int:
    """How many prompts of dev stand in train, too."""
    return len({text_of(e["prompt"]) for e in dev} & {text_of(e["prompt"]) for e in train})
