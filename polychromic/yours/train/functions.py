"""Quality and similarity by the names that a user gives them: ours, or functions of the user's, alone or together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from polychromic.base.errors import UsageError
from polychromic.base.io import sha256_file, sha256_json
from polychromic.score.text import answer_key, tokenize
from polychromic.yours.train.guard import SECONDS, Guard, load_function

Row = dict[str, Any]
Function = Callable[[Row, Sequence[str]], np.ndarray]

# name -> what it asks for, in a line of --help
QUALITIES = {
    "answers": "one of the row's `valid` (else `references`), as a whole",
    "likeness": "likeness or likeness:FLOOR: ROUGE-L with the nearest of `references`",
    "meaning": "meaning or meaning:FLOOR: cosine of sentence vectors with the nearest of `references`",
    "regex": "regex:PATTERN, matched as a whole",
    "json": "json or json:SCHEMA.json: a document that the schema allows",
    "length": "length:5-30 words",
    "tests": "programs that pass the row's `tests` in the sandbox",
    "classifier": "classifier:FOLDER[,label=NAME][,reads=pair]",
    "judge": "judge:URL,model=NAME[,criterion=TEXT]: a model behind an OpenAI-compatible address",
}
SIMILARITIES = {
    "answer": "the same answer, but for case, blanks and a final stop",
    "words": "share of words in common (Dice)",
    "meaning": "cosine of sentence vectors; 0 for replies as different as two references of one prompt",
}
COMBINE = ("product", "min", "mean")
SHORT = 4  # words of the median completion up to which two replies are compared as answers


class Vectors:
    """Sentence vectors of an encoder that is loaded when it is first asked for; each text is encoded once."""

    def __init__(self, folder: Callable[[], Path]):
        self._folder, self._encoder, self._known = folder, None, {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, d) float32 of unit length."""
        if new := list(dict.fromkeys(text for text in texts if text not in self._known)):
            from polychromic.base.hardware import best_device
            from polychromic.models.load import embed, load_encoder
            from polychromic.yours.train.base import quiet

            if self._encoder is None:
                quiet()
                self._encoder = load_encoder(self._folder(), best_device())
            self._known |= dict(zip(new, embed(self._encoder, new), strict=True))
        return np.stack([self._known[text] for text in texts])


@dataclass
class Scoring:
    """What is good, and what is alike, of replies to a row.

    Attributes:
        quality, similarity: of (row of the file, N replies): (N,) and (N, N) in [0, 1].
        names: {"quality": [...], "combine", "similarity"} as the user would ask for them again.
        identity: tells one version of them from another.
        guards: the functions of the user's among them. asked: whether they were asked before, so that models are loaded.
    """

    quality: Function
    similarity: Function
    names: dict[str, Any]
    identity: dict[str, Any]
    guards: list[Guard] = field(default_factory=list)
    asked: bool = False

    def of_examples(self) -> tuple[Function, Function]:
        """The two for the rows of a Trainer, in whose column "row" the row stands."""
        return (
            lambda example, replies: self.quality(example["row"], replies),
            lambda example, replies: self.similarity(example["row"], replies),
        )


