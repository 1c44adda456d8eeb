# SPDX-License-Identifier: Apache-2.0
"""The table of settings: each key with its type, its check and whether a running agent can change it."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from types import NoneType
from typing import Any, NamedTuple

from agent.configuration import checks
from agent.configuration.checks import Check
from agent.settings import Settings

MIN_BUFFER_BYTES = 4096
"""Least size of a segment or queue in bytes: one page, enough for a record of usual length."""


class Rule(NamedTuple):
    """What the dataclass cannot say about a key."""

    check: Check = checks.anything
    """Raises ValueError when a value of the right type is not a good one."""
    live: bool = False
    """Whether a running agent takes a new value at reload; else it needs a restart."""
    is_path: bool = False
    """Whether a relative path on the command line or in the environment is made absolute."""


RULES: dict[str, Rule] = {
    "node_name": Rule(checks.node_name),
    "cluster_name": Rule(checks.printable),
    "output": Rule(checks.one_of("compact", "json", "none")),
    "heartbeat_seconds": Rule(checks.seconds(0.1, 3600), live=True),
    "run_dir": Rule(checks.path, is_path=True),
    "kernel.ring_bytes": Rule(checks.ring_bytes),
    "kernel.process_entries": Rule(checks.between(64, checks.PID_MAX_LIMIT)),
    "kernel.arguments_bytes": Rule(checks.size(256, checks.ARGUMENTS_BYTES_MAX)),
    "kernel.environment_bytes": Rule(checks.size(0, checks.ARGUMENTS_BYTES_MAX)),
    "kernel.pin_dir": Rule(checks.path, is_path=True),
    "enrich.environment": Rule(checks.variable_names),
    "enrich.user_names": Rule(live=True),
    "enrich.max_processes": Rule(checks.between(64, 1 << 24), live=True),
    "enrich.namespaces": Rule(),
    "enrich.credentials": Rule(),
    "log.dir": Rule(checks.path, is_path=True),
    "log.segment_bytes": Rule(checks.size(MIN_BUFFER_BYTES), live=True),
    "log.segment_seconds": Rule(checks.seconds(1), live=True),
    "log.retention_bytes": Rule(checks.size(MIN_BUFFER_BYTES), live=True),
    "log.hard_bytes": Rule(checks.optional(checks.size(MIN_BUFFER_BYTES)), live=True),
    "log.retention_seconds": Rule(checks.seconds(1), live=True),
    "log.fsync_seconds": Rule(checks.seconds(-1e9, 3600), live=True),
    "log.ancestry": Rule(checks.one_of("all", "exec", "none"), live=True),
    "log.parent": Rule(checks.one_of("full", "none")),
    "log.queue_bytes": Rule(checks.size(MIN_BUFFER_BYTES), live=True),
    "log.group": Rule(checks.printable),
    "redaction.enabled": Rule(live=True),
    "redaction.rules": Rule(checks.paths, live=True, is_path=True),
    "redaction.key_file": Rule(checks.path, is_path=True),
    "api.socket": Rule(checks.socket_path, is_path=True),
    "api.socket_group": Rule(checks.printable),
    "api.client_queue_events": Rule(checks.between(1, 1 << 24)),
    "api.max_clients": Rule(checks.between(1, 4096)),
    "api.deny_namespaces": Rule(),
    "api.listen": Rule(checks.address),
    "api.tls.cert": Rule(checks.path, is_path=True),
    "api.tls.key": Rule(checks.path, is_path=True),
    "api.tls.client_ca": Rule(checks.path, is_path=True),
    "overload.shed_bulk_fraction": Rule(checks.fraction, live=True),
    "overload.shed_exit_detail_fraction": Rule(checks.fraction, live=True),
    "overload.shed_exit_fraction": Rule(checks.fraction, live=True),
    "overload.recover_seconds": Rule(checks.seconds(0, 3600), live=True),
    "policies.files": Rule(checks.paths, live=True, is_path=True),
    "policies.dirs": Rule(checks.paths, live=True, is_path=True),
    "policies.profile": Rule(checks.one_of("", "minimal", "default", "forensic"), live=True),
    "policies.persist": Rule(),
    "policies.strict": Rule(),
    "policies.stack_addresses": Rule(live=True),
    "policies.cgroup_rate": Rule(checks.between(0, 1 << 31), live=True),
    "policies.kill_budget": Rule(checks.between(0, 1 << 31), live=True),
    "exporters.files": Rule(checks.paths, live=True, is_path=True),
    "exporters.dirs": Rule(checks.paths, live=True, is_path=True),
    "exporters.state_dir": Rule(checks.path, is_path=True),
    "store.enabled": Rule(live=True),
    "store.after_seconds": Rule(checks.between(0, 10 * 365 * 86400), live=True),
    "store.memory_bytes": Rule(checks.between(0, 1 << 40), live=True),
    "metrics.listen": Rule(checks.address),
    "metrics.labels": Rule(checks.some_of("namespace", "workload", "pod", "binary")),
    "metrics.max_series": Rule(checks.between(10, 1 << 20)),
    "detect.rules": Rule(checks.paths, live=True, is_path=True),
    "detect.dirs": Rule(checks.paths, live=True, is_path=True),
    "detect.library": Rule(live=True),
    "detect.exceptions": Rule(checks.paths, live=True, is_path=True),
    "detect.state_dir": Rule(checks.path, is_path=True),
    "collect.files": Rule(checks.log_files),
    "collect.journal": Rule(),
    "collect.units": Rule(checks.unit_names),
    "collect.lines_per_second": Rule(checks.between(1, 1 << 20)),
    "collect.line_bytes": Rule(checks.size(256, 1 << 16)),
    "collect.state_dir": Rule(checks.path, is_path=True),
    "containers.patience_seconds": Rule(checks.seconds(0, 3600), live=True),
    "containers.hold_seconds": Rule(checks.seconds(0, 60)),
    "containers.annotations": Rule(),
    "identity.kubernetes": Rule(),
    "identity.kubeconfig": Rule(checks.path, is_path=True),
    "identity.policies": Rule(),
    "identity.runtimes": Rule(),
    "identity.sockets": Rule(checks.runtime_sockets),
    "identity.nri": Rule(checks.nri_socket),
    "identity.nri_fail_closed": Rule(),
    "identity.state_file": Rule(checks.path, is_path=True),
}
"""One row per key; a test keeps it equal to the fields of `agent.settings`."""


class Key(NamedTuple):
    """One setting."""

    name: str
    """Dotted name, as in YAML: `log.segment_bytes`."""
    kind: str
    """`bool`, `count`, `number`, `size`, `duration`, `text` or `list`."""
    whole: bool
    """Whether a duration must be a whole number of seconds."""
    optional: bool
    """Whether it may be absent (None)."""
    default: Any
    rule: Rule


def _kind(name: str, bare: object) -> str:
    """The kind of value, from the type and from the unit in the name."""
    if bare in (int, float) and name.endswith("_seconds"):
        return "duration"
    if bare is int:
        return "size" if name.endswith("_bytes") else "count"
    if typing.get_origin(bare) is tuple:
        return "list"
    return {bool: "bool", float: "number", str: "text"}[typing.cast(type, bare)]


def _keys(cls: type[Any], prefix: str = "") -> Iterator[Key]:
    hints = typing.get_type_hints(cls)
    sample = cls()
    for field in dataclasses.fields(cls):
        name, hint = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _keys(typing.cast(type[Any], hint), name + ".")
            continue
        options = typing.get_args(hint)
        optional = NoneType in options
        bare = next(option for option in options if option is not NoneType) if optional else hint
        default = getattr(sample, field.name)
        yield Key(name, _kind(name, bare), bare is int, optional, default, RULES.get(name, Rule()))


KEYS: dict[str, Key] = {key.name: key for key in _keys(Settings)}
"""All settings by dotted name, in the order of `agent.settings`."""

SECTIONS: frozenset[str] = frozenset(name.rpartition(".")[0] for name in KEYS if "." in name)
"""Names that hold further keys: `kernel`, `log`, …"""
