# SPDX-License-Identifier: Apache-2.0
"""Limits of a policy's parts. All are announced where they are reached; docs/policies/reference.md lists them
beside Tetragon's."""

from __future__ import annotations

POLICIES = 512
"""Policies of one text, and all that are loaded (POLICY_SLOTS in kprobes/include/policy.h)."""
SELECTORS = 64
"""Selectors of a hook; all policies of a hook share 256 (HOOK_SELECTORS in kprobes/include/policy.h)."""
ARGUMENTS = 8
"""Arguments and data of a hook together; all policies of a hook share 16 values (HOOK_VALUES)."""
ACTIONS = 8
"""Actions of a selector."""
FILTERS = 16
"""Entries of each kind of filter in a selector."""
VALUES = 10_000
"""Values of a filter."""
RANGES = 1024
"""Ranges and masks of a filter."""
HOOKS = 1024
"""Hooks of a policy, with its lists expanded."""
LIST_VALUES = 10_000
"""Values of a list."""
LISTS = 64
"""Lists and macros of a policy."""
TEXT_BYTES = 4095
"""Bytes of a text that is compared: PATH_MAX without its NUL, Linux include/uapi/linux/limits.h."""
PATTERN_BYTES = 1024
"""Bytes of a SubString, a Regex, or a list's pattern."""
MESSAGE = 256
"""Characters of a message."""
TAGS = 16
TAG = 128
"""Characters of a tag."""
RESOLVE_STEPS = 10
"""Members of a resolve path (RESOLVE_STEPS in policy.h)."""
FUNCTION_ARGUMENTS = 12
"""Arguments of a function that BTF-typed programs reach: MAX_BPF_FUNC_ARGS, Linux include/linux/bpf.h."""
SYSCALL_ARGUMENTS = 6
"""syscall(2)."""
TRACEPOINT_FIELDS = 128
"""Fields of a tracepoint's format file; real ones have up to about 40."""
ERRNO = 4095
"""MAX_ERRNO, Linux include/linux/err.h."""
SIGNALS = 64
"""_NSIG on x86 and arm64, signal(7)."""
PIDS = (1 << 22) - 1
"""Highest pid of a 64-bit kernel: PID_MAX_LIMIT, Linux include/linux/threads.h."""
IDS = (1 << 32) - 1
"""Highest uid or gid; that one itself is `no id`, Linux include/linux/uidgid.h."""
