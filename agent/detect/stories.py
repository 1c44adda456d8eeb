# SPDX-License-Identifier: Apache-2.0
"""Detections of one subtree and window become one incident. Pure: time is what the records say, or what
the caller says it is.

What is told depends on the detections alone, so that a worker that begins again with a saved state tells
the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.detect.roots import root_of
from agent.detect.rules import LEVELS
from agent.log.times import format_time

SECOND_NS = 1_000_000_000
WINDOW_NS = 600 * SECOND_NS
"""A story ends when nothing has come for so long."""
MINUTE_NS = 60 * SECOND_NS
MOST_A_MINUTE = 20
"""Detections of one rule in one story that are told in a minute, and beyond them the first one of each of so
many programs; the others are counted."""
MANY_LOOKS, LOOKS = 12, "medium"
"""So many rules of discovery in one story within a minute, and the level that it has then at least: each by
itself is what administrators do, and so much at once is what an intruder's script does."""
DISCOVERY = "attack.discovery"
MOST_STORIES = 1000
"""Open at once; beyond it the one that has been silent for longest ends early."""
MOST_PROCESSES = 1000
"""Processes of a story that are told apart."""
MOST_TECHNIQUES = 100
MOST_PATH = 256
"""Characters of a program's path that are kept to know it again."""
ROOT = ("exec_id", "pid", "uid", "binary", "arguments", "start_time", "docker", "pod")
"""What is told of the process at the top."""
MOST_ARGUMENTS = 1024
"""Characters of its arguments: open stories stand in memory, and in the state that is saved every second."""
_RANK = {level: rank for rank, level in enumerate(LEVELS)}

Content = dict[str, Any]


class Told(NamedTuple):
    """A record for the log."""

    kind: str
    """`detection` or `story`."""
    content: Content
    time_ns: int | None
    """Wall-clock nanoseconds; None: when it is written."""

    @property
    def key(self) -> str:
        """Equal for what must not be told twice."""
        content = self.content
        if self.kind == "detection":
            return str(content.get("id"))
        return f"{content.get('id')} {content.get('state')} {content.get('count')}"


@dataclass(slots=True)
class Story:
    """One incident."""

    id: str
    root: Content
    """The process at its top, as its first detection knew it."""
    level: str
    first_ns: int
    last_ns: int
    count: int = 0
    suppressed: int = 0
    told_count: int = 0
    """Count of its last record."""
    told_ns: int = 0
    """Time of the detection with which that was written, wall-clock nanoseconds."""
    rules: dict[str, Content] = field(default_factory=dict)
    """By id: title, level, count."""
    techniques: list[str] = field(default_factory=list)
    processes: dict[str, None] = field(default_factory=dict)
    minutes: dict[str, list[int]] = field(default_factory=dict)
    """By rule: the minute at hand, and how many came in it."""
    looks: dict[str, int] = field(default_factory=dict)
    """Rules of discovery of the last minute, and when each was told last, wall-clock nanoseconds."""
    raised: str = ""
    """Why its level is above those of its rules."""
    programs: dict[str, list[str]] = field(default_factory=dict)
    """By rule: paths of programs that were told of in that minute; who floods does not hide others."""

    def content(self, state: str) -> Content:
        """What its record says."""
        told = {
            "id": self.id,
            "state": state,
            "level": self.level,
            "count": self.count,
            "first": format_time(self.first_ns),
            "last": format_time(self.last_ns),
            "root": self.root,
            "rules": {rule: dict(counted) for rule, counted in self.rules.items()},
            "techniques": list(self.techniques),
            "processes": len(self.processes),
            "suppressed": self.suppressed,
        }
        return {**told, "raised": self.raised} if self.raised else told

    def looked(self, rule: str, time_ns: int) -> None:
        """A rule of discovery matched."""
        self.looks[rule] = time_ns
        self.looks = {one: seen for one, seen in self.looks.items() if abs(time_ns - seen) <= MINUTE_NS}
        if len(self.looks) >= MANY_LOOKS and _RANK.get(self.level, -1) < _RANK[LOOKS]:
            self.level = LOOKS
            self.raised = f"{len(self.looks)} rules of discovery within a minute"

    def is_over(self, now_ns: int) -> bool:
        """Whether its window has passed; also where the clock was set back by more than that, for its last
        time may be years ahead then."""
        return abs(now_ns - self.last_ns) > WINDOW_NS

    def may_tell(self, rule: str, program: str, time_ns: int) -> bool:
        """Whether another detection of a rule, by a program (its path), is told; the answer counts."""
        minute = time_ns // MINUTE_NS
        known, programs = self.minutes.setdefault(rule, [minute, 0]), self.programs.setdefault(rule, [])
        if known[0] != minute:
            known[:] = [minute, 0]
            programs.clear()
        known[1] += 1
        is_new = program not in programs and len(programs) < MOST_A_MINUTE
        if is_new:
            programs.append(program)
        return is_new or known[1] <= MOST_A_MINUTE


