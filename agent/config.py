# SPDX-License-Identifier: Apache-2.0
"""Settings from every layer, lowest first: defaults, file, drop-ins, environment, flags.

The result keeps where each value came from. Whatever is wrong anywhere is reported in one SettingsError,
each problem with its place, the offending text and a way out. See docs/settings.md.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agent.configuration.documents import Assignment, read_document, unknown_key
from agent.configuration.keys import KEYS
from agent.configuration.values import convert, show, untyped
from agent.errors import SettingsError
from agent.settings import Settings

CONFIG_FILE = "/etc/tracehound/tracehound.yaml"
"""The file that is read when no other is named; its absence is no error."""
DROP_IN_DIR = "/etc/tracehound/conf.d"
"""Its `*.yaml` are read after CONFIG_FILE, in name order."""
RELOCATED = ("/etc/tracehound", "/var/lib/tracehound", "/run/tracehound")
"""What `--root` moves."""
PREFIX = "TRACEHOUND_"
ROOT_VARIABLE = "TRACEHOUND_ROOT"
HINT = "docs/settings.md lists all keys; `tracehound config check` tries again"

_SERVICE_LINK = re.compile(
    r"TRACEHOUND_(?:[A-Z0-9]+_)*(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
"""Variables that Kubernetes sets in pods next to a service whose name starts with `tracehound`."""


class Flag(NamedTuple):
    """One setting from the command line."""

    option: str
    """As typed, for messages: `--log-dir`."""
    key: str
    """Dotted name; need not be a known one."""
    text: str


class Change(NamedTuple):
    """One key that differs between two Settings."""

    key: str
    old: Any
    new: Any
    live: bool
    """True: a reload applies it. False: it takes effect at the next start."""

    def __str__(self) -> str:
        key = KEYS[self.key]
        effect = "applied" if self.live else "needs a restart"
        return f"{self.key}: {show(key, self.old)} -> {show(key, self.new)} ({effect})"


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings with their history."""

    settings: Settings
    origins: dict[str, str]
    """Per dotted key: `default`, `file:line`, `environment TRACEHOUND_X` or `flag --x`."""
    files: tuple[Path, ...] = ()
    """The files that were read, lowest layer first."""


