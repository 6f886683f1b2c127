"""Seccomp: refuse the system calls that a model has no use for (seccomp(2)), by a filter that is written here.

Whatever starts a process, talks to a network, touches somebody else's process, makes a namespace, changes rights of
files, or outlives the process is refused with EPERM. What is newer than this list does not exist (ENOSYS).
"""

import ctypes
import errno
import os
import platform
import struct

# x86-64 and arm64, by the kernel's tables; None where an architecture has no such call.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # a network, or anybody who listens
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "connect": (42, 203), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # other programs and processes
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "kill": (62, 129),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "setsid": (112, 157), "setpgid": (109, 154),
    # namespaces, mounts, the kernel
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "swapon": (167, 224), "swapoff": (168, 225), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "open_by_handle_at": (304, 265), "quotactl": (179, 60), "reboot": (169, 142),
    "acct": (163, 89), "iopl": (172, None), "ioperm": (173, None), "personality": (135, 92),
    # what outlives the process, or escapes its limits
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190),
    "msgget": (68, 186), "mq_open": (240, 180), "setrlimit": (160, 164),
    # rights and times of files, which Landlock does not rule on
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
}  # fmt: skip
CLONE, CLONE3, TGKILL, PRLIMIT, PRCTL = (56, 220), (435, 435), (234, 131), (302, 261), (157, 167)
NEWEST = 450
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # a column above, and AUDIT_ARCH
CLONE_THREAD, PR_SET_PDEATHSIG = 0x10000, 1

LOAD, JUMP_EQUAL, JUMP_GREATER, JUMP_SET, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # linux/bpf_common.h
NUMBER, ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
PR_SET_SECCOMP, MODE_FILTER = 22, 2


class Program(ctypes.Structure):
    """Point at a filter: struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def restrict() -> None:
    """Put the filter in force for this process and its threads, for good. It needs no_new_privs. Raises OSError."""
    code = program(platform.machine(), os.getpid())
    memory = ctypes.create_string_buffer(code, len(code))
    whole = Program(len(code) // 8, ctypes.cast(memory, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(whole), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def program(machine: str, pid: int) -> bytes:
    """Return the filter for an architecture and the process `pid`. Raises OSError where the calls are not known."""
    if machine not in ARCHITECTURES:
        raise OSError(f"The system calls of {machine} are not known here")
    column, architecture = ARCHITECTURES[machine]
    refused = ERRNO | errno.EPERM
    found = [
        _step(LOAD, ARCHITECTURE), _step(JUMP_EQUAL, architecture, 1, 0), _step(RETURN, KILL),
        _step(LOAD, NUMBER), _step(JUMP_GREATER, NEWEST, 0, 1), _step(RETURN, ERRNO | errno.ENOSYS),
        *_when(CLONE3[column], _step(RETURN, ERRNO | errno.ENOSYS)),  # libraries know clone, too
        *_when(CLONE[column], _argument(0), _step(JUMP_SET, CLONE_THREAD, 1, 0), _step(RETURN, refused)),
        *_when(TGKILL[column], _argument(0), _step(JUMP_EQUAL, pid, 1, 0), _step(RETURN, refused)),
        *_when(PRCTL[column], _argument(0), _step(JUMP_EQUAL, PR_SET_PDEATHSIG, 0, 1), _step(RETURN, refused)),
        *_when(
            PRLIMIT[column],  # limits may be read, which is asked by a pointer to nothing
            _argument(2), _step(JUMP_EQUAL, 0, 0, 2), _argument(2, high=True), _step(JUMP_EQUAL, 0, 1, 0),
            _step(RETURN, refused),
        ),
        *(step for one in NUMBERS.values() if (number := one[column]) is not None
          for step in (_step(JUMP_EQUAL, number, 0, 1), _step(RETURN, refused))),
        _step(RETURN, ALLOW),
    ]  # fmt: skip
    return b"".join(found)


def _when(number: int, *steps: bytes) -> list[bytes]:
    """Return steps for one system call, which is allowed when they come to their end."""
    return [_step(JUMP_EQUAL, number, 0, len(steps) + 1), *steps, _step(RETURN, ALLOW)]


def _argument(index: int, *, high: bool = False) -> bytes:
    return _step(LOAD, 16 + 8 * index + (4 if high else 0))


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)
