# SPDX-License-Identifier: Apache-2.0
"""The configuration of an exporter: one YAML file; all mistakes at once, with their lines."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agent.errors import SettingsError
from agent.log.times import parse_time
from exporters import options
from exporters.base import Batching, OptionError
from exporters.formats import FORMATS
from exporters.registry import TYPES, module_of
from exporters.selecting import Selecting, check_filter
from exporters.yamlfile import Document, read_yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HINT = "docs/exporters.md lists all keys; `tracehound export check FILE` tries again"


@dataclass(frozen=True, slots=True)
class Rate:
    """How much is sent; what is beyond is counted in `suppressed` records."""

    events_per_second: float = 0.0
    """Events in a second on average; 0: no limit. Own records (losses, heartbeats) always pass."""
    burst: int = 0
    """Most events at once after a quiet time; 0: those of one second."""

    def __post_init__(self) -> None:
        options.check_range("events_per_second", self.events_per_second, 0, 1e9)
        options.check_range("burst", self.burst, 0, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to wait before a batch is sent again: twice as long each time, a random part less."""

    first_seconds: float = 0.5
    most_seconds: float = 60.0

    def __post_init__(self) -> None:
        options.check_range("first_seconds", self.first_seconds, 0.01, 3600)
        options.check_range("most_seconds", self.most_seconds, self.first_seconds, 86400)


@dataclass(frozen=True, slots=True)
class Common:
    """The keys that all types have, besides `type`, `format`, `filter` and `batch`."""

    required: bool = False
    """Whether retention keeps what it has not read, until the hard size limit."""
    start: str = "now"
    """Where a new cursor begins: `now`, `beginning`, or a time (RFC 3339)."""
    rate: Rate = field(default_factory=Rate)
    retry: Retry = field(default_factory=Retry)
    memory_bytes: int = 64 << 20
    """Most bytes in memory for a batch. It is cut at a quarter: a parsed record takes four times its line."""
    send_seconds: float = 120.0
    """Most seconds that a batch may take; then the connection is given up and the batch sent again."""
    hold_seconds: float = 2.0
    """How long an event whose container is not known yet waits for the answer."""
    probes: str = "count"
    """What is sent of kubelet's exec probes: `count` (one of each a minute, and how many there were) or
    `all`."""
    dead_letter_bytes: int = 64 << 20
    """Most bytes of refused documents that are kept; the oldest half goes first."""

    def __post_init__(self) -> None:
        options.check_range("memory_bytes", self.memory_bytes, 1 << 20, 1 << 40)
        options.check_range("send_seconds", self.send_seconds, 0.1, 86400)
        options.check_range("hold_seconds", self.hold_seconds, 0, 60)
        options.check_choice("probes", self.probes, ("count", "all"))
        options.check_range("dead_letter_bytes", self.dead_letter_bytes, 4096, 1 << 40)
        if self.start not in ("now", "beginning"):
            try:
                parse_time(self.start)
            except ValueError:
                raise OptionError("start", f"is {self.start!r}", "now, beginning or a time") from None


@dataclass(frozen=True, slots=True)
class ExporterConfig:
    """One exporter, checked."""

    name: str
    """Name of the instance: that of its file."""
    path: str
    """The file."""
    type: str
    """One of `exporters.registry.TYPES`."""
    format: str
    """One of `exporters.formats.FORMATS`."""
    filter: Selecting
    """What is sent."""
    batching: Batching
    """The type's defaults with what the file says."""
    common: Common
    """See Common."""
    options: Mapping[str, Any]
    """The destination's own keys, checked by its OPTIONS."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The key `batch`; what is absent is as the type has it."""

    events: int | None = None
    bytes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for key, most in (("events", 1_000_000), ("bytes", 1 << 30), ("seconds", 3600)):
            if (value := getattr(self, key)) is not None:
                options.check_range(key, value, 0.001, most)


@dataclass(frozen=True, slots=True)
class _Batch:
    batch: Batch


_COMMON = ("type", "format", "filter", "batch", *Common.__dataclass_fields__)


def load(path: str | Path) -> ExporterConfig:
    """Raises SettingsError with all problems of the file."""
    problems: list[str] = []
    document = read_yaml(Path(path), problems)
    config = _check(Path(path), document, problems) if document is not None else None
    if config is None or problems:
        raise SettingsError(problems, HINT)
    return config


def name_of(path: Path) -> str:
    """Name of the exporter that a file configures."""
    return path.name.removesuffix(path.suffix) if path.suffix in (".yaml", ".yml") else path.name


def _check(path: Path, document: Document, problems: list[str]) -> ExporterConfig | None:
    given, checks = document.values, _Checks(document, problems)
    name = name_of(path)
    if not NAME.fullmatch(name):
        problems.append(f"{path}: {name!r} is no name: use letters, digits, `-`, `_` and `.`")
    module = checks.module(given.get("type"))
    if module is None:
        return None
    batching = checks.batching(module.BATCHING, given.get("batch", {}))
    common = checks.parse(Common, {key: given[key] for key in Common.__dataclass_fields__ if key in given})
    chosen = checks.filter(given.get("filter", {}))
    own = {key: value for key, value in given.items() if key not in _COMMON}
    checks.parse(module.OPTIONS, own)
    kind = given.get("format", batching.format)
    if kind not in FORMATS:
        checks.add(OptionError("format", f"is {kind!r}", _near(str(kind), FORMATS)))
    if problems:
        return None
    return ExporterConfig(name, str(path), given["type"], kind, chosen, batching, common, own)


class _Checks:
    """Collects what is wrong with a file, with the line of each key."""

    def __init__(self, document: Document, problems: list[str]) -> None:
        self._document, self._problems = document, problems

    def add(self, error: OptionError) -> None:
        self._problems.append(f"{self._document.place(error.key)}: {error}")

    def module(self, kind: Any) -> Any:
        if kind is None:
            return self.add(OptionError("type", "is missing", f"one of {', '.join(TYPES)}"))
        if kind not in TYPES:
            return self.add(OptionError("type", f"is {kind!r}", _near(str(kind), TYPES)))
        try:
            return module_of(kind)
        except ImportError as error:
            return self.add(OptionError("type", f"{kind} cannot be used here: {error}"))

    def batching(self, default: Batching, given: Any) -> Batching:
        chosen = self.parse(_Batch, {"batch": given}) if given else None
        if chosen is None:
            return default
        told = {key: value for key, value in dataclasses.asdict(chosen.batch).items() if value is not None}
        return dataclasses.replace(default, **told)

    def parse(self, cls: type[Any], given: Mapping[str, Any]) -> Any:
        """An instance; each wrong key is told and left out, so that the next one is found, too."""
        left, told = dict(given), set[str]()
        while True:
            try:
                return options.parse(cls, left)
            except OptionError as error:
                key = error.key.partition(".")[0]
                if key not in told:
                    self.add(error)
                told.add(key)
                if left.pop(key, None) is None:
                    return None

    def filter(self, given: Any) -> Selecting:
        try:
            return check_filter(given)
        except OptionError as error:
            self.add(OptionError(f"filter.{error.key}", error.problem, error.hint))
            return Selecting()


def _near(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def files_of(files: tuple[str, ...], dirs: tuple[str, ...]) -> Iterator[Path]:
    """The files of all configured exporters, in the order of their names within each directory."""
    yield from map(Path, files)
    for directory in map(Path, dirs):
        if directory.is_dir():
            yield from sorted(path for path in directory.iterdir() if path.suffix in (".yaml", ".yml"))
