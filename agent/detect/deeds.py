# SPDX-License-Identifier: Apache-2.0
"""What a call of a hooked function means for rules: which views have it, and which system calls lead there.

Names are those that policies hook (tracingpolicies/, and other people's), without what says only how:
`security_file_open`, the LSM hook `file_open` and `__x64_sys_openat` are `file_open` and `openat` here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_SYSCALL = re.compile(
    r"^(?:__(?:x64|ia32|ia32_compat|arm64|s390x|riscv|se|do|se_compat)_)?(?:compat_)?sys_(?:enter_|exit_)?"
)
"""As system calls are called in policies, in kernels, and in tracepoints."""

_BY_VIEW = {
    "file_open": "file_open openat openat2 open do_sys_openat2 do_filp_open do_file_open vfs_open",
    "file_write": (
        "write pwrite64 writev vfs_write truncate ftruncate path_truncate file_truncate do_truncate "
        "vfs_truncate"
    ),
    "file_create": (
        "creat mknod mknodat path_mknod inode_mknod inode_create vfs_create vfs_mknod link linkat path_link "
        "inode_link vfs_link symlink symlinkat path_symlink inode_symlink vfs_symlink"
    ),
    "file_delete": "unlink unlinkat path_unlink inode_unlink vfs_unlink do_unlinkat",
    "file_rename": "rename renameat renameat2 path_rename inode_rename vfs_rename do_renameat2",
    "connect": (
        "connect socket_connect tcp_connect tcp_v4_connect tcp_v6_connect inet_stream_connect "
        "ip4_datagram_connect ip6_datagram_connect sendto udp_sendmsg udpv6_sendmsg"
    ),
    "accept": "accept accept4 socket_accept inet_csk_accept inet_accept",
}
DEEDS: Mapping[str, str] = {name: deed for deed, names in _BY_VIEW.items() for name in names.split()}
"""Deed by bare name of the function."""

_LEADING = {
    "open openat openat2 creat": "file_open do_sys_openat2 do_filp_open do_file_open vfs_open",
    "read readv pread64": "vfs_read",
    "write writev pwrite64": "vfs_write",
    "truncate ftruncate": "path_truncate file_truncate do_truncate vfs_truncate",
    "mknod mknodat": "path_mknod inode_mknod vfs_mknod",
    "mkdir mkdirat": "path_mkdir inode_mkdir vfs_mkdir",
    "link linkat": "path_link inode_link vfs_link",
    "symlink symlinkat": "path_symlink inode_symlink vfs_symlink",
    "unlink unlinkat": "path_unlink inode_unlink vfs_unlink",
    "rmdir": "path_rmdir inode_rmdir vfs_rmdir",
    "rename renameat renameat2": "path_rename inode_rename vfs_rename",
    "chmod fchmod fchmodat": "path_chmod chmod_common",
    "chown fchown lchown fchownat": "path_chown chown_common",
    "setxattr lsetxattr fsetxattr": "inode_setxattr cap_convert_nscap",
    "connect": "socket_connect tcp_connect tcp_v4_connect tcp_v6_connect unix_stream_connect",
    "accept accept4": "socket_accept inet_csk_accept",
    "listen": "socket_listen inet_listen inet_csk_listen_start",
    "bind": "socket_bind inet_bind",
    "sendto sendmsg sendmmsg": "socket_sendmsg udp_sendmsg udpv6_sendmsg",
    "socket": "socket_create socket_post_create",
    "mount": "sb_mount path_mount",
    "move_mount": "move_mount",
    "umount2": "sb_umount",
    "pivot_root": "sb_pivotroot",
    "chroot": "path_chroot",
    "unshare clone clone3 setns": "create_new_namespaces switch_task_namespaces",
    "ptrace": "ptrace_access_check ptrace_traceme ptrace_attach",
    "kill tkill tgkill": "task_kill",
    "setuid setreuid setresuid setfsuid": "task_fix_setuid",
    "setgid setregid setresgid setfsgid": "task_fix_setgid",
    "capset": "capset",
    "init_module finit_module": "do_init_module load_module",
    "delete_module": "free_module",
    "bpf": "bpf bpf_check bpf_prog_load bpf_map bpf_prog",
    "settimeofday clock_settime": "settime64 do_settimeofday64",
    "adjtimex clock_adjtime": "do_adjtimex",
    "syslog": "syslog do_syslog",
    "execve execveat": "bprm_check bprm_creds_for_exec",
}
SYSCALLS: Mapping[str, tuple[str, ...]] = {
    name: tuple(calls.split()) for calls, names in _LEADING.items() for name in names.split()
}
"""System calls that lead to a function that is none itself; which of them it was is not known then."""


@lru_cache(maxsize=4096)
def bare_name(function: str) -> tuple[str, bool]:
    """The name without what says how it was hooked, and whether it is a system call's."""
    match = _SYSCALL.match(function)
    if match is not None and match.end() and function != match[0]:
        return function[match.end() :], True
    return function.removeprefix("security_"), False


def deed_of(function: str) -> str:
    """`file_open`, `file_write`, `file_create`, `file_delete`, `file_rename`, `connect`, `accept`, or
    empty."""
    return DEEDS.get(bare_name(function)[0], "")


def syscalls_of(function: str) -> tuple[str, ...]:
    """The system calls that a function is, or that lead to it."""
    name, is_syscall = bare_name(function)
    return (name,) if is_syscall else SYSCALLS.get(name, ())
