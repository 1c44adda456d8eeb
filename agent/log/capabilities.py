# SPDX-License-Identifier: Apache-2.0
"""Names of capabilities and securebits as Tetragon spells them."""

from __future__ import annotations

from functools import lru_cache

# Linux include/uapi/linux/capability.h, in order of their bits. Bit 1 lacks its prefix in Tetragon's API
# (api/v1/tetragon/capabilities.proto) and therefore in every consumer of it.
_CAPABILITIES = [
    "CAP_CHOWN",
    "DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
]

# Linux include/uapi/linux/securebits.h, in order of their bits.
_SECUREBITS = [
    "SecBitNoRoot",
    "SecBitNoRootLocked",
    "SecBitNoSetUidFixup",
    "SecBitNoSetUidFixupLocked",
    "SecBitKeepCaps",
    "SecBitKeepCapsLocked",
    "SecBitNoCapAmbientRaise",
    "SecBitNoCapAmbientRaiseLocked",
]


def capability_masks(cap: str | dict[str, str] | None) -> dict[str, str]:
    """`tracehound.cap` of an exec as hexadecimal masks by set. One mask alone is that of the permitted and
    of the effective set; older lines have both."""
    if isinstance(cap, str):
        return {"permitted": cap, "effective": cap}
    return cap or {}


@lru_cache(maxsize=1024)
def capability_names(mask: str) -> list[str]:
    """Names of the set bits of a hexadecimal mask. The list is shared: do not change it.

    Bits that Tetragon has no name for are left out, as it does.
    """
    return _names(int(mask, 16), _CAPABILITIES)


@lru_cache(maxsize=256)
def securebit_names(bits: int) -> list[str]:
    """Names of the set securebits. The list is shared: do not change it."""
    return _names(bits, _SECUREBITS)


def _names(bits: int, names: list[str]) -> list[str]:
    return [name for bit, name in enumerate(names) if bits >> bit & 1]
