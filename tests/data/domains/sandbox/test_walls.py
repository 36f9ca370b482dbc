"""Each wall of the sandbox against each program of walls.toml: as root and as an ordinary user, with the files that it is after inside and
outside of the home folder. Without a sandbox each program gets through, so that none is held by chance."""

import inspect
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import polychromic
from polychromic.base.errors import PolychromicError
from polychromic.data.domains.code.sandbox import isolate, run, walls
from polychromic.data.domains.code.sandbox.run import Test, passes

ROWS = [(wall, name) for wall, programs in walls.WALLS.items() for name in programs]
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")

TRY = """
import json, sys
from pathlib import Path
from polychromic.data.domains.code.sandbox import walls
print(json.dumps(walls.try_walls(Path(sys.argv[1]))))
"""
# The interpreter, its packages and ours are shown at places that an ordinary user can reach, and this becomes one.
BECOME = """
set -e
for pair in "$1:$2/python" "$3:$2/packages" "$4:$2/repository"; do
  mkdir "${pair#*:}"
  mount --bind "${pair%:*}" "${pair#*:}"
done
export PYTHONPATH="$2/repository:$2/packages"
cd "$6" && exec setpriv --reuid 12345 --regid 12345 --clear-groups "$2/python/bin/$5" -c "$7" "$6"
"""


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter and write to: those of pytest are for their owner alone."""
    with tempfile.TemporaryDirectory(prefix="shared-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.fixture(scope="module", params=["home", "elsewhere"])
def home(request, open_folder) -> Path:
    """The home folder, in which the files lie or do not."""
    (folder := open_folder / request.param).mkdir(exist_ok=True)
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="module", params=["as it is", pytest.param("ordinary", marks=needs_root)])
def found(request, open_folder, home) -> dict[str, list[str]]:
    """What got through: as the user who runs the tests, and where that is root as an ordinary one, whose interpreter lies elsewhere."""
    (files := open_folder / "home" / request.param).mkdir(parents=True)
    files.chmod(0o777)
    command = [sys.executable, "-c", TRY, str(files)]
    if request.param == "ordinary":
        binary = Path(sys._base_executable).resolve()
        (places := open_folder / f"places-{home.name}").mkdir()
        where = [sys.base_prefix, places, sysconfig.get_path("purelib"), Path(polychromic.__file__).parents[1], binary.name, files, TRY]
        command = ["unshare", "--mount", "sh", "-c", BECOME, "sh", *map(str, where)]
    done = subprocess.run(command, env=os.environ | {"HOME": str(home)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(files)
    return json.loads(done.stdout)


@pytest.mark.parametrize(("wall", "name"), ROWS)
def test_the_wall_stands(found, wall, name):
    assert name not in found[wall]


def unhindered(program: str, at: dict, secret: str) -> str:
    """What a program returns in a fork of this process, with a terminal of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.open(at["terminal"], os.O_RDWR)
            os.chdir(tempfile.mkdtemp(dir=at["folder"]))
            exec(program, space := {})  # noqa: S102 - to see what it can do
            known = [secret]  # for those that look into frames and objects
            found = space["f"](at)
            os.write(write, b"through" if found is True or [found] == known else ascii(found)[:200].encode())
        except BaseException as error:  # noqa: BLE001 - nothing may go on from here
            os.write(write, ascii(error)[:200].encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        said = answer.read(200).decode()
    os.waitpid(child, 0)
    return said


@needs_root
def test_without_a_wall_each_program_gets_through(open_folder):
    with walls.place(open_folder) as (at, secret):
        held = {row: unhindered(walls.WALLS[row[0]][row[1]], at, secret) for row in ROWS}
    assert {row: said for row, said in held.items() if said != "through"} == {}


THIEVES = [
    text
    for wall in ("answers", "files", "processes")
    for name, text in walls.WALLS[wall].items()
    if name.startswith(("reads", "looks", "climbs"))
]
STEPS = [
    "libc.unshare(NEW_NAMESPACES)", 'libc.umount2(b".", MNT_DETACH)', "libc.capset(header, none)",
    "libc.unshare(NEW_MOUNTS | NEW_PROCESSES)",
]  # fmt: skip


@pytest.mark.parametrize("tries", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_no_program_steals_the_answer(open_folder, tries):
    """Every tenth one is right, so that an answer passes where the next one could find it."""
    with walls.place(open_folder) as (at, secret):
        test, right = Test("f", (at,), secret), f"def f(place): return {secret!r}"
        stolen = 0
        for i in range(tries):
            if i % 10 == 0:
                assert passes(right, [test])
            stolen += passes(THIEVES[i % len(THIEVES)], [test])
    assert stolen == 0


def test_a_step_that_fails_is_a_wall_that_is_missing_and_nothing_runs(monkeypatch):
    """Each step of shutting off, replaced by one that the system refuses."""
    read, one = inspect.getsource, ("def f(): return 1", [Test("f", (), 1)])
    for step in STEPS:
        assert read(run.isolate).count(step) == 1
        monkeypatch.setattr(inspect, "getsource", lambda module, step=step: read(module).replace(step, "-1"))
        run.close()
        with pytest.raises(PolychromicError, match="no verdict on a program .*POLYCHROMIC_UNISOLATED=1"):
            passes(*one)
        monkeypatch.undo()
    run.close()
    assert passes(*one)


def judged(steps: list[tuple], call: tuple) -> int:
    """What a filter answers: call is (number, architecture, low words of the arguments). The four kinds of steps that ours has."""
    number, architecture, *arguments = call
    words, at, held = {0: number, 4: architecture} | {16 + 8 * i: word for i, word in enumerate(arguments)}, 0, 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                held = words[operand]
            case 0x54:
                held &= operand
            case 0x15 | 0x35:
                at += yes if (held == operand if code == 0x15 else held >= operand) else no
            case 0x06:
                return operand


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x80000000


@pytest.mark.parametrize("name", isolate.MACHINES)
def test_the_filter_refuses_what_it_names_on_each_machine_and_nothing_that_python_needs(name):
    """Also for the machine that this is not. Its numbers are those of Linux: read, openat, mmap; then socketpair, clone and fcntl."""
    architecture, _, column = isolate.MACHINES[name]
    answer = lambda number, *arguments: judged(isolate.rules(name), (number, architecture, *arguments, 0, 0, 0))
    refused = [numbers[column] for calls in isolate.REFUSED.values() for numbers in calls.values() if numbers[column] is not None]
    assert {answer(number) for number in refused} == {EPERM} and len(refused) == len(set(refused)) > 20
    assert [answer(numbers[column]) for numbers in ((0, 63), (257, 56), (9, 222))] == [ALLOW] * 3
    assert {answer(number) for number in (424, 425, 435, 447, 500, 0x40000000 + 41)} == {ENOSYS}
    pair, clone, fcntl = (numbers[column] for numbers in ((53, 199), (56, 220), (72, 25)))
    assert [answer(pair, 1, kind) for kind in (1, 0x80001, 2, 5)] == [ALLOW, ALLOW, EPERM, EPERM]
    assert [answer(clone, flags) for flags in (0x3D0F00, 17, 0x10000011, 0x4111)] == [ALLOW, EPERM, EPERM, EPERM]
    assert [answer(fcntl, 3, command) for command in (1, 4, 1030, 6, 8, 38, 1024, 1031)] == [ALLOW] * 3 + [EPERM] * 5
    assert judged(isolate.rules(name), (0, 0x40000003, 0)) == KILL
