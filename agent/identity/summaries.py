# SPDX-License-Identifier: Apache-2.0
"""Of what all nodes have written on a policy, the one line that `kubectl get` shows: `status.inForce` (2/3:
on how many of the nodes that the policy is for) and `status.whyNot` (the first of the others, its reason).

Nobody is elected to write it. The answer to each patch is the whole object, so whoever writes sees whether
the line still fits. Where it does not, the writer waits until others who have something to say have said it,
and then writes the line for the very version that it saw (`metadata.resourceVersion`). The server refuses it
where anybody has written since, who has then seen more, and has the same duty. So the last one writes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from agent.identity.access import NoAccess
from agent.identity.policies import path_of
from agent.identity.rest import MERGE_PATCH, Api, ApiError, Unreachable
from agent.identity.text import clean

SETTLE_S = 2.0
"""Before the line is written, in seconds: longer than nodes that have all something to say leave between
them, and shorter than between the counts of two nodes (agent/identity/crowd.py)."""
TRY_AGAIN_S = 15.0
"""After a server that cannot be reached, in seconds."""
LONGEST = 160
"""Characters of a reason, about: it is a column of a table."""
_OUTDATED = (404, 409, 422)
Key = tuple[str, str, str]
"""Kind, namespace, name."""


class Due(NamedTuple):
    """A line that is to be written."""

    at: float
    """When, in monotonic seconds."""
    uid: str
    version: str
    """The object's resourceVersion for which it holds."""
    status: dict[str, str | None]


class Summaries:
    """Lines of all policies. Thread-safe."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._due: dict[Key, Due] = {}
        self._change = threading.Condition()

    def look(self, key: Key, thing: dict[str, Any]) -> None:
        """An object as the server has it after one of our patches."""
        metadata, status = thing.get("metadata") or {}, thing.get("status") or {}
        line = summary_of(thing)
        fits = all(status.get(name) == value for name, value in line.items())
        with self._change:
            if fits:
                self._due.pop(key, None)
                return
            uid, version = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
            self._due[key] = Due(self._clock() + SETTLE_S, uid, version, line)
            self._change.notify()

    def run(self) -> None:
        """Without end."""
        while True:
            with self._change:
                self._change.wait(self._pause_s())
            self.write()

    def write(self) -> None:
        """All whose time has come."""
        for key, due in self._taken():
            try:
                self._patch(key, due)
            except ApiError as error:
                if error.status not in _OUTDATED:
                    self._put_off(key, due)
            except (Unreachable, NoAccess):
                self._put_off(key, due)

    def _taken(self) -> Iterable[tuple[Key, Due]]:
        with self._change:
            found = [(key, due) for key, due in self._due.items() if due.at <= self._clock()]
            for key, _ in found:
                del self._due[key]
        return found

    def _put_off(self, key: Key, due: Due) -> None:
        with self._change:
            self._due.setdefault(key, due._replace(at=self._clock() + TRY_AGAIN_S))

    def _pause_s(self) -> float | None:
        if not self._due:
            return None
        return max(0.0, min(due.at for due in self._due.values()) - self._clock())

    def _patch(self, key: Key, due: Due) -> None:
        kind, namespace, name = key
        seen = {"uid": due.uid, "resourceVersion": due.version}
        path = f"{path_of(kind, namespace, quote(name, safe=''))}/status"
        body = {"metadata": seen, "status": due.status}
        self._api.send("PATCH", path, body, {"fieldManager": "tracehound"}, MERGE_PATCH)


def summary_of(thing: dict[str, Any]) -> dict[str, str | None]:
    """The line; None stands for a field that is not to be there."""
    status, generation = thing.get("status") or {}, (thing.get("metadata") or {}).get("generation")
    nodes, reasons = status.get("nodes") or {}, status.get("notInForce") or {}
    names = sorted({*nodes, *reasons})
    wrong = [(name, why) for name in names if (why := _why(nodes.get(name), reasons.get(name), generation))]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return {
        "inForce": f"{len(names) - len(wrong)}/{len(names)}" if names else None,
        "whyNot": f"{wrong[0][0]}: {clean(wrong[0][1], LONGEST)}{more}" if wrong else None,
    }


def _why(entry: Any, reason: Any, generation: Any) -> str:
    """Why a policy is not in force on a node, as it stands there; empty where it is."""
    if reason:
        return str(reason)
    if not isinstance(entry, dict):
        return "unknown"
    of = entry.get("generation")
    if isinstance(of, int) and isinstance(generation, int) and of < generation:
        return f"generation {of} runs, not {generation} yet"
    state = str(entry.get("state", "unknown"))
    return "" if state == "enabled" else state
