# SPDX-License-Identifier: Apache-2.0
"""What is counted from the log: events by pod and workload, events of policies, detections.

Reading begins at the end of the log; counters begin at zero there, as Prometheus expects of a restart.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from agent.log.entry import Entry, LineTest, line_test, parse
from agent.log.filters.view import EVENT_KEYS
from agent.log.reader import LogReader
from agent.log.records import OWN_HEAD
from agent.log.tail import Tail
from agent.metrics.family import COUNTER, Family, single
from agent.metrics.series import Series

Record = Mapping[str, Any]

LABELS: dict[str, Callable[[Record], str]] = {
    "namespace": lambda process: str((process.get("pod") or {}).get("namespace", "")),
    "workload": lambda process: str((process.get("pod") or {}).get("workload", "")),
    "pod": lambda process: str((process.get("pod") or {}).get("name", "")),
    "binary": lambda process: str(process.get("binary", "")),
}
"""Values of the labels that the settings may name; empty outside of pods."""
_is_own: LineTest = line_test(("detection", "throttle", "pod_deleted"))  # type: ignore[assignment]  # names: a test
_COMMON = re.compile(rb'\{"(process_exec|process_exit)":')
_POD = b'"pod":{'
_MOST_AT_ONCE = 20_000


class Counting:
    """The counters and the place in the log up to which they count."""

    def __init__(
        self, log_dir: str, labels: tuple[str, ...], most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises LogUnavailable when there is no log."""
        self._free = [LABELS[name] for name in labels]
        self._nothing = ("",) * len(labels)
        self.missed = 0
        """Records that were removed before they were counted."""

        def series(name: str, help: str, fixed: tuple[str, ...], free: tuple[str, ...] = labels) -> Series:
            return Series(name, help, fixed, free, most, clock)

        self.events = series("events", "Events, since this process started.", ("type",))
        help = "Events of TracingPolicies, since this process started."
        self.policy_events = series("policy_events", help, ("policy", "hook"))
        where = tuple(name for name in labels if name != "binary")
        self._detection_labels = [LABELS[name] for name in where]
        help = "Detections, since this process started."
        self.detections = series("detections", help, ("level", "rule"), where)
        self.throttled = series("throttle", "Begins and ends of throttling.", ("type",), ())
        self._all = (self.events, self.policy_events, self.detections, self.throttled)
        reader = LogReader(log_dir)
        self._tail: Tail = reader.tail(reader.end())
        self._is_simple = "binary" not in labels

    def catch_up(self) -> bool:
        """Counts what was written since, up to a number of records; whether there is more. Raises OSError."""
        seen = 0
        for part in self._tail.chunks():
            if isinstance(part, Entry):  # a notice
                self._count(part.record)
                continue
            for line in part.lines:
                self._line(line)
            seen += len(part.lines)
            if seen >= _MOST_AT_ONCE:
                return True
        for one in self._all:
            one.sweep()
        return False

    def families(self) -> list[Family]:
        """As they are now; may be called from another thread."""
        sizes = tuple(((one.name,), float(len(one))) for one in self._all)
        overflown = tuple(((one.name,), float(one.overflown)) for one in self._all)
        return [
            *(one.family() for one in self._all),
            single(
                "metrics_missed_records", COUNTER, "Records removed before they were counted.", self.missed
            ),
            Family("metrics_series", "gauge", "Series of a metric.", ("metric",), sizes),
            Family("metrics_overflow", COUNTER, "Counted as `other`.", ("metric",), overflown),
        ]

    def close(self) -> None:
        """Closes the open segment."""
        self._tail.close()

    def _line(self, line: bytes) -> None:
        """Most lines need no parsing: life and death of processes outside of pods."""
        kind = _COMMON.match(line)
        if kind is not None and self._is_simple and _POD not in line:
            self.events.add((kind[1].decode(), *self._nothing))
        elif (not line.startswith(OWN_HEAD) or _is_own(line)) and (told := parse(line)):
            self._count(told[0])

    def _count(self, record: Record) -> None:
        """Somebody else's record may have any shape; it is passed over when it has none of ours."""
        with suppress(AttributeError, TypeError, KeyError):
            for kind, body in record.items():
                if kind in EVENT_KEYS:
                    self._event(kind, body)
                    return
            self._own(record["tracehound"])

    def _event(self, kind: str, body: Record) -> None:
        process = body.get("process") or {}
        free = tuple(value(process) for value in self._free)
        self.events.add((kind, *free))
        policy = body.get("policy_name")
        if policy:
            self.policy_events.add((policy, _hook(kind, body), *free))

    def _own(self, own: Record) -> None:
        if "detection" in own:
            told = own["detection"]
            process = {"pod": told.get("pod")}
            free = tuple(value(process) for value in self._detection_labels)
            rule = told.get("rule") or {}
            self.detections.add(
                (str(told.get("level", "")), str(rule.get("title") or rule.get("id", "")), *free)
            )
        elif "throttle" in own:
            self.throttled.add((str(own["throttle"].get("type", "")),))
        elif "pod_deleted" in own:
            gone = own["pod_deleted"]
            for one in self._all:
                one.pod_gone(str(gone["namespace"]), str(gone["name"]))
        elif "notice" in own:
            first, last = own["notice"].get("from_sequence"), own["notice"].get("to_sequence")
            self.missed += last - first + 1 if isinstance(first, int) and isinstance(last, int) else 1


def _hook(kind: str, body: Record) -> str:
    """What a policy hooked."""
    if kind == "process_tracepoint":
        return f"{body.get('subsys', '')}/{body.get('event', '')}"
    if kind in ("process_uprobe", "process_usdt"):
        return str(body.get("symbol") or body.get("name") or "")
    return str(body.get("function_name", ""))
