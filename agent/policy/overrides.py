# SPDX-License-Identifier: Apache-2.0
"""Override: which way of denying a call works on this kernel, and the LSM hook that would do where none
does."""

from __future__ import annotations

import re
from typing import NamedTuple

from agent.kernel.view import KernelView
from agent.policy.model import Hook, Options

METHODS = {"fmod-ret": ("fmod_ret",), "override-return": ("kprobe",), "": ("lsm", "fmod_ret", "kprobe")}
"""Kinds of attachment that may override, by spec.options' override-method; the best first."""
_ENTRY = re.compile(r"(?:__(?:x64|ia32|ia32_compat|arm64|arm64_compat|se|do)_)?(?:compat_)?sys_(\w+)")


class Ways(NamedTuple):
    """How a function's result can be replaced here."""

    kinds: tuple[str, ...]
    reasons: tuple[str, ...]
    """Why not by the others."""


def wants_override(hook: Hook) -> bool:
    """Whether some selector denies the call before it is made."""
    return any(action.name == "Override" for selector in hook.selectors for action in selector.actions)


def override_ways(function: str, options: Options, view: KernelView) -> Ways:
    """Ways that this kernel takes for this function."""
    kinds, reasons = [], []
    for kind in METHODS.get(options.override_method, METHODS[""]):
        if kind == "lsm":
            kinds += [kind] if is_lsm_the_same(function, view) else []
            continue
        reason = _by_fmod_ret(function, view) if kind == "fmod_ret" else _by_helper(function, view)
        if reason:
            reasons.append(reason)
        else:
            kinds.append(kind)
    return Ways(tuple(kinds), tuple(reasons))


def is_lsm_the_same(function: str, view: KernelView) -> bool:
    """Whether the LSM hook that this function asks stands for it where the kernel skips programs of the other
    kind, and not this one: it takes the same arguments."""
    if not (view.guards and function.startswith("security_")):
        return False
    hook = find_override_alternative(function)
    ours, theirs = view.prototype(function), view.lsm_prototype(hook)
    if ours is None or theirs is None or view.takes("lsm", hook).there is False:
        return False
    return [each.type for each in ours.parameters] == [each.type for each in theirs.parameters]


def _by_fmod_ret(function: str, view: KernelView) -> str:
    """Why not. The kernel takes it on security_* and where ALLOW_ERROR_INJECTION is:
    check_attach_modify_return, Linux kernel/bpf/verifier.c."""
    untried = "fmod_ret" in view.known and not function.startswith("security_")
    if untried and not view.allows_error_injection(function):
        return f"fmod_ret: {function} allows no error injection"
    answer = view.takes("fmod_ret", function)
    return f"fmod_ret: {answer.reason}" if answer.there is False else ""


def _by_helper(function: str, view: KernelView) -> str:
    """Why not: the kprobe, the helper, or the function's own permission is missing."""
    for what in ("kprobe", "bpf_override_return"):
        answer = view.offers(what)
        if answer.there is False:
            return f"{what}: {answer.reason}"
    allowed = view.allows_error_injection(function)
    if allowed is None:  # system calls are marked as such: Linux arch/x86/include/asm/syscall_wrapper.h
        allowed = bool(_ENTRY.fullmatch(function))
    return "" if allowed else f"bpf_override_return: {function} allows no error injection"


def find_override_alternative(function: str) -> str:
    """The LSM hook that is asked on the way of a well-known function or system call (`sys_linkat`,
    `tcp_connect`, `__x64_sys_openat`, `security_file_open`); empty where we know none. The kernel may lack
    it."""
    if function.startswith("security_"):
        return _RENAMED.get(function, function.removeprefix("security_"))
    found = _ENTRY.fullmatch(function)
    return _OF_CALLS.get(found[1], "") if found else _OF_FUNCTIONS.get(function, "")


def way_out(function: str, view: KernelView) -> str:
    """What to write instead of an Override that cannot be enforced here."""
    hook = find_override_alternative(function)
    lsm = view.offers("lsm")
    if hook and view.lsm_prototype(hook):
        if lsm.there is not False:
            return f"deny it by the LSM hook that is asked on the way: lsmhooks, hook: {hook}"
        return f"the LSM hook {hook} would do, but LSM programs do not run here ({lsm.reason})"
    return "use Sigkill, which ends the process after the call, or policy-mode: monitor"


_RENAMED = {
    "security_bprm_check": "bprm_check_security",
    "security_settime64": "settime",
    "security_vm_enough_memory_mm": "vm_enough_memory",
    "security_socket_post_create": "socket_post_create",
    "security_inode_mkdir": "inode_mkdir",
    "security_sk_alloc": "sk_alloc_security",
    "security_inode_alloc": "inode_alloc_security",
    "security_file_alloc": "file_alloc_security",
    "security_capable": "capable",
    "security_bprm_creds_for_exec": "bprm_creds_for_exec",
}
"""Functions whose LSM hook has another name (Linux include/linux/lsm_hook_defs.h)."""


def _spread(table: dict[str, str]) -> dict[str, str]:
    return {name: hook for hook, names in table.items() for name in names.split()}


