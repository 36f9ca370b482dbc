"""Script: run one program after the other, each in a process and in namespaces of its own that end with it.

What polychromic.sandbox.isolate becomes, already shut off: an interpreter takes longer to start than most programs run, so each
program gets a fork of this one. Nothing that a program leaves reaches the next: its processes, files and shared memory go with
its namespaces, this process cannot be signalled or read from within them, and its jobs come one at a time.

A job is a line of JSON on standard input: "nonce", "program", "calls", "limits". The answer, on descriptor 3: a line of JSON with
"status" ("ended", "timeout" or "output") and "size", then that many bytes, what the program's process wrote.

Arguments: one JSON object with "isolate" (false: limits alone), "folder", and the sources of the two modules used here, "modules".
"""

import json
import os
import selectors
import signal
import sys
import time
import types

RESULTS = 3
FAILED = b"!"  # before the reason why a program could not be shut off


def load(name: str, source: str) -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


def start(order: dict, job: dict, isolate: types.ModuleType, child: types.ModuleType, written: int) -> None:
    """In the fork: shut it off once more, then become the program. Does not return."""
    try:
        os.setsid()
        os.dup2(written, RESULTS)
        empty = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(empty, fd)
        os.closerange(RESULTS + 1, isolate.PROCESSES)
        os.closerange(isolate.PROCESSES + 1, 1 << 10)
        isolate.die_with_parent()
        if order["isolate"]:
            isolate.enter_again(order["folder"], job["limits"]["file_bytes"])
            isolate.become_reaper()
        os.chdir(order["folder"])
        isolate.limit(job["limits"])
        isolate.drop_capabilities()
    except BaseException as error:  # noqa: BLE001 - nothing may go on from here
        os.write(RESULTS, FAILED + f"not isolated: {error}".encode())
        os._exit(isolate.NOT_ISOLATED)
    child.run(job)


def one(order: dict, job: dict, isolate: types.ModuleType, child: types.ModuleType) -> tuple[str, bytes]:
    """(status, what the program's process wrote); all of its processes are gone."""
    limits = job["limits"]
    reading, written = os.pipe()
    process = os.fork()
    if process == 0:
        start(order, job, isolate, child, written)
    os.close(written)
    data, status, deadline = bytearray(), "timeout", time.monotonic() + limits["seconds"]
    with selectors.DefaultSelector() as waiting:
        waiting.register(reading, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not waiting.select(left):
                continue
            block = os.read(reading, 1 << 16)
            if not block:
                status = "ended"
                break
            data += block
            if len(data) > limits["output_bytes"]:
                data, status = bytearray(), "output"
                break
    os.close(reading)
    try:
        os.killpg(process, signal.SIGKILL)  # its namespaces end with it
    except (ProcessLookupError, PermissionError):
        pass
    os.waitpid(process, 0)
    return status, bytes(data) if status == "ended" else b""


def main() -> None:
    order = json.loads(sys.argv[1])
    isolate, child = (load(name, order["modules"][name]) for name in ("isolate", "child"))
    isolate.die_with_parent()
    isolate.hide()
    while line := sys.stdin.buffer.readline():
        status, data = one(order, json.loads(line), isolate, child)
        answer = json.dumps({"status": status, "size": len(data)}).encode() + b"\n" + data
        while answer:
            answer = answer[os.write(RESULTS, answer) :]


if __name__ == "__main__":
    main()