def load_settings(
    config: Path | str | None = None,
    root: Path | str | None = None,
    flags: Sequence[Flag] = (),
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Build the settings. `config` replaces CONFIG_FILE (and must exist), `root` relocates RELOCATED.

    Raises SettingsError with all problems of all layers.
    """
    environ = os.environ if environ is None else environ
    root = root or environ.get(ROOT_VARIABLE) or None
    problems: list[str] = []
    files = _files(config, root, problems)
    layers = [assignment for file in files for assignment in read_document(file, problems)]
    layers += _from_environment(environ, problems)
    layers += _from_flags(flags, problems)
    values, origins, broken = _settle(layers, root, problems)
    problems += _contradictions(values, origins, broken)
    if problems:
        raise SettingsError(problems, HINT)
    return LoadedSettings(_build(Settings, "", values), origins, tuple(files))


def relocate(path: str, root: Path | str | None) -> str:
    """A default path under another root."""
    if root is None or not path.startswith(RELOCATED):
        return path
    return os.path.abspath(root).rstrip("/") + path  # noqa: PTH100 (no symlinks resolved, as in values)


def flatten(settings: Settings) -> dict[str, Any]:
    """All values by dotted key, in the order of `agent.settings`."""
    flat: dict[str, Any] = {}
    for name in KEYS:
        value: Any = settings
        for part in name.split("."):
            value = getattr(value, part)
        flat[name] = value
    return flat


def diff_settings(old: Settings, new: Settings) -> list[Change]:
    """What a reload from `old` to `new` means, per changed key."""
    before, after = flatten(old), flatten(new)
    return [
        Change(name, before[name], after[name], KEYS[name].rule.live)
        for name in KEYS
        if before[name] != after[name]
    ]


def keep_for_restart(old: Settings, new: Settings) -> Settings:
    """The new settings with the old values of all keys that need a restart."""
    before, values = flatten(old), flatten(new)
    values |= {name: before[name] for name in KEYS if not KEYS[name].rule.live}
    settings: Settings = _build(Settings, "", values)
    return settings


def environment_name(key: str) -> str:
    """The variable of a dotted key: `log.dir` is TRACEHOUND_LOG__DIR."""
    return PREFIX + key.replace(".", "__").upper()


def _files(config: Path | str | None, root: Path | str | None, problems: list[str]) -> list[Path]:
    """The files to read, in order. A file that was asked for must exist."""
    main = Path(config) if config is not None else Path(relocate(CONFIG_FILE, root))
    drop_ins = Path(f"{config}.d") if config is not None else Path(relocate(DROP_IN_DIR, root))
    found = [main] if config is not None or main.exists() else []
    try:
        names = sorted(entry.name for entry in drop_ins.iterdir() if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return found
    except OSError as error:
        problems.append(f"{drop_ins}: cannot be read: {error.strerror}")
        return found
    problems += [f"{drop_ins / name}: drop-ins end with .yaml" for name in names if name.endswith(".yml")]
    return found + [drop_ins / name for name in names if name.endswith(".yaml")]


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[Assignment]:
    known = {environment_name(key): key for key in KEYS}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == ROOT_VARIABLE:
            continue
        where = f"environment {name}"
        if name in known:
            yield Assignment(known[name], untyped(environ[name], where))
        elif not _SERVICE_LINK.fullmatch(name):
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            problems.append(f"{where}: {key}: {unknown_key(key)}")


def _from_flags(flags: Sequence[Flag], problems: list[str]) -> Iterator[Assignment]:
    for flag in flags:
        if flag.key in KEYS:
            yield Assignment(flag.key, untyped(flag.text, f"flag {flag.option}"))
        else:
            problems.append(f"flag {flag.option}: {flag.key}: {unknown_key(flag.key)}")


def _settle(
    layers: Sequence[Assignment], root: Path | str | None, problems: list[str]
) -> tuple[dict[str, Any], dict[str, str], set[str]]:
    """The last good value of each key, where it came from, and which keys had a problem."""
    values: dict[str, Any] = {}
    for name, key in KEYS.items():
        values[name] = _relocated(key.default, root) if key.rule.is_path else key.default
    origins = dict.fromkeys(KEYS, "default")
    broken = set()
    for name, raw in layers:
        try:
            values[name] = convert(KEYS[name], raw)
            origins[name] = raw.where
        except ValueError as error:
            problems.append(f"{raw.where}: {name}: {error}")
            broken.add(name)
    return values, origins, broken


def _relocated(default: Any, root: Path | str | None) -> Any:
    """A default of a key that holds a path, several of them, or none."""
    if isinstance(default, tuple):
        return tuple(relocate(path, root) for path in default)
    return relocate(default, root) if isinstance(default, str) else default


_ORDERED = (
    ("overload.shed_bulk_fraction", "overload.shed_exit_detail_fraction"),
    ("overload.shed_exit_detail_fraction", "overload.shed_exit_fraction"),
    ("log.segment_bytes", "log.retention_bytes"),
    ("log.retention_bytes", "log.hard_bytes"),
)
"""Pairs of which the first must not be larger than the second, if there is a second."""


def _contradictions(values: dict[str, Any], origins: dict[str, str], broken: set[str]) -> Iterator[str]:
    """Values that are good alone and wrong together; default paths can be too long under a root."""
    for low, high in _ORDERED:
        if broken.isdisjoint((low, high)) and values[high] is not None and values[low] > values[high]:
            place = origins[low] if origins[low] != "default" else origins[high]
            above, below = (show(KEYS[name], values[name]) for name in (low, high))
            yield f"{place}: {low}: {above} is larger than {high} ({below}); lower it or raise {high}"
    for name, key in KEYS.items():
        if origins[name] == "default" and name not in broken:
            try:
                key.rule.check(values[name])
            except ValueError as error:
                yield f"default under --root: {name}: {show(key, values[name])} {error}"


def _build(cls: type[Any], prefix: str, values: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(cls)
    arguments = {}
    for field in dataclasses.fields(cls):
        name = prefix + field.name
        nested = dataclasses.is_dataclass(hints[field.name])
        arguments[field.name] = _build(hints[field.name], name + ".", values) if nested else values[name]
    return cls(**arguments)
