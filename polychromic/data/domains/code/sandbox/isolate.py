"""What shuts a process off from files, devices, other processes and network: a module of the script serve.py, standard library alone.

`enter`, once per server: an ordinary user (never root), namespaces of its own, and a root in memory that holds the interpreter's standard
library (read-only, without installed packages), /proc, /dev/null, an empty folder, and nothing else; the old root is let go of.
`enter_again`, for each program: namespaces of processes and mounts within those, with a /proc that shows this one process and a small
folder in memory; `forbid`: a filter of system calls. A step that fails raises OSError, and no line of a program runs.
"""

import ctypes
import errno
import os
import resource
import signal
import struct
import sys

NOT_ISOLATED = 120
NOBODY = 65534
ROOT = "/proc"  # where the new root is mounted: the one folder that every machine has
WORK = "/program"  # a program's own folder, in the new root: not at a place where an interpreter may lie, such as /tmp
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION = 0x20080522
NEW_USER, NEW_MOUNTS, NEW_NETWORK, NEW_PROCESSES, NEW_MESSAGES, NEW_NAME = 0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000
NEW_NAMESPACES = NEW_USER | NEW_MOUNTS | NEW_NETWORK | NEW_PROCESSES | NEW_MESSAGES | NEW_NAME
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE, MNT_DETACH = 1, 2, 4, 8, 0x4000, 0x40000, 2
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = -100, 0x8000, 1, 2
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, MOVE_MOUNT_F_EMPTY_PATH = 1, 0x80000, 4
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
# machine: (its name in a filter, its number of pivot_root, its place in the tables below)
MACHINES = {"x86_64": (0xC000003E, 155, 0), "aarch64": (0xC00000B7, 41, 1)}
NEWER = 424  # from here on numbers are the same everywhere: io_uring, clone3, memfd_secret, mounts by descriptor and what is yet to come
# Numbers of the calls that no program needs, by the wall that each would pass; None where a machine has no such call.
REFUSED = {
    "memory that no limit counts": {
        "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
        "memfd_create": (319, 279), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "bpf": (321, 280),
        "vmsplice": (278, 75), "io_setup": (206, 0),  # a pipe that holds one page of a huge one holds all 2 MB of it
        "setsockopt": (54, 208),  # the buffers of a pair of sockets can be made wide
    },
    "processes, each with the memory of one": {"fork": (57, None), "vfork": (58, None)},
    "other namespaces and processes": {
        "unshare": (272, 97), "setns": (308, 268), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
        "prctl": (157, 167),  # a program that is not killed with its parent
    },
    "what the whole machine shares": {
        "socket": (41, 198), "flock": (73, 32), "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
        "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "syslog": (103, 116), "sync": (162, 81),
        "syncfs": (306, 267),
    },
}  # fmt: skip
# (numbers, which argument, its bits that count, values that are allowed): half a pair of datagram sockets sends to any address; threads are
# no processes; fcntl also locks files and widens pipes
ALLOWED = [((53, 199), 1, 0xF, [1]), ((56, 220), 0, 0x10000, [0x10000]), ((72, 25), 1, 0xFFFFFFFF, [0, 1, 2, 3, 4, 1030])]

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, value: int, more: bytes | int = 0) -> None:
    checked(libc.prctl(option, value, more, 0, 0), f"prctl {option}")


