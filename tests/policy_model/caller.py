# SPDX-License-Identifier: Apache-2.0
"""A process that makes the calls it is told to, one JSON line each way. First it becomes what its argument
says: a key of BECOMING. Imports nothing of ours: it is started often."""

import ctypes
import json
import os
import socket
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
NUMBERS = {"connect": 42, "getxattr": 191, "fadvise64": 221, "readlinkat": 267}
"""Linux arch/x86/entry/syscalls/syscall_64.tbl."""
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
CAPABILITY_V3 = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3, linux/capability.h."""


def unshare(flags):
    if LIBC.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def fork_into_pid_space():
    """The child goes on; its parent waits for its end."""
    unshare(NEWPID)
    if child := os.fork():
        os.waitpid(child, 0)
        os._exit(0)


def have_fewer_capabilities():
    """Neither CAP_SYS_ADMIN nor CAP_NET_RAW is effective; CAP_CHOWN is inheritable."""
    header = struct.pack("<Ii", CAPABILITY_V3, 0)
    content = ctypes.create_string_buffer(24)
    LIBC.capget(header, content)
    low, permitted, _, *high = struct.unpack("<6I", content.raw)
    if LIBC.capset(header, struct.pack("<6I", low & ~(1 << 21 | 1 << 13), permitted, 1, *high)):
        raise OSError(ctypes.get_errno(), "capset")


BECOMING = {
    "plain": lambda: None,
    "user": lambda: os.setresuid(1500, 1500, 1500),
    "spaces": lambda: unshare(NEWNS | NEWUTS | NEWIPC),
    "user_space": lambda: unshare(NEWUSER),
    "pid_space": fork_into_pid_space,
    "fewer": have_fewer_capabilities,
}


def address_bytes(told):
    """struct sockaddr_in, sockaddr_in6 or sockaddr_un."""
    if told["family"] == socket.AF_INET:
        packed = socket.inet_pton(socket.AF_INET, told["saddr"])
        return struct.pack("=H", 2) + struct.pack(">H4s8x", told["sport"], packed)
    if told["family"] == socket.AF_INET6:
        packed = socket.inet_pton(socket.AF_INET6, told["saddr"])
        return struct.pack("=H", 10) + struct.pack(">HI16sI", told["sport"], 0, packed, 0)
    return struct.pack("=H", told["family"]) + b"/nowhere".ljust(108, b"\0")


def as_word(argument):
    """An argument of a system call: a number, or the address of a text or of a socket's address."""
    if isinstance(argument, str):
        return ctypes.create_string_buffer(os.fsencode(argument))
    if isinstance(argument, dict):
        return ctypes.create_string_buffer(address_bytes(argument))
    return ctypes.c_uint64((argument or 0) & (1 << 64) - 1)


def make_socket(told):
    made = socket.socket(told["family"], told["type"])
    if "bind" in told:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(tuple(told["bind"]))
    if "connect" in told:
        made.connect(tuple(told["connect"]))
    if told.get("listen"):
        made.listen()
    return made


def call(name, arguments, sockets):
    """What a system call returned; of the others nothing."""
    if name == "file_open":
        os.close(os.open(arguments[0], os.O_RDONLY | os.O_NONBLOCK))
    elif name == "getsockname":
        sockets[arguments[0]].getsockname()
    else:
        result = LIBC.syscall(NUMBERS[name], *map(as_word, arguments))
        return -ctypes.get_errno() if result == -1 else result
    return None


def main():
    sockets = [make_socket(told) for told in json.loads(sys.stdin.readline())]
    BECOMING[sys.argv[1]]()
    print("[]", flush=True)
    for line in sys.stdin:
        results = [call(name, arguments, sockets) for name, arguments in json.loads(line)]
        print(json.dumps(results), flush=True)


main()
