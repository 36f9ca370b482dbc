"""Script: shut this process off from network, files and other processes, then become the program's interpreter.

Started by polychromic.sandbox.run as `python -I -S isolate.py`, standard library alone. It takes, in this order, an ordinary
user (never root), namespaces of its own for users, mounts, network, processes and messages, a file system that is read-only
but for a small one in memory at the working directory, and in which the home folder is empty, limits, and a filter without
sockets: those of files would lead to the user's own daemons. The first process of the new process namespace is a reaper: when
it ends, the kernel kills all that are left. Any step that fails ends it with NOT_ISOLATED before a line of the program runs.

Arguments: one JSON object with the fields of polychromic.sandbox.run.Limits, "folder", "isolate" (false: limits alone),
"results" (descriptor that the program's process finds as number 3), "command" (the interpreter first), "prefix" (its folder) and
"python" (an empty folder at which "prefix" is shown where its own place is out of reach) and "home" (the folder to empty).
"""

import ctypes
import errno
import json
import os
import resource
import signal
import sys

NOT_ISOLATED = 120
NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # machine: (its name in a filter, number of the call `socket`)
IO_URING_SETUP = 425
NEW_MOUNTS = 0x20000
NEW_NAMESPACES = 0x10000000 | NEW_MOUNTS | 0x40000000 | 0x20000000 | 0x8000000 | 0x4000000  # user, mount, net, pid, ipc, host name
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 0x1000, 0x4000, 0x40000
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, SYS_MOUNT_SETATTR = -100, 0x8000, 1, 442

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encoded = (source.encode(), target.encode(), kind.encode() if kind else None)
    checked(libc.mount(*encoded, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def inside(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


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
    checked(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")  # else /proc/self/uid_map belongs to root


def enter_namespaces(order: dict) -> None:
    folder, home = order["folder"], order["home"]
    hide = os.path.isdir(home) and home != os.sep
    if hide and inside(folder, home):
        raise OSError(f"temporary files lie in {home}, which the program must not see; set TMPDIR to a folder elsewhere")
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(NEW_NAMESPACES), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    if hide and inside(order["command"][0], home):
        show_python(order)
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    checked(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, ctypes.sizeof(attributes)), "read-only files")
    if hide:  # keys and tokens lie there; one who is not root runs programs as the user who may read them
        mount("tmpfs", home, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k,nr_inodes=2,mode=555")
    mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"size={2 * order['file_bytes']},nr_inodes=64,mode=700")


def become_reaper() -> None:
    """Return in the program's process; its parent is process 1 of the namespace and ends, with all others, when it does."""
    for first in (True, False):
        child = os.fork()
        if child == 0:
            checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
            continue
        for fd in (0, 1, 2, 3):  # the pipes close when the program closes them
            os.close(fd)
        while True:
            ended, status = os.wait()
            if ended == child:
                os._exit(os.waitstatus_to_exitcode(status) & 0xFF if os.WIFEXITED(status) or first else 128 + os.WTERMSIG(status))


def limit(limits: dict) -> None:
    cpu, file_bytes = int(limits["cpu_seconds"]), int(limits["file_bytes"])
    for what, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, int(limits["memory_bytes"])),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, int(limits["open_files"])),
        (resource.RLIMIT_NPROC, int(limits["processes"])),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


class Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint32))


class Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(Instruction)))


def forbid_sockets() -> None:
    """A seccomp filter (BPF) under which socket and io_uring_setup, which could make one, are refused; other ABIs end the process."""
    machine = os.uname().machine
    if machine not in SOCKET:
        raise OSError(f"sockets cannot be forbidden on {machine}, only on {' and '.join(SOCKET)}")
    architecture, socket = SOCKET[machine]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    steps = [
        (load, 0, 0, 4),  # the architecture of the call
        (equal, 0, 6, architecture),
        (load, 0, 0, 0),  # its number
        (at_least, 3, 0, 0x40000000),  # x32, the other set of numbers of x86_64
        (equal, 2, 0, socket),
        (equal, 1, 0, IO_URING_SETUP),
        (answer, 0, 0, 0x7FFF0000),  # allowed
        (answer, 0, 0, 0x50000 | errno.EPERM),
        (answer, 0, 0, 0x80000000),  # kill the process
    ]
    table = (Instruction * len(steps))(*steps)
    program = Filter(len(steps), table)
    checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


def main() -> None:
    order = json.loads(sys.argv[1])
    try:
        if order["results"] != 3:
            os.dup2(order["results"], 3)
            os.close(order["results"])
        os.set_inheritable(3, True)
        checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
        if order["isolate"]:
            leave_root(order)
            enter_namespaces(order)
            become_reaper()
        os.chdir(order["folder"])
        limit(order)
        if order["isolate"]:
            forbid_sockets()
    except OSError as error:
        print(f"not isolated: {error}", file=sys.stderr, flush=True)
        os._exit(NOT_ISOLATED)
    try:
        os.execve(order["command"][0], order["command"], {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"})
    except OSError as error:
        print(f"{order['command'][0]}: {error}", file=sys.stderr, flush=True)
        os._exit(NOT_ISOLATED)


if __name__ == "__main__":
    main()