class Stories:
    """The open ones."""

    def __init__(self) -> None:
        self._open: dict[str, Story] = {}
        """By the exec_id of the root, the one that was silent for longest first."""

    def __len__(self) -> int:
        return len(self._open)

    def add(
        self, detection: Content, time_ns: int, whole: Callable[[], Content] | None = None
    ) -> Iterator[Told]:
        """A detection in the order of the log. What is told because of it, the detection itself included
        unless there are too many of its kind. `whole` makes what is told where `detection` has only what is
        asked here: id, level, rule, tags, process, ancestors."""
        process = detection.get("process") or {}
        root = root_of(process, detection.get("ancestors") or ())
        rule = detection.get("rule") or {}
        key = str(root.get("exec_id") or rule.get("id"))
        story = self._open.pop(key, None)
        if story is not None and story.is_over(time_ns):
            yield Told("story", story.content("closed"), None)
            story = None
        story = story or _begun(key, root, detection, time_ns)
        self._open[key] = story
        rose = _count(story, detection, process, rule, time_ns)
        if story.may_tell(str(rule.get("id")), str(process.get("binary"))[:MOST_PATH], time_ns):
            told = detection if whole is None else whole()
            told["story"] = story.id
            yield Told("detection", told, time_ns)
        else:
            story.suppressed += 1
        if story.count == 1:
            yield _tell(story, "open", time_ns)
        elif rose or _is_due(story, time_ns):
            yield _tell(story, "updated", time_ns)
        if len(self._open) > MOST_STORIES:
            yield Told("story", self._open.pop(next(iter(self._open))).content("closed"), None)

    def look(self, now_ns: int) -> Iterator[Told]:
        """What is due at a moment (wall-clock nanoseconds) up to which all detections were added."""
        for key, story in list(self._open.items()):
            if story.is_over(now_ns):
                del self._open[key]
                yield Told("story", story.content("closed"), None)
            elif _is_due(story, now_ns):
                yield _tell(story, "updated", now_ns)

    def settle(self, now_ns: int) -> Iterator[Told]:
        """What was not told yet of open ones, at the end of a run; they go on in the next."""
        for story in self._open.values():
            if story.count != story.told_count:
                yield _tell(story, "updated", now_ns)

    def state(self) -> list[Content]:
        """For `restore`, as JSON."""
        return [
            {"key": key, **{name: getattr(story, name) for name in Story.__slots__}}
            | {"processes": list(story.processes)}
            for key, story in self._open.items()
        ]

    def restore(self, state: list[Content]) -> None:
        """What `state` said. Raises ValueError, TypeError, KeyError or AttributeError when it is not that,
        and takes nothing then."""
        self._open = {str(saved["key"]): _restored(saved) for saved in state}


def _restored(saved: Content) -> Story:
    fields = {name: value for name, value in saved.items() if name != "key"}
    story = Story(**fields | {"processes": dict.fromkeys(fields["processes"])})
    numbers = [story.first_ns, story.last_ns, story.count, story.suppressed, story.told_count, story.told_ns]
    numbers += [*story.looks.values(), *(rule["count"] for rule in story.rules.values())]
    for minute, count in story.minutes.values():
        numbers += [minute, count]
    texts = [story.id, story.raised, *story.techniques, *story.processes]
    for paths in story.programs.values():
        texts += paths
    of_types = all(type(number) is int for number in numbers) and all(type(text) is str for text in texts)
    if not of_types or story.level not in _RANK or not isinstance(story.root, dict):
        raise ValueError(f"a story with members of other types: {str(saved['key'])[:100]}")
    return story


def _begun(key: str, root: Mapping[str, Any], detection: Content, time_ns: int) -> Story:
    name = hashlib.sha256(f"{key}\0{detection.get('id')}".encode()).hexdigest()[:32]
    about = {name: root[name] for name in ROOT if name in root}
    if isinstance(about.get("arguments"), str):
        about["arguments"] = about["arguments"][:MOST_ARGUMENTS]
    return Story(name, about, str(detection.get("level", "")), time_ns, time_ns)


def _count(
    story: Story, detection: Content, process: Mapping[str, Any], rule: Mapping[str, Any], time_ns: int
) -> bool:
    """Takes a detection in; returns whether the story became more severe."""
    story.count += 1
    story.first_ns, story.last_ns = min(story.first_ns, time_ns), max(story.last_ns, time_ns)
    level = str(detection.get("level", ""))
    entry = story.rules.setdefault(
        str(rule.get("id")), {"title": rule.get("title", ""), "level": level, "count": 0}
    )
    entry["count"] += 1
    for tag in detection.get("tags") or ():
        technique = _technique(tag)
        if technique and technique not in story.techniques and len(story.techniques) < MOST_TECHNIQUES:
            story.techniques.append(technique)
    if len(story.processes) < MOST_PROCESSES and process.get("exec_id"):
        story.processes[str(process["exec_id"])] = None
    before = story.level
    if DISCOVERY in (detection.get("tags") or ()):
        story.looked(str(rule.get("id")), time_ns)
    if _RANK.get(level, -1) > _RANK.get(story.level, -1):
        story.level, story.raised = level, ""
    return story.level != before


def _technique(tag: object) -> str:
    """`T1059.004` of `attack.t1059.004`; empty for other tags."""
    text = str(tag).lower()
    return text[7:].upper() if text.startswith("attack.t") and text[8:12].isdecimal() else ""


def _is_due(story: Story, now_ns: int) -> bool:
    return story.count >= 2 * story.told_count and now_ns - story.told_ns >= MINUTE_NS


def _tell(story: Story, state: str, now_ns: int) -> Told:
    story.told_count, story.told_ns = story.count, now_ns
    return Told("story", story.content(state), now_ns)
