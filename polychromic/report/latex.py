"""The last stage: latexmk in a temporary folder, then one atomic move to paper/main.pdf. The same sources give the same bytes.

It builds no table and reads no result beyond hashing the records, whose hash the PDF carries as \\recordshash.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import atomic_open, sha256_file, sha256_json

PACKAGES = ("latexmk", "texlive-latex-recommended", "texlive-pictures", "texlive-fonts-recommended", "lmodern")
INSTALL = f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"
OPTIONS = ("-interaction=nonstopmode", "-halt-on-error", "-file-line-error")
UNRESOLVED = re.compile(r"(?:Reference|Citation) `[^']*' .*undefined|name\{[^}]*\} has been referenced but does not exist")
OVERFULL = re.compile(r"Overfull \\hbox \((\d+\.?\d*)pt too wide\) (.*)")
TOO_WIDE = "Package polychromic Warning: "  # of \\fitted in main.tex
SLACK = 1.0  # points that nobody sees


def records_hash(records: Sequence[Path]) -> str:
    """First 12 hex digits of one sha256 over the records files (results/*/numbers.json.gz, test-numbers.json.gz), wherever they lie.

    Raises:
        PolychromicError: no file is given, or one does not exist.
    """
    missing = [path for path in records if not path.exists()]
    if missing or not records:
        raise PolychromicError(
            f"records missing: {', '.join(map(str, missing)) or 'none given'}. Run `dvc repro` to make results/<domain>/numbers.json.gz."
        )
    return sha256_json(sorted([path.parent.name, path.name, sha256_file(path)] for path in records))[:12]


def compile_paper(paper_dir: Path, out: Path, records: Sequence[Path] | None = None) -> Path:
    """Compile paper_dir/main.tex to `out`; paper_dir gets no auxiliary file. What is set too wide is named on stderr.

    Args:
        records: the files results/<domain>/numbers.json.gz and test-numbers.json.gz whose hash the PDF carries; default: all beside
            paper_dir.

    Raises:
        PolychromicError: LaTeX is not installed (names the Debian packages and the command), an input is missing,
            LaTeX stops (the three log lines that matter), or a reference, citation or link leads nowhere.
    """
    with compiled(paper_dir, records, out) as build, atomic_open(out) as file:
        file.write((build / "main.pdf").read_bytes())
        wide = badly_set((build / "main.log").read_text(encoding="utf-8", errors="replace"))
    if wide:
        lines = "\n  ".join(wide)
        print(f"{paper_dir / 'main.tex'}: does not fit the page:\n  {lines}\nShorten heads, or split the table.", file=sys.stderr)
    return out


@contextmanager
def compiled(paper_dir: Path, records: Sequence[Path] | None = None, wanted: Path | None = None) -> Iterator[Path]:
    """A temporary copy of paper_dir in which main.tex is compiled: main.pdf, main.bbl, and main.fls, which lists what was read.

    Args:
        wanted: what a message says that LaTeX is missing for; default: main.pdf.

    Raises:
        PolychromicError: as `compile_paper`.
    """
    if not (paper_dir / "main.tex").exists():
        raise PolychromicError(f"{paper_dir / 'main.tex'}: file not found. Run in the folder that holds params.yaml and paper/.")
    if records is None:
        beside = paper_dir.resolve().parent / "results"
        records = sorted([*beside.glob("*/numbers.json.gz"), *beside.glob("*/test-numbers.json.gz")])
    digest = records_hash(records)
    missing = [tool for tool in ("latexmk", "pdflatex", "bibtex") if shutil.which(tool) is None]
    if missing:
        raise PolychromicError(
            f"LaTeX is not installed: {', '.join(missing)} not found on PATH. {wanted or paper_dir / 'main.pdf'} needs the Debian packages "
            f"{', '.join(PACKAGES)}. As root, run\n  {INSTALL}\nand then `make paper` again; all other stages are done and stay done."
        )
    with tempfile.TemporaryDirectory(prefix="polychromic-latex-") as name:
        build = Path(name) / "paper"
        shutil.copytree(paper_dir, build)
        (build / "main.pdf").unlink(missing_ok=True)
        (build / "recordshash.tex").write_text(f"\\newcommand{{\\recordshash}}{{{digest}}}\n", encoding="utf-8")
        done = run_latex(["latexmk", "-norc", "-pdf", "-bibtex", *OPTIONS, "main.tex"], build)
        log_file = build / "main.log"
        log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.exists() else done.stdout.decode(errors="replace")
        if done.returncode != 0 or not (build / "main.pdf").exists():
            bibtex = build / "main.blg"
            lines = (
                error_lines(log)
                or error_lines(bibtex.read_text(errors="replace") if bibtex.exists() else "")
                or done.stderr.decode(errors="replace").splitlines()[-3:]
            )
            raise PolychromicError(
                f"{paper_dir / 'main.tex'} does not compile:\n  "
                + "\n  ".join(lines)
                + "\nFix the source, or run `dvc repro` if a generated file is missing."
            )
        if unresolved := leads_nowhere(log):
            raise PolychromicError(
                f"{paper_dir / 'main.tex'} has undefined references:\n  "
                + "\n  ".join(unresolved[:3])
                + "\nAdd the label, or the entry in refs.bib; a num: or stage: is a row of the provenance tables, which `dvc repro` writes."
            )
        yield build


def run_latex(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    """A command of LaTeX in `folder`, without clock, locale and broken log lines."""
    # max_print_line: a wrapped log line would hide its end
    env = os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "1000", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def leads_nowhere(log: str) -> list[str]:
    """References, citations and links of a log whose target does not exist, sorted."""
    return sorted(set(UNRESOLVED.findall(log)))


def badly_set(log: str, slack: float = SLACK) -> list[str]:
    """What a log says does not fit: lines more than `slack` points too wide, and tables that \\fitted shrank below legible size."""
    found, file = [], "main.tex"
    for line in log.splitlines():
        file = (re.findall(r"\(\./(tables/[^\s()]+)", line) or [file])[-1]
        if (over := OVERFULL.match(line)) and float(over[1]) > slack:
            found.append(f"{over[1]} pt too wide near {file}, {over[2]}")
        elif line.startswith(TOO_WIDE):
            found.append(f"{line.removeprefix(TOO_WIDE)} near {file}")
    return list(dict.fromkeys(found))


def error_lines(log: str, count: int = 3) -> list[str]:
    """The first error of a LaTeX or BibTeX log and the lines that follow it, blank ones left out."""
    lines = [line.rstrip() for line in log.splitlines()]
    for number, line in enumerate(lines):
        if re.match(r"! |\S+\.(?:tex|bib|bst|sty|cls):\d+: |I couldn't open|.*---line \d+ of file", line):
            return [text for text in lines[number:] if text][:count]
    return []