_OF_CALLS = _spread(
    {
        "file_open": "open openat openat2 creat open_by_handle_at",
        "file_permission": "read pread64 readv preadv preadv2 write pwrite64 writev pwritev pwritev2 "
        "getdents getdents64 sendfile sendfile64 splice copy_file_range",
        "bprm_check_security": "execve execveat",
        "socket_create": "socket socketpair",
        "socket_bind": "bind",
        "socket_connect": "connect",
        "socket_listen": "listen",
        "socket_accept": "accept accept4",
        "socket_sendmsg": "sendto sendmsg sendmmsg",
        "socket_recvmsg": "recvfrom recvmsg recvmmsg",
        "socket_setsockopt": "setsockopt",
        "socket_getsockopt": "getsockopt",
        "socket_shutdown": "shutdown",
        "inode_link": "link linkat",
        "inode_symlink": "symlink symlinkat",
        "inode_unlink": "unlink unlinkat",
        "inode_mkdir": "mkdir mkdirat",
        "inode_rmdir": "rmdir",
        "inode_mknod": "mknod mknodat",
        "inode_rename": "rename renameat renameat2",
        "inode_readlink": "readlink readlinkat",
        "inode_setattr": "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime "
        "utimes utimensat",
        "inode_getattr": "stat lstat fstat newstat newlstat newfstat newfstatat statx",
        "path_truncate": "truncate ftruncate",
        "inode_setxattr": "setxattr lsetxattr fsetxattr",
        "inode_getxattr": "getxattr lgetxattr fgetxattr",
        "inode_removexattr": "removexattr lremovexattr fremovexattr",
        "inode_permission": "access faccessat faccessat2 chdir fchdir",
        "path_chroot": "chroot",
        "sb_mount": "mount",
        "sb_umount": "umount umount2",
        "sb_pivotroot": "pivot_root",
        "move_mount": "move_mount",
        "ptrace_access_check": "ptrace process_vm_readv process_vm_writev pidfd_getfd",
        "task_kill": "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
        "task_fix_setuid": "setuid setreuid setresuid setfsuid",
        "task_fix_setgid": "setgid setregid setresgid setfsgid",
        "task_fix_setgroups": "setgroups",
        "task_alloc": "fork vfork clone clone3",
        "task_prctl": "prctl",
        "task_setrlimit": "setrlimit",
        "task_setnice": "setpriority nice",
        "task_setscheduler": "sched_setscheduler sched_setattr sched_setparam sched_setaffinity",
        "capset": "capset",
        "bpf": "bpf",
        "perf_event_open": "perf_event_open",
        "kernel_load_data": "init_module kexec_load",
        "kernel_read_file": "finit_module kexec_file_load",
        "mmap_file": "mmap",
        "file_mprotect": "mprotect pkey_mprotect",
        "file_ioctl": "ioctl",
        "file_fcntl": "fcntl fcntl64",
        "file_lock": "flock",
        "userns_create": "unshare",
        "settime": "settimeofday clock_settime adjtimex clock_adjtime",
        "syslog": "syslog",
        "key_permission": "keyctl",
        "key_alloc": "add_key request_key",
        "quotactl": "quotactl",
        "msg_queue_msgsnd": "msgsnd",
        "shm_shmat": "shmat",
    }
)
_OF_FUNCTIONS = _spread(
    {
        "file_open": (
            "fd_install do_filp_open do_file_open do_sys_open do_sys_openat2 vfs_open do_dentry_open "
            "path_openat"
        ),
        "file_permission": "vfs_read vfs_write ksys_read ksys_write tty_write",
        "bprm_check_security": "do_execveat_common begin_new_exec bprm_execve load_elf_binary",
        "socket_create": "__sock_create __sys_socket sk_alloc",
        "socket_connect": "tcp_connect tcp_v4_connect tcp_v6_connect inet_stream_connect __sys_connect",
        "socket_bind": "__sys_bind inet_bind inet6_bind",
        "socket_listen": "__sys_listen inet_listen inet_csk_listen_start",
        "socket_accept": "inet_csk_accept __sys_accept4",
        "socket_sendmsg": "tcp_sendmsg udp_sendmsg udpv6_sendmsg raw_sendmsg ip_output ip6_output "
        "sock_sendmsg",
        "socket_recvmsg": "tcp_recvmsg udp_recvmsg",
        "inode_link": "vfs_link do_linkat",
        "inode_unlink": "vfs_unlink do_unlinkat",
        "inode_mkdir": "vfs_mkdir do_mkdirat",
        "inode_rmdir": "vfs_rmdir",
        "inode_rename": "vfs_rename do_renameat2",
        "inode_mknod": "vfs_mknod",
        "inode_symlink": "vfs_symlink",
        "inode_setattr": "notify_change chmod_common chown_common",
        "path_truncate": "do_truncate vfs_truncate",
        "sb_mount": "do_mount path_mount",
        "ptrace_access_check": "ptrace_attach ptrace_may_access __ptrace_may_access",
        "task_fix_setuid": "commit_creds",
        "kernel_read_file": "load_module do_init_module",
        "bpf": "bpf_check bpf_prog_load __sys_bpf",
        "capable": "cap_capable",
        "mmap_file": "do_mmap vm_mmap_pgoff",
    }
)
