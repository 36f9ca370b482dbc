"""Script: shut this process off from network, files and other processes, then become the server of programs (serve.py).

Started by run.py as `python -I -S -c SOURCE ARGUMENT`, standard library alone. It takes, in this order, an ordinary user (never root),
namespaces of its own, a file system that is read-only but for a small one in memory at the working directory and in which the home folder
is empty, and a filter without sockets: those of files would lead to the user's own daemons. Process 1 of the new process namespace is a
reaper: when it ends, the kernel kills all that are left. A step that fails ends it with NOT_ISOLATED before a line of a program runs.
The server uses this file as a module, too: what each program's process goes through once more, and its limits.

Argument: one JSON object with "folder", "isolate" (false: limits alone), "command" (the interpreter first), "prefix" (its folder),
"python" (an empty folder at which "prefix" is shown where its own place is out of reach), "home" (the folder to empty) and "file_bytes"
(the file system in memory holds twice that).
"""

import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys

NOT_ISOLATED = 120
PROCESSES = 9  # descriptor of the server's own /proc
NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
# machine: (its name in a filter, numbers of the calls `socket` and `socketpair`)
SOCKET = {"x86_64": (0xC000003E, 41, 53), "aarch64": (0xC00000B7, 198, 199)}
SOCK_STREAM, SOCK_TYPES = 1, 0xF  # the other bits of a type are flags
IO_URING_SETUP = 425
CAPABILITY_VERSION = 0x20080522
NEW_USER, NEW_MOUNTS, NEW_NETWORK, NEW_PROCESSES, NEW_MESSAGES, NEW_NAME = 0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000
NEW_NAMESPACES = NEW_USER | NEW_MOUNTS | NEW_NETWORK | NEW_PROCESSES | NEW_MESSAGES | NEW_NAME
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 0x1000, 0x4000, 0x40000
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, SYS_MOUNT_SETATTR = -100, 0x8000, 1, 442
OPEN_TREE_CLONE, SYS_OPEN_TREE = 1, 428

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def prctl(option: int, value: int, more: bytes | int = 0) -> None:
    checked(libc.prctl(option, value, more, 0, 0), f"prctl {option}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encoded = (source.encode(), target.encode(), kind.encode() if kind else None)
    checked(libc.mount(*encoded, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def show_python(order: dict) -> None:
    """The interpreter's folder at another place, from which it is started."""
    mount(order["prefix"], order["python"], None, MS_BIND | MS_REC)
    order["command"][0] = os.path.join(order["python"], os.path.relpath(order["command"][0], order["prefix"]))


def leave_root(order: dict) -> None:
    """Root's limit on processes does not hold, and root may read what others may not; the interpreter may be one such thing."""
    if os.geteuid() == 0:
        checked(libc.unshare(NEW_MOUNTS), "unshare")
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        show_python(order)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    prctl(PR_SET_DUMPABLE, 1)  # else /proc/self/uid_map belongs to root


def unshare(namespaces: int, processes: int) -> None:
    """New namespaces in which this user is the same one. processes: descriptor of a /proc that can be written to."""
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(namespaces), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        file = os.open(f"self/{name}", os.O_WRONLY, dir_fd=processes)
        os.write(file, text.encode())
        os.close(file)
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def own_folder(folder: str, file_bytes: int) -> None:
    """An empty file system in memory at the working directory."""
    mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"size={2 * file_bytes},nr_inodes=64,mode=700")


def enter_namespaces(order: dict) -> None:
    home = order["home"]
    hide_home = os.path.isdir(home) and home != os.sep
    if hide_home and os.path.commonpath([order["folder"], home]) == home:
        raise OSError(f"temporary files lie in {home}, which no program may see; set TMPDIR to a folder elsewhere")
    processes = os.open("/proc", os.O_PATH)
    unshare(NEW_NAMESPACES, processes)
    if hide_home and os.path.commonpath([order["command"][0], home]) == home:
        show_python(order)
    # The server has to write to it for each program's namespaces, when all that has a path is read-only; no program inherits it.
    kept = libc.syscall(SYS_OPEN_TREE, AT_FDCWD, b"/proc", OPEN_TREE_CLONE)
    checked(min(kept, 0), "a second /proc")
    os.dup2(kept, PROCESSES)
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    checked(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, ctypes.sizeof(attributes)), "read-only files")
    if hide_home:  # keys and tokens lie there; one who is not root runs programs as the user who may read them
        mount("tmpfs", home, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k,nr_inodes=2,mode=555")
    own_folder(order["folder"], order["file_bytes"])


def enter_again(folder: str, file_bytes: int) -> None:
    """Namespaces for one program, within those of `enter_namespaces`; there is no network left to shut off."""
    prctl(PR_SET_DUMPABLE, 1)  # 0, which the server set, took the maps away
    unshare(NEW_USER | NEW_MOUNTS | NEW_PROCESSES | NEW_MESSAGES, PROCESSES)
    os.close(PROCESSES)
    own_folder(folder, file_bytes)


def drop_capabilities() -> None:
    """Those that a new user namespace gives; running another program would do it, too."""
    header, none = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    checked(libc.capset(header, none), "capset")


def become_reaper() -> None:
    """Return in the program's process; its parent is process 1 of the namespace and ends, with all others, when it does."""
    for _ in range(2):
        child = os.fork()
        if child == 0:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            continue
        for fd in (0, 1, 2, 3):  # the pipes close when the program closes them
            os.close(fd)
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            if ended.si_pid == child:  # not reaped by us: while any process is left, its number, which stands for the program, is nobody's
                os._exit(ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status)
            os.waitpid(ended.si_pid, 0)


def limit(limits: dict) -> None:
    kinds = {"CPU": "cpu_seconds", "AS": "memory_bytes", "FSIZE": "file_bytes", "NOFILE": "open_files", "NPROC": "processes"}
    for kind, value in {"CORE": 0, **{kind: int(limits[name]) for kind, name in kinds.items()}}.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (value, value))


def forbid_sockets() -> None:
    """A seccomp filter (BPF) under which socket and io_uring_setup, which could make one, are refused; other ABIs end the process.

    A pair of streams is harmless, and the standard library needs it; one half of a pair of datagram sockets could send to a file's socket.
    """
    machine = os.uname().machine
    if machine not in SOCKET:
        raise OSError(f"sockets cannot be forbidden on {machine}, only on {' and '.join(SOCKET)}")
    architecture, socket, pair = SOCKET[machine]
    load, equal, at_least, mask, answer = 0x20, 0x15, 0x35, 0x54, 0x06
    steps = [
        (load, 0, 0, 4),  # the architecture of the call
        (equal, 0, 10, architecture),
        (load, 0, 0, 0),  # its number
        (at_least, 7, 0, 0x40000000),  # x32, the other set of numbers of x86_64
        (equal, 6, 0, socket),
        (equal, 5, 0, IO_URING_SETUP),
        (equal, 0, 3, pair),
        (load, 0, 0, 24),  # its second argument, the type
        (mask, 0, 0, SOCK_TYPES),
        (equal, 0, 1, SOCK_STREAM),
        (answer, 0, 0, 0x7FFF0000),  # allowed
        (answer, 0, 0, 0x50000 | errno.EPERM),
        (answer, 0, 0, 0x80000000),  # kill the process
    ]
    table = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, struct.pack("HP", len(steps), ctypes.addressof(table)))


def main() -> None:
    order = json.loads(sys.argv[1])
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if order["isolate"]:
            leave_root(order)
            enter_namespaces(order)
            become_reaper()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        if order["isolate"]:
            forbid_sockets()  # to the server as to all its forks
        os.execve(order["command"][0], order["command"], {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"})
    except OSError as error:
        print(f"not isolated: {error}", file=sys.stderr, flush=True)
        os._exit(NOT_ISOLATED)


if __name__ == "__main__":
    main()
