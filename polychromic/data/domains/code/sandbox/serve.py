"""Script: run one program after the other, each in a process and in namespaces of its own that end with it.

What isolate.py becomes, already shut off: an interpreter takes longer to start than most programs run, so each gets a fork of this one.
Nothing that a program leaves reaches the next: its processes, files and shared memory go with its namespaces, this process cannot be
signalled or read from within them, and its jobs come one at a time.

A job is a line of JSON on the socket that is standard input: "nonce", "program", "calls" (pairs of a function's name and its encoded
arguments), "limits". The answer, on the same: a line of JSON with "failed" and "size", then that many bytes: what the program's process
wrote before it ended within its limits, or why it "failed": could not be shut off and did not run.

Argument: one JSON object with "isolate" (false: limits alone), "folder", and "source", the text of isolate.py. Standard library alone.
"""

import json
import os
import signal
import socket
import struct
import sys
import time
import types

RESULTS = 3  # descriptor of a program's process
READY = b"+"  # the first byte from a process that is shut off; what comes first from one that is not says why
SET_UP = 10.0  # seconds that it may take to be shut off; a program's own time starts after that
CREDENTIALS = struct.Struct("3i")  # of a sender: process, user and group
DEPTH, SIZE = 24, 20_000  # nesting and number of parts of a value that is still data
SERIES = {list: "l", tuple: "t", set: "S", frozenset: "F"}
# Type: (tag, how it is written, how it is read).
SCALARS = {
    type(None): ("n", lambda value: None, lambda body: None),
    bool: ("b", int, bool),
    int: ("i", hex, lambda body: int(body, 16)),
    float: ("f", float.hex, float.fromhex),
    str: ("s", lambda text: text.encode("utf-8", "surrogatepass").hex(), lambda body: bytes.fromhex(body).decode("utf-8", "surrogatepass")),
    bytes: ("y", bytes.hex, bytes.fromhex),
}
READERS = {tag: read for tag, _, read in SCALARS.values()} | {
    **{tag: lambda body, kind=kind: kind(map(decode, body)) for kind, tag in SERIES.items()},
    "d": lambda body: {decode(key): decode(part) for key, part in body},
}


def encode(value: object, depth: int = 0) -> list:
    """Plain data as tagged JSON, by exact type: an object that says it equals everything is not data. TypeError for anything else."""
    kind = type(value)
    if kind in SCALARS:
        tag, write, _ = SCALARS[kind]
        return [tag, write(value)]
    if kind not in (dict, *SERIES) or depth >= DEPTH or len(value) > SIZE:
        raise TypeError(f"{kind.__name__} is no plain data, or too much of it")
    if kind is dict:
        return ["d", [[encode(key, depth + 1), encode(part, depth + 1)] for key, part in value.items()]]
    parts = [encode(part, depth + 1) for part in value]
    return [SERIES[kind], parts if kind in (list, tuple) else sorted(parts, key=json.dumps)]


def decode(tagged: list) -> object:
    """The value of `encode`; some Exception for what it never returns."""
    tag, body = tagged
    return READERS[tag](body)


def run(job: dict) -> None:
    """Call the program's functions and write what they return, behind the nonce. What was expected is not here. Ends the process."""
    # Kept as locals: the program may replace what the modules hold.
    write, dumps, leave, base = os.write, json.dumps, os._exit, BaseException
    found = []
    try:
        space = {"__name__": "program", "__builtins__": __builtins__}
        exec(compile(job["program"], "program.py", "exec"), space)  # noqa: S102 - what the sandbox is for
        for name, arguments in job["calls"]:
            try:
                found.append(["value", encode(space[name](*decode(arguments)))])
            except base as error:
                found.append(["error", type(error).__name__])
    except base as error:
        found = [["error", type(error).__name__]] * len(job["calls"])
    data = (job["nonce"] + dumps(found) + "\n").encode()
    while data:
        data = data[write(RESULTS, data) :]
    leave(0)  # no hook of the program runs


def start(order: dict, job: dict, isolate: types.ModuleType, written: int) -> None:
    """In the fork: shut it off once more, then become the program. Does not return."""
    try:
        os.setsid()
        os.dup2(written, RESULTS)
        empty = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(empty, fd)
        os.closerange(RESULTS + 1, isolate.PROCESSES)
        os.closerange(isolate.PROCESSES + 1, 1 << 10)
        isolate.prctl(isolate.PR_SET_PDEATHSIG, signal.SIGKILL)
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
    run(job)


def heard(reading: socket.socket, limits: dict) -> tuple[bool, bytes]:
    """(failed, bytes) as they go into the answer; no bytes where the program takes too long or writes too much.

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
                return True, block or b"not isolated: its process ended before that"
            program, block, deadline = sender, block[len(READY) :], time.monotonic() + limits["seconds"]
        elif not block:
            return False, bytes(data)
        received += len(block)
        if received > limits["output_bytes"]:
            break
        if sender == program:
            data += block
    return program is None, f"not isolated within {SET_UP:g} s".encode() if program is None else b""


def main() -> None:
    order = json.loads(sys.argv[1])
    isolate = types.ModuleType("isolate")
    exec(compile(order["source"], "isolate.py", "exec"), isolate.__dict__)  # noqa: S102 - our own text
    isolate.prctl(isolate.PR_SET_PDEATHSIG, signal.SIGKILL)
    isolate.prctl(isolate.PR_SET_DUMPABLE, 0)  # no other process may trace this one or read its memory
    asked = socket.socket(fileno=0)
    for job in map(json.loads, asked.makefile("rb")):
        reading, written = socket.socketpair()
        reading.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        process = os.fork()
        if process == 0:
            start(order, job, isolate, written.fileno())
        written.close()
        with reading:
            failed, data = heard(reading, job["limits"])
        os.kill(process, signal.SIGKILL)  # its namespaces end with it
        try:
            os.killpg(process, signal.SIGKILL)  # there may be no namespaces
        except (ProcessLookupError, PermissionError):
            pass
        os.waitpid(process, 0)  # all of the program's processes are gone or about to be
        asked.sendall(json.dumps({"failed": failed, "size": len(data)}).encode() + b"\n" + data)


if __name__ == "__main__":
    main()
