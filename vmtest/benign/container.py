# SPDX-License-Identifier: Apache-2.0
"""Starts a container as a runtime does: namespaces, mounts, devices, another root, the program. Argument:
ROOTFS.
"""

import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS = 0x20000, 0x20000000, 0x8000000, 0x4000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000

libc = ctypes.CDLL(None)
root = sys.argv[1].encode()
libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
if os.fork() == 0:
    libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    libc.mount(root, root, None, MS_BIND, None)
    libc.mount(b"proc", root + b"/proc", b"proc", 0, None)
    libc.mount(b"tmpfs", root + b"/dev", b"tmpfs", 0, None)
    os.mknod(root + b"/dev/null", 0o20666, os.makedev(1, 3))
    os.chroot(root)
    os.chdir("/")
    os.execv("/bin/sh", ["sh", "-c", "id; ls /; cat /proc/mounts >/dev/null"])
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