def mount(kind: str | None, target: str, flags: int, data: str = "") -> None:
    encoded = (b"none", target.encode(), kind.encode() if kind else None)
    checked(libc.mount(*encoded, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def shown() -> list[str]:
    """Folders of the standard library, none of which holds another, and the one device."""
    folders = [folder for folder in sys.path if os.path.isdir(folder)]
    return [path for path in folders if not any(path.startswith(other + os.sep) for other in folders)] + [os.devnull]


def cloned(paths: list[str]) -> dict[str, int]:
    """A descriptor per path, of a mount that is yet to be given a place."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    return {path: checked(libc.syscall(SYS_OPEN_TREE, AT_FDCWD, path.encode(), flags), f"a view of {path}") for path in paths}


def enter() -> None:
    """Return in a new process, which is shut off; the old one waits for it and ends as it does."""
    trees = {}
    if os.geteuid() == 0:  # root's limit on threads does not hold, and root may read what others may not; the interpreter may be one such
        trees = cloned(shown())
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    prctl(PR_SET_DUMPABLE, 1)  # else /proc/self/uid_map belongs to root
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(NEW_NAMESPACES), "unshare")
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    mount(None, "/", MS_REC | MS_PRIVATE)
    become_child()
    build_root(trees or cloned(shown()))
    prctl(PR_SET_DUMPABLE, 0)  # no other process may trace this one or read its memory


def become_child() -> None:
    """Return in a child, which is process 1 of the namespace that was asked for; its parent ends as it does, and the child with it."""
    child = os.fork()
    if child:
        os.closerange(0, 1 << 10)  # the sockets close when the child closes them
        ended = os.waitid(os.P_PID, child, os.WEXITED)
        os._exit(ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def build_root(trees: dict[str, int]) -> None:
    """A root of the mounts in `trees`, each at its path, and what the module's text names; all of it read-only."""
    mount("tmpfs", ROOT, MS_NOSUID | MS_NODEV, "size=64k,mode=755")
    for path, tree in trees.items():
        place = ROOT + path
        os.makedirs(os.path.dirname(place) if path == os.devnull else place)
        if path == os.devnull:
            os.close(os.open(place, os.O_CREAT))
        checked(libc.syscall(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, place.encode(), MOVE_MOUNT_F_EMPTY_PATH), f"show {path}")
        os.close(tree)
        for packages in ("site-packages", "dist-packages"):  # this one may be among them, with the makers of hidden tests
            if os.path.isdir(hidden := os.path.join(place, packages)):
                mount("tmpfs", hidden, MS_NOSUID | MS_NODEV, "size=4k,nr_inodes=2,mode=555")
    for folder in ("/proc", WORK):
        os.mkdir(ROOT + folder)
    mount("proc", ROOT + "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir(ROOT)
    checked(libc.syscall(MACHINES[machine()][1], b".", b"."), "pivot_root")
    checked(libc.umount2(b".", MNT_DETACH), "let go of the old root")
    os.chdir("/")
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, MS_PRIVATE, 0)
    checked(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, ctypes.sizeof(attributes)), "read-only files")


def enter_again(file_bytes: int) -> None:
    """Return in a new process, the only one in its namespace, in an empty folder in memory that holds twice `file_bytes`."""
    checked(libc.unshare(NEW_MOUNTS | NEW_PROCESSES), "unshare")
    become_child()
    mount("tmpfs", WORK, MS_NOSUID | MS_NODEV | MS_NOEXEC, f"size={2 * file_bytes},nr_inodes=64,mode=700")
    mount("proc", "/proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid")
    os.chdir(WORK)


def drop_capabilities() -> None:
    """Those that a new user namespace gives; without them, nothing that was mounted can be taken away."""
    header, none = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    checked(libc.capset(header, none), "capset")


def limit(limits: dict) -> None:
    """Those of run.Limits; no core file, and no queues of messages and signals, which the kernel keeps beside the memory that it counts."""
    kinds = {"CPU": "cpu_seconds", "AS": "memory_bytes", "FSIZE": "file_bytes", "NOFILE": "open_files", "NPROC": "threads"}
    for kind, value in {"CORE": 0, "MSGQUEUE": 0, "SIGPENDING": 64, **{kind: int(limits[name]) for kind, name in kinds.items()}}.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (value, value))


def machine() -> str:
    if (name := os.uname().machine) not in MACHINES:
        raise OSError(f"system calls cannot be refused on {name}, only on {' and '.join(MACHINES)}")
    return name


def rules(name: str) -> list[tuple[int, int, int, int]]:
    """A filter for a machine as steps of BPF (code, steps to skip if so, if not, operand): calls in REFUSED fail with EPERM, so do those in
    ALLOWED with another argument; newer ones with ENOSYS, as on an older kernel, so that the C library falls back; other ABIs end the
    process."""
    architecture, _, column = MACHINES[name]
    load, equal, at_least, mask, answer = 0x20, 0x15, 0x35, 0x54, 0x06
    allow, refuse, unknown, kill = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000
    steps = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, kill)]
    steps += [(load, 0, 0, 0), (at_least, 0, 1, NEWER), (answer, 0, 0, unknown)]  # the number; x32, a second set of them, starts at 2^30
    for number in (numbers[column] for calls in REFUSED.values() for numbers in calls.values()):
        steps += [(equal, 0, 1, number), (answer, 0, 0, refuse)] if number is not None else []
    for numbers, argument, bits, values in ALLOWED:
        passing = [step for value in values for step in ((equal, 0, 1, value), (answer, 0, 0, allow))]
        steps += [(equal, 0, len(passing) + 3, numbers[column]), (load, 0, 0, 16 + 8 * argument), (mask, 0, 0, bits)]
        steps += [*passing, (answer, 0, 0, refuse)]
    return [*steps, (answer, 0, 0, allow)]


def forbid() -> None:
    """Let the kernel judge each later call of this process by `rules`."""
    steps = rules(machine())
    table = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, struct.pack("HP", len(steps), ctypes.addressof(table)))
