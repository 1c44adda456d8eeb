# SPDX-License-Identifier: Apache-2.0
"""Prometheus Alertmanager: what somebody should look at now, told once per story and not per event.

Detections, and events of policies whose action was carried out. Alertmanager takes alerts with equal labels
for the same alert, so labels say only what stays the same while a story goes on; what changes stands in
annotations. Sources: Alertmanager's API v2 (api/v2/openapi.yaml: postableAlerts, 200, 400, 500) and
"Alerting overview, clients" (an alert whose `endsAt` lies in the future fires until then, and resolves by
itself).
"""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import orjson

from agent.log.times import format_time
from exporters import options
from exporters.alerts import Finding, finding
from exporters.base import Batching, Context, Document, OptionError, Sent
from exporters.web import Web, WebOptions, judge, refuse

BATCHING = Batching(events=500, bytes=1 << 20, seconds=1.0)
PATH = "/api/v2/alerts"
REMEMBERED = 10_000
"""Alerts whose labels are kept, so that a story keeps them whichever detection comes next."""


@dataclass(frozen=True, slots=True)
class OPTIONS(WebOptions):
    """Keys of `type: alertmanager`."""

    compression: str = "none"
    """Alertmanager itself takes no gzip; a proxy before it may."""
    resolve_seconds: float = 3600.0
    """An alert resolves when nothing new of it was seen for so long."""
    stale_seconds: float = 86400.0
    """Events older than this (after an outage, in a replay) are told as resolved and page nobody."""
    labels: dict[str, str] = field(default_factory=dict)
    """Further labels of every alert, for routing: `{team: security}`."""
    link: str = ""
    """`generatorURL` of the alerts; `{exec_id}` and `{node}` stand for those of the event."""
    bearer_token_file: str = ""
    """File with a token for `Authorization: Bearer`, read before every request."""
    username: str = ""
    """Name for HTTP Basic."""
    password_file: str = ""
    """File with its password."""

    def __post_init__(self) -> None:
        WebOptions.__post_init__(self)
        options.check_range("resolve_seconds", self.resolve_seconds, 60, 30 * 86400)
        if bool(self.username) != bool(self.password_file):
            raise OptionError("username", "name and password belong together", "give password_file, too")
        if self.username and self.bearer_token_file:
            raise OptionError("username", "stands beside a token", "give one of both")

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


@dataclass(slots=True)
class Alert:
    """One line in Alertmanager."""

    labels: dict[str, str]
    first_ns: int
    """Wall-clock nanoseconds of the first event."""
    last_ns: int
    """Of the latest one."""
    count: int = 0
    """Events since this exporter started."""
    rules: dict[str, None] = field(default_factory=dict)
    """Names of the rules, in the order in which they came; at most 20."""
    annotations: dict[str, str] = field(default_factory=dict)


class Counted:
    """Which events were counted already: a batch that is sent once more does not count twice."""

    def __init__(self) -> None:
        self._uids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, uid: str) -> bool:
        """True once per uid, as far back as REMEMBERED of them."""
        if uid in self._uids:
            return False
        self._uids[uid] = None
        if len(self._uids) > REMEMBERED:
            self._uids.popitem(last=False)
        return True


def open(context: Context) -> Alertmanager:
    """Make the destination; connects at the first alert. Raises OptionError."""
    chosen = OPTIONS.parse(context.options)
    authorization(chosen)
    return Alertmanager(chosen, f"tracehound/{context.version}")


def authorization(chosen: OPTIONS) -> dict[str, str]:
    """The header, from the files as they are now. Raises OptionError."""
    if chosen.bearer_token_file:
        return {"Authorization": f"Bearer {options.secret('bearer_token', chosen.bearer_token_file, '')}"}
    if chosen.username:
        password = options.secret("password", chosen.password_file, "")
        basic = base64.b64encode(f"{chosen.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {basic}"}
    return {}


class Alertmanager:
    """One Alertmanager. Members of a cluster get an exporter each: Alertmanager asks clients to tell all."""

    def __init__(self, chosen: OPTIONS, agent: str) -> None:
        self._options = chosen
        self._web = Web(chosen, agent)
        self._alerts: OrderedDict[str, Alert] = OrderedDict()
        self._counted = Counted()
        self._ended: list[dict[str, Any]] = []

    def send(self, batch: Sequence[Document]) -> Sent:
        """Post the alerts of a batch, one per story; events that alarm nobody are done at once."""
        touched: dict[str, Alert] = {}
        blamed: list[Document] = []
        for document in batch:
            found = finding(document)
            if found is not None:
                touched[found.key] = self._note(found, self._counted.is_new(document.uid))
                blamed.append(document)
        if not touched:
            return Sent()
        body = orjson.dumps(self._ended + [self._encode(alert) for alert in touched.values()])
        headers = {"Content-Type": "application/json", **authorization(self._options)}
        reason = judge(self._web.post(PATH, body, headers))
        self._ended.clear()
        return self._refuse(batch, blamed, reason) if reason else Sent()

    def close(self) -> None:
        """Close the connection. Alerts resolve by themselves."""
        self._web.close()

    def _refuse(self, batch: Sequence[Document], blamed: list[Document], reason: str) -> Sent:
        """Alertmanager takes the valid ones of a batch and answers 400 for the rest without saying which."""
        if len(blamed) > 1:
            return refuse(batch, reason)
        return Sent(refused=[(batch.index(blamed[0]), reason)])

    def _note(self, found: Finding, is_new: bool) -> Alert:
        """The alert that an event belongs to, with the event counted."""
        alert = self._alerts.get(found.key)
        if alert is None or found.is_worse_than(alert.labels.get("severity", "")):
            alert = self._begin(found, alert)
        self._alerts.move_to_end(found.key)
        alert.count += is_new
        alert.last_ns = max(alert.last_ns, found.time_ns)
        if len(alert.rules) < 20:
            alert.rules[found.rule] = None
        alert.annotations = found.annotations
        return alert

    def _begin(self, found: Finding, milder: Alert | None) -> Alert:
        """A new alert. Severity is a label: a story that gets worse goes on as another alert, and the milder
        one ends."""
        alert = Alert({**found.labels, **self._options.labels}, found.time_ns, found.time_ns)
        if milder:
            self._ended.append({**self._encode(milder), "endsAt": format_time(time.time_ns())})
            alert = replace(milder, labels={**milder.labels, "severity": found.labels["severity"]})
        self._alerts[found.key] = alert
        if len(self._alerts) > REMEMBERED:
            self._alerts.popitem(last=False)
        return alert

    def _encode(self, alert: Alert) -> dict[str, Any]:
        ends_ns = ends(alert.last_ns, time.time_ns(), self._options)
        told = {"events": str(alert.count), "rules": ", ".join(alert.rules)}
        link = self._options.link
        for name in ("exec_id", "node"):
            link = link.replace(f"{{{name}}}", alert.annotations.get(name, ""))
        return {
            "labels": alert.labels,
            "annotations": {**alert.annotations, **told},
            "startsAt": format_time(min(alert.first_ns, ends_ns)),
            "endsAt": format_time(ends_ns),
            "generatorURL": link,
        }


def ends(last_ns: int, now_ns: int, chosen: OPTIONS) -> int:
    """When an alert resolves, wall-clock nanoseconds. One that an outage held up fires all the same."""
    if now_ns - last_ns > chosen.stale_seconds * 1e9:
        return last_ns
    return max(last_ns, now_ns) + int(chosen.resolve_seconds * 1e9)
