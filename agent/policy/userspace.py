# SPDX-License-Identifier: Apache-2.0
"""Which pointers of kernel functions lead to user memory. The mark (`__user`) is missing in the types of most
kernels, which are built with gcc: well-known functions are listed, and names of parameters tell."""

from __future__ import annotations

import re

from agent.kernel.shapes import CType

_KNOWN = {
    # function: arguments
    "vfs_read": (1,), "vfs_write": (1,), "ksys_read": (1,), "ksys_write": (1,), "ksys_pread64": (1,),
    "ksys_pwrite64": (1,), "new_sync_read": (1,), "new_sync_write": (1,), "vfs_readv": (1,),
    "vfs_writev": (1,),
    "do_sys_open": (1,), "do_sys_openat2": (1,), "do_sys_truncate": (0,), "getname": (0,),
    "getname_flags": (0,),
    "user_path_at_empty": (1,), "user_path_at": (1,), "strncpy_from_user": (1,), "strnlen_user": (0,),
    "__sys_connect": (1,), "__sys_bind": (1,), "__sys_sendto": (1, 4), "__sys_recvfrom": (1, 4, 5),
    "__sys_sendmsg": (1,), "__sys_recvmsg": (1,), "__sys_accept4": (1, 2), "__sys_setsockopt": (3,),
    "move_addr_to_kernel": (0,), "do_mount": (1,), "do_faccessat": (1,), "do_fchmodat": (1,),
    "do_fchownat": (1,),
    "vfs_statx": (1,), "do_readlinkat": (1, 2), "copy_mount_string": (0,), "tty_write": (1,),
}  # fmt: skip
"""Linux fs/read_write.c, open.c, namei.c, stat.c, namespace.c; net/socket.c; drivers/tty/tty_io.c."""
_NAMED = re.compile(r"u(ser)?_?(buf|addr|arg|args|ptr|data|path|name|vec|msg|attr)\w*|user_\w+|useraddr")


def is_user_pointer(function: str, index: int, name: str, there: CType | None) -> bool:
    """Whether argument `index`, whose parameter has this name, points to user memory."""
    if there is None or there.form != "pointer":
        return False
    if there.tag not in ("char", "void", "iovec", "sockaddr", "user_msghdr", ""):
        return False
    return index in _KNOWN.get(function, ()) or bool(_NAMED.fullmatch(name))
