"""Script: run one program after the other, each in a process and in namespaces of its own that end with it.

An interpreter takes longer to start than most programs run, so each gets a fork of this one, which shuts itself off first (isolate.py).
Nothing that a program leaves reaches the next: its processes and files go with its namespaces, its jobs come one at a time, and no text
of a program or value of its results enters this process, whose memory the next one inherits.

A job is a packet on the socket that is standard input: "limits" as JSON, and with it a socket for the program's process, on which this
writes READY once it is shut off, or why it is not; then reads a line of JSON with "nonce", "program" and "calls" (pairs of a function's
name and its encoded arguments); then writes a line of results. The next packet ends whatever is left, and is answered with another.

Argument: one JSON object with "isolate" (false: limits alone), "folder" (then where programs work), and the texts of isolate.py
("isolate_text") and values.py ("values_text"). Standard library alone.
"""

import gc
import json
import os
import signal
import socket
import sys
import types

RESULTS = 3  # descriptor of a program's process
READY = b"+"  # the first byte from a process that is shut off; what comes first from one that is not says why
# Modules that need libraries of the system, which no program can see: loaded before.
PRELOADED = "bz2 ctypes decimal hashlib lzma sqlite3 uuid zlib".split()


def run(encode: types.FunctionType, decode: types.FunctionType) -> None:
    """Read the job, call its functions, write what they return, behind the nonce. What was expected is not here. Ends the process."""
    # Kept as locals: the program may replace what the modules hold.
    write, dumps, leave, base = os.write, json.dumps, os._exit, BaseException
    with open(RESULTS, "rb", closefd=False) as asked:
        job = json.loads(asked.readline())
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


def start(order: dict, limits: dict, isolate: types.ModuleType, values: types.ModuleType, own: int) -> None:
    """In the fork: shut it off, then become the program. Does not return."""
    try:
        try:
            os.setsid()
            os.dup2(own, RESULTS)
            os.closerange(RESULTS + 1, 1 << 10)
            empty = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(empty, fd)
            os.close(empty)
            isolate.prctl(isolate.PR_SET_PDEATHSIG, signal.SIGKILL)
            if order["isolate"]:
                isolate.enter_again(limits["file_bytes"])
            else:
                os.chdir(order["folder"])
            isolate.limit(limits)
            isolate.drop_capabilities()
            if order["isolate"]:
                isolate.forbid()
        except BaseException as error:  # noqa: BLE001 - nothing may go on from here
            os.write(RESULTS, f"not isolated: {error}".encode())
            os._exit(isolate.NOT_ISOLATED)
        os.write(RESULTS, READY)
        run(values.encode, values.decode)
    finally:
        os._exit(1)


def main() -> None:
    order = json.loads(sys.argv[1])
    isolate, values = (types.ModuleType(name) for name in ("isolate", "values"))
    for module in (isolate, values):
        exec(compile(order[f"{module.__name__}_text"], f"{module.__name__}.py", "exec"), module.__dict__)  # noqa: S102 - our own text
    if order["isolate"]:
        for name in PRELOADED:
            try:
                __import__(name)
            except ImportError:
                pass  # this interpreter was built without
        try:
            isolate.enter()
        except OSError as error:
            print(f"not isolated: {error}", file=sys.stderr, flush=True)
            os._exit(isolate.NOT_ISOLATED)
    asked = socket.socket(fileno=0)
    gc.freeze()  # what a fork need not touch, it need not copy
    ended = False
    while not ended and (packet := socket.recv_fds(asked, 4096, 1))[0]:
        (own,) = packet[1]
        process = os.fork()
        if process == 0:
            start(order, json.loads(packet[0]), isolate, values, own)
        os.close(own)
        ended = not asked.recv(1)  # the answer is there, or its time is over, or whoever asked is gone
        os.kill(process, signal.SIGKILL)  # its namespaces end with it
        try:
            os.killpg(process, signal.SIGKILL)  # there may be no namespaces
        except (ProcessLookupError, PermissionError):
            pass
        if not ended:
            asked.send(b".")
        try:
            while True:  # until all that is left of it is gone: orphans in this process's namespace are its children
                os.wait()
        except ChildProcessError:
            pass


if __name__ == "__main__":
    main()
