# SPDX-License-Identifier: Apache-2.0
"""The types that fields of events have, and what to do with a field of another type: leave it out and say so.

Records come from a file that others may have written. A format's receiver refuses documents whose fields have
wrong types, and one refused document can stop a batch; so nothing of a wrong type gets into a typed field.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, TypeGuard

MOST_NUMBER = (1 << 63) - 1
"""Receivers keep integers in 64 bits with a sign (OCSF long_t, ECS long, OTel int)."""
UNSET_ID = 0xFFFFFFFF
"""auid of who never logged in; -1 in 32 bits, see proc_pid_loginuid(5)."""

Shape = Mapping[str, Any]
"""Expected type by key: `str`, `int`, `bool`, `list` (of texts), or the shape of an object."""

_POD: Shape = {
    "namespace": str,
    "name": str,
    "uid": str,
    "workload": str,
    "workload_kind": str,
    "container": {
        "id": str,
        "name": str,
        "image": {"id": str, "name": str},
        "start_time": str,
        "pid": int,
        "security_context": {"privileged": bool},
    },
    "pod_labels": {},
}
PROCESS: Shape = {
    "exec_id": str,
    "pid": int,
    "uid": int,
    "cwd": str,
    "binary": str,
    "arguments": str,
    "flags": str,
    "start_time": str,
    "auid": int,
    "pod": _POD,
    "docker": str,
    "parent_exec_id": str,
    "tid": int,
}
"""What is read of a process (docs/architecture.md, "The log line")."""


def is_number(value: object) -> TypeGuard[int]:
    """Whether it is an integer of at most 64 bits; True and False are none."""
    return type(value) is int and -MOST_NUMBER - 1 <= value <= MOST_NUMBER


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is text. Parsed lines have none that UTF-8 cannot say; elsewhere, encoding refuses the
    record."""
    return type(value) is str


def is_count(value: object) -> TypeGuard[int]:
    """Whether it is an integer of at most 64 bits that is not negative."""
    return type(value) is int and 0 <= value <= MOST_NUMBER


def clean(value: object, shape: Shape, where: str, wrong: list[str]) -> dict[str, Any]:
    """The fields of `value` that are as `shape` says, and no others. Names of wrong ones go to `wrong`.

    An empty shape stands for texts by any name.
    """
    if type(value) is not dict:
        wrong.append(where)
        return {}
    if not shape:
        texts = {key: text for key, text in value.items() if is_text(key) and is_text(text)}
        if len(texts) != len(value):
            wrong.append(where)
        return texts
    found: dict[str, Any] = {}
    for key, one in value.items():
        kind = shape.get(key)
        if kind is str or kind is bool:
            good = type(one) is kind
        elif kind is int:
            good = type(one) is int and 0 <= one <= MOST_NUMBER
        elif kind is list:
            good = type(one) is list and all(map(is_text, one))
        elif kind is None:
            continue
        else:
            one = clean(one, kind, f"{where}.{key}", wrong)
            good = True
        if good:
            found[key] = one
        else:
            wrong.append(f"{where}.{key}")
    return found


@lru_cache(maxsize=16384)
def address(text: str) -> str:
    """An IP address as receivers want it, without a zone; empty when it is none. What is an IPv4 address in
    a socket of IPv6 (`::ffff:10.0.0.1`) is told as such: by it people search."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str((found.version == 6 and found.ipv4_mapped) or found)


@lru_cache(maxsize=16384)
def base_name(path: str) -> str:
    """The last component; of a path that ends with a slash the one before it, of `/` itself `/`."""
    return path.rstrip("/").rpartition("/")[2] or path
