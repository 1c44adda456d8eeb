# SPDX-License-Identifier: Apache-2.0
"""What a policy's event is about: one table from the hooked function's name to an area and a deed.

The names are those that the policies in tracingpolicies/ hook, those of other people's policies, and the
system calls that mean the same. They are compared without what says only how they were hooked:
`security_file_open`, the LSM hook `file_open` and `__x64_sys_openat` are `file_open` and `openat` here. What
is not in the table is told by its arguments: a file makes it file activity, a socket network activity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple


class Deed(NamedTuple):
    """What somebody did, in words that every format has a row for."""

    area: str
    """`process`, `file`, `network`, `driver` (kernel modules), `kernel`, `memory` or `library`."""
    verb: str
    """What was done: `open`, `connect` … (see _TABLE); `access`, `use` and `call` where that is not known."""
    is_syscall: bool = False
    """Whether the function is a system call."""


_TABLE = {
    ("file", "open"): (
        "file_open openat openat2 open open_by_handle_at do_sys_open do_sys_openat2 do_filp_open vfs_open"
    ),
    ("file", "read"): (
        "read pread64 readv preadv preadv2 vfs_read vfs_readv getdents getdents64 readlink readlinkat"
    ),
    ("file", "write"): (
        "write pwrite64 writev pwritev pwritev2 vfs_write vfs_writev sendfile sendfile64 copy_file_range "
        "truncate ftruncate fallocate path_truncate file_truncate do_truncate vfs_truncate vfs_fallocate"
    ),
    ("file", "create"): (
        "creat mknod mknodat path_mknod inode_mknod inode_create vfs_create vfs_mknod mkdir mkdirat "
        "path_mkdir inode_mkdir vfs_mkdir link linkat path_link inode_link vfs_link symlink symlinkat "
        "path_symlink inode_symlink vfs_symlink memfd_create"
    ),
    ("file", "delete"): (
        "unlink unlinkat path_unlink inode_unlink vfs_unlink do_unlinkat rmdir path_rmdir inode_rmdir "
        "vfs_rmdir do_rmdir"
    ),
    ("file", "rename"): "rename renameat renameat2 path_rename inode_rename vfs_rename do_renameat2",
    ("file", "set security"): (
        "chmod fchmod fchmodat fchmodat2 path_chmod chown fchown lchown fchownat path_chown chmod_common "
        "chown_common setxattr lsetxattr fsetxattr inode_setxattr vfs_setxattr cap_convert_nscap removexattr "
        "lremovexattr fremovexattr inode_removexattr inode_set_acl"
    ),
    ("file", "set attributes"): "inode_setattr notify_change utimensat utime utimes futimesat file_set_fowner"
    " file_fcntl fcntl flock file_lock vfs_utimes file_ioctl",
    ("file", "get attributes"): (
        "inode_getattr stat lstat fstat newstat newlstat newfstat newfstatat statx access faccessat "
        "faccessat2 inode_permission getxattr lgetxattr fgetxattr inode_getxattr"
    ),
    ("file", "mount"): (
        "mount sb_mount do_mount path_mount move_mount fsmount fsopen open_tree pivot_root sb_pivotroot "
        "sb_remount mount_setattr"
    ),
    ("file", "unmount"): "umount umount2 sb_umount path_umount",
    ("network", "connect"): (
        "connect socket_connect tcp_connect tcp_v4_connect tcp_v6_connect inet_stream_connect "
        "unix_stream_connect ip4_datagram_connect ip6_datagram_connect sctp_connect"
    ),
    ("network", "accept"): "accept accept4 socket_accept inet_csk_accept inet_accept unix_accept",
    ("network", "listen"): "listen socket_listen inet_listen inet_csk_listen_start unix_listen",
    ("network", "bind"): "bind socket_bind inet_bind inet6_bind unix_bind",
    ("network", "close"): (
        "tcp_close inet_release shutdown socket_shutdown inet_shutdown tcp_shutdown udp_lib_close tcp_done "
        "inet_csk_destroy_sock"
    ),
    ("network", "send"): (
        "sendto sendmsg sendmmsg socket_sendmsg sock_sendmsg tcp_sendmsg tcp_sendmsg_locked udp_sendmsg "
        "udpv6_sendmsg raw_sendmsg rawv6_sendmsg unix_may_send ip_output ip6_output dev_queue_xmit"
    ),
    ("network", "receive"): (
        "recvfrom recvmsg recvmmsg socket_recvmsg sock_recvmsg tcp_recvmsg udp_recvmsg udpv6_recvmsg "
        "tcp_rcv_established ip_rcv"
    ),
    ("network", "create socket"): (
        "socket socketpair socket_create socket_post_create sk_alloc inet_create sock_create"
    ),
    ("process", "execute"): (
        "execve execveat bprm_check bprm_check_security bprm_creds_for_exec bprm_creds_from_file "
        "bprm_committing_creds bprm_committed_creds sched_process_exec"
    ),
    ("process", "fork"): (
        "fork vfork clone clone3 task_alloc wake_up_new_task sched_process_fork kernel_clone"
    ),
    ("process", "exit"): "exit exit_group do_exit do_group_exit sched_process_exit",
    ("process", "signal"): (
        "kill tkill tgkill task_kill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal signal_generate"
    ),
    ("process", "set user"): "setuid setreuid setresuid setfsuid task_fix_setuid",
    ("process", "set group"): (
        "setgid setregid setresgid setfsgid setgroups task_fix_setgid task_fix_setgroups"
    ),
    ("process", "set capabilities"): "capset commit_creds override_creds prepare_kernel_cred cred_prepare",
    ("process", "trace"): (
        "ptrace ptrace_access_check ptrace_traceme ptrace_attach ptrace_may_access process_vm_readv"
    ),
    ("process", "inject"): "process_vm_writev access_process_vm access_remote_vm",
    ("process", "change namespaces"): (
        "setns unshare create_user_ns create_new_namespaces switch_task_namespaces userns_create"
    ),
    ("process", "change root"): "chroot path_chroot",
    ("process", "set limits"): (
        "prctl task_prctl prlimit64 setrlimit task_setrlimit seccomp task_setpgid setpgid setsid "
        "__set_task_comm"
    ),
    ("driver", "load"): "init_module finit_module do_init_module load_module module_load kernel_read_file",
    ("driver", "unload"): "delete_module free_module module_free",
    ("driver", "request"): "kernel_module_request request_module module_request",
    ("kernel", "load bpf"): "bpf_check bpf_prog_load bpf_prog bpf_prog_alloc",
    ("kernel", "use bpf"): "bpf bpf_map bpf_map_create bpf_map_alloc bpf_prog_attach link_create",
    ("kernel", "replace"): "kexec_load kexec_file_load kernel_load_data",
    ("kernel", "stop"): "reboot kernel_restart kernel_power_off kernel_halt",
    ("kernel", "set time"): (
        "settime64 settimeofday clock_settime clock_adjtime adjtimex do_adjtimex do_settimeofday64"
    ),
    ("kernel", "set up io_uring"): "io_uring_setup io_uring_register uring_override_creds uring_sqpoll",
    ("memory", "allocate"): "mmap brk do_mmap vm_mmap_pgoff",
    ("memory", "map"): "mmap_file remap_file_pages mremap",
    ("memory", "protect"): "mprotect pkey_mprotect file_mprotect",
    ("memory", "free"): "munmap do_munmap",
}  # fmt: skip
_DEEDS = {name: Deed(*deed) for deed, names in _TABLE.items() for name in names.split()}
_SYSCALL = re.compile(
    r"^(?:__(?:x64|ia32|ia32_compat|arm64|s390x|riscv|se|do|se_compat)_)?(?:compat_)?sys_(?:enter_|exit_)?"
)
"""As system calls are called in policies (`sys_openat`), in kernels (`__x64_sys_openat`) and in
tracepoints."""
_NETWORK_MEMBERS = frozenset({"sock_arg", "skb_arg", "sockaddr_arg", "sockaddrun_arg", "net_dev_arg"})
_FILE_MEMBERS = frozenset({"file_arg", "path_arg"})
_MEMBERS = {
    **dict.fromkeys(_NETWORK_MEMBERS, Deed("network", "use")),
    **dict.fromkeys(_FILE_MEMBERS, Deed("file", "access")),
    "linux_binprm_arg": Deed("process", "execute"),
    "module_arg": Deed("driver", "use"),
    "bpf_attr_arg": Deed("kernel", "load bpf"),
    "bpf_prog_arg": Deed("kernel", "use bpf"),
    "bpf_map_arg": Deed("kernel", "use bpf"),
    "process_credentials_arg": Deed("process", "set capabilities"),
}
"""By the member of an argument (docs/events/process_kprobe.md): for functions that the table lacks."""
_UNKNOWN = Deed("kernel", "call")
LIBRARY_LOAD = Deed("library", "load")
"""A program or library that the dynamic loader mapped (process_loader)."""
LIBRARY_CALL = Deed("library", "call")
"""A function of a program or library was called (process_uprobe, process_usdt)."""


@lru_cache(maxsize=4096)
def bare_name(function: str) -> tuple[str, bool]:
    """The name without what says how it was hooked, and whether it is a system call's.

    `security_file_open` is (`file_open`, False), `__x64_sys_openat` and `sys_enter_openat` are (`openat`,
    True).
    """
    match = _SYSCALL.match(function)
    if match is not None and match.end() and function != match[0]:
        return function[match.end() :], True
    return function.removeprefix("security_"), False


@lru_cache(maxsize=4096)
def _by_name(function: str) -> Deed | None:
    name, is_syscall = bare_name(function)
    deed = _DEEDS.get(name)
    return deed._replace(is_syscall=is_syscall) if deed is not None else None


def classify(function: str, args: Iterable[Mapping[str, object]]) -> Deed:
    """What a call of `function` is. `args`: its arguments as they stand in the event."""
    known = _by_name(function)
    if known is not None:
        return known
    for arg in args:
        for member in arg:
            if member in _MEMBERS:
                return _MEMBERS[member]
    return _UNKNOWN._replace(is_syscall=bare_name(function)[1])


def known_functions() -> frozenset[str]:
    """Every name of the table."""
    return frozenset(_DEEDS)


def deeds() -> frozenset[tuple[str, str]]:
    """Area and verb of everything that classify() can answer."""
    more = [*_MEMBERS.values(), _UNKNOWN, LIBRARY_LOAD, LIBRARY_CALL]
    return frozenset(_TABLE) | {(deed.area, deed.verb) for deed in more}
