"""Script: run one program after the other, each in a process and in namespaces of its own that end with it.

What isolate.py becomes, already shut off: an interpreter takes longer to start than most programs run, so each
program gets a fork of this one. Nothing that a program leaves reaches the next: its processes, files and shared memory go with
its namespaces, this process cannot be signalled or read from within them, and its jobs come one at a time.

A job is a line of JSON on standard input: "nonce", "program", "calls", "limits". The answer, on descriptor 3: a line of JSON with
"status" and "size", then that many bytes: what the program's process wrote where the status is "ended", the reason where it is "failed"
(the program could not be shut off and did not run), none where it is "timeout" or "output".

Arguments: one JSON object with "isolate" (false: limits alone), "folder", and the sources of the two modules used here, "modules".
"""

import json
import os
import signal
import socket
import struct
import sys
import time
import types

RESULTS = 3
READY = b"+"  # the first byte from a process that is shut off; what comes first from one that is not says why
SET_UP = 10.0  # seconds that it may take to be shut off; a program's own time starts after that
CREDENTIALS = struct.Struct("3i")  # of a sender: process, user and group


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
        os.write(RESULTS, READY)
    except BaseException as error:  # noqa: BLE001 - nothing may go on from here
        os.write(RESULTS, f"not isolated: {error}".encode())
        os._exit(isolate.NOT_ISOLATED)
    child.run(job)


def heard(reading: socket.socket, limits: dict) -> tuple[str, bytes]:
    """(status, bytes) as they go into the answer.

    The kernel names the sender of each block, and a program can name nobody else. The first block comes from our own code: it says whose
    are the program's, so that an answer of a process that the program forked is none, whichever of the two ends first, and that a
    program cannot claim not to have been shut off.
    """
    program, received, data, deadline = None, 0, bytearray(), time.monotonic() + SET_UP
    while (left := deadline - time.monotonic()) > 0:
        reading.settimeout(left)
        try:  # there is room for credentials alone: the kernel drops descriptors that a program sends along
            block, sent_with, _, _ = reading.recvmsg(1 << 16, socket.CMSG_SPACE(CREDENTIALS.size))
        except TimeoutError:
            break
        except OSError:
            block = b""  # a program may do to its end what it likes: that ends the program, not the server
        sender = CREDENTIALS.unpack(sent_with[0][2])[0] if block else None
        if program is None:
            if not block.startswith(READY):
                return "failed", block or b"not isolated: its process ended before that"
            program, block, deadline = sender, block[len(READY) :], time.monotonic() + limits["seconds"]
        elif not block:
            return "ended", bytes(data)
        received += len(block)
        if received > limits["output_bytes"]:
            return "output", b""
        if sender == program:
            data += block
    return ("failed", f"not isolated within {SET_UP:g} s".encode()) if program is None else ("timeout", b"")


def one(order: dict, job: dict, isolate: types.ModuleType, child: types.ModuleType) -> tuple[str, bytes]:
    """(status, bytes) as they go into the answer; all of the program's processes are gone or about to be."""
    reading, written = socket.socketpair()
    reading.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    process = os.fork()
    if process == 0:
        start(order, job, isolate, child, written.fileno())
    written.close()
    with reading:
        status, data = heard(reading, job["limits"])
    os.kill(process, signal.SIGKILL)  # its namespaces end with it
    try:
        os.killpg(process, signal.SIGKILL)  # there may be no namespaces
    except (ProcessLookupError, PermissionError):
        pass
    os.waitpid(process, 0)
    return status, data


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