def default_names(examples: Sequence[dict[str, Any]]) -> tuple[list[str], str]:
    """(quality, similarity) where the user names none: right answers where every row has some, else likeness to the references."""
    words = sorted(len(tokenize(example["completion"])) for example in examples)
    short = words[len(words) // 2] <= SHORT
    quality = "answers" if all("valid" in example["row"] for example in examples) else "likeness"
    return [quality], "answer" if short else "meaning"


def build(
    qualities: Sequence[str], combine: str, similarity: str, *, encoder: Callable[[], Path], kept: Path | None = None,
    references: Sequence[Sequence[str]] = (), seconds: float = SECONDS,
) -> Scoring:  # fmt: skip
    """The two functions.

    Args:
        qualities: names of QUALITIES with what stands behind their colon, or functions; several are taken together by `combine`: their
            product, the least, or their mean. similarity: a name of SIMILARITIES, or a function.
        encoder: obtains the sentence encoder's folder. kept: folder for the judge's grades and what functions print.
        references: of each prompt: how alike two good replies to one prompt are, which `meaning` calls different.
        seconds: one call of a user's function may take.

    Raises UsageError: a name that there is not, or settings that it does not take.
    """
    if combine not in COMBINE:
        raise UsageError(f"--combine {combine}. Allowed: {', '.join(COMBINE)}.")
    vectors = Vectors(encoder)
    parts, identity, guards = [], {"combine": combine}, []
    for spec in qualities:
        function, version = _quality(spec, vectors, kept)
        if function is None:
            given, version = load_function(spec, "--quality")
            function = Guard(given, spec, 1, seconds, kept and kept / "printed.txt")
            guards.append(function)
        parts.append(function)
        identity[f"quality {spec}"] = version
    alike: Function
    if similarity in ("answer", "words"):
        alike = {"answer": same_answer, "words": same_words}[similarity]
    elif similarity == "meaning":
        alike = Meaning(vectors, references)
    else:
        given, identity["similarity"] = load_function(similarity, "--similarity")
        alike = Guard(given, similarity, 2, seconds, kept and kept / "printed.txt")
        guards.append(alike)
    names = {"quality": list(qualities), "combine": combine, "similarity": similarity}
    return Scoring(together(parts, combine), alike, names, identity, guards)


def _quality(spec: str, vectors: Vectors, kept: Path | None) -> tuple[Function | None, str]:
    """One of ours by its name, and what tells its version; (None, "") where the name is none of ours."""
    name, _, argument = spec.partition(":")
    if name not in QUALITIES:
        return None, ""
    if name in ("answers", "tests") and argument:
        raise UsageError(f"--quality {spec}: {name} takes nothing behind its name. Allowed: {name}. Leave it out.")
    if name in ("regex", "length", "classifier", "judge") and not argument:
        raise UsageError(f"--quality {name} needs something behind it. Allowed: {QUALITIES[name]}. Add it.")
    if name in ("answers", "regex", "length"):
        from polychromic.yours.train.qualities import form

        return (form.Answers() if name == "answers" else form.Pattern(argument) if name == "regex" else form.Length(argument)), ""
    if name in ("likeness", "meaning"):
        from polychromic.yours.train.qualities import likeness

        floor = likeness.read_floor(name, argument)
        return likeness.Likeness(floor) if name == "likeness" else likeness.Meaning(vectors, floor), ""
    if name == "json":
        from polychromic.yours.train.qualities.schema import Schema

        return Schema(argument), sha256_file(argument) if argument else ""
    if name == "tests":
        from polychromic.yours.train.qualities.programs import Tests

        return Tests(), ""
    given, options = _options(spec, argument, ("label", "reads") if name == "classifier" else ("model", "criterion"))
    if name == "classifier":
        from polychromic.yours.train.qualities.classifier import Classifier

        found = Classifier(given, **options)
        return found, sha256_json({path.name: sha256_file(path) for path in sorted(Path(given).iterdir()) if path.is_file()})
    from polychromic.yours.train.qualities.judge import Judge

    return Judge(given, **options, kept=kept and kept / "judge.jsonl"), ""


def _options(spec: str, argument: str, allowed: Sequence[str]) -> tuple[str, dict[str, str]]:
    """ARGUMENT,key=value,key=value; the last value may hold commas."""
    first, *rest = argument.split(",")
    options: dict[str, str] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if equals and key in allowed:
            options[key] = value
        elif options:
            options[list(options)[-1]] += f",{part}"
        else:
            raise UsageError(f"--quality {spec}: {part!r}. Allowed: {', '.join(f'{name}=...' for name in allowed)}. Correct it.")
    return first, options


def together(parts: Sequence[Function], how: str) -> Function:
    """Qualities of one reply as one: their product, the least, or their mean. Those named later are not asked about a reply that is 0
    already where that decides it (product, min), so name what costs most last; functions of the user's get all N replies all the same."""

    def quality(row: Row, replies: Sequence[str]) -> np.ndarray:
        found = np.asarray(parts[0](row, replies), dtype=float)
        for number, part in enumerate(parts[1:], start=2):
            left = np.arange(len(replies)) if how == "mean" or isinstance(part, Guard) else np.flatnonzero(found > 0)
            more = np.zeros(len(replies))
            if len(left):
                more[left] = part(row, [replies[i] for i in left])
            found = found * more if how == "product" else np.minimum(found, more) if how == "min" else found + (more - found) / number
        return found

    return quality


def same_answer(row: Mapping[str, Any], replies: Sequence[str]) -> np.ndarray:
    """1 where two replies are one answer (score.text.answer_key), else 0."""
    keys = np.array([answer_key(reply) for reply in replies], dtype=object)
    return (keys[:, None] == keys[None, :]).astype(float)


def same_words(row: Mapping[str, Any], replies: Sequence[str]) -> np.ndarray:
    """Dice's coefficient of the sets of words: 2 |A & B| / (|A| + |B|); 1 for equal replies."""
    sets = [set(tokenize(reply)) for reply in replies]
    found = np.eye(len(replies))
    for i, j in combinations(range(len(replies)), 2):
        total = len(sets[i]) + len(sets[j])
        found[i, j] = found[j, i] = 2 * len(sets[i] & sets[j]) / total if total else 1.0
    return found


class Meaning:
    """Cosine of sentence vectors, moved so that two good replies to one prompt, as different as references are, have 0; in [0, 1].

    Args: references, of each prompt. Where no prompt has two, the cosine is taken as it is, negative ones as 0.
    """

    def __init__(self, embed: Vectors, references: Sequence[Sequence[str]]):
        self._embed, self._references, self._floor = embed, references, None

    @property
    def floor(self) -> float:
        if self._floor is None:
            several = [list(dict.fromkeys(texts)) for texts in self._references if len(set(texts)) > 1]
            means = []
            for texts in several:
                vectors = self._embed(texts).astype(float)
                means.append(np.mean([vectors[i] @ vectors[j] for i, j in combinations(range(len(texts)), 2)]))
            self._floor = min(0.9, max(0.0, float(np.median(means)))) if means else 0.0
        return self._floor

    def __call__(self, row: Mapping[str, Any], replies: Sequence[str]) -> np.ndarray:
        vectors = self._embed(replies).astype(float)
        found = np.clip((vectors @ vectors.T - self.floor) / (1 - self.floor), 0.0, 1.0)
        np.fill_diagonal(found, 1.0)
        return found
