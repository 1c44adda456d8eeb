# SPDX-License-Identifier: Apache-2.0
"""Rules of one file that share a part: `action: global`, `reset`, `repeat`.

Sigma 1 had such collections; version 2 of the specification has no word for them, pySigma reads them on
(sigma/collection.py, SigmaCollection.from_dicts), and rules of others have them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from agent.detect.documents import Item

ACTIONS = ("global", "reset", "repeat")
_NOTHING = Item({}, 1, 1)


def merged(items: Iterable[Item]) -> Iterator[Item]:
    """The documents of a file, each with what it takes from those before. What is no mapping, or has another
    action, stays as it is."""
    shared, last, number = _NOTHING, _NOTHING, 0
    for item in items:
        action = item.get("action")
        if action is None and (not shared.value or not isinstance(item.value, dict)):
            last = item
            yield item
        elif action is not None and action.value not in ACTIONS:
            yield item
        elif action is not None and action.value == "reset":
            shared, number = _NOTHING, 0
        elif action is not None and action.value == "global":
            shared, number = joined(shared, _without_action(item)), 0
        else:
            own = _without_action(item)
            last = joined(shared if action is None else last, own)
            number += 1
            yield last if "id" in own.value or number == 1 else _with_id(last, number)


def joined(below: Item, above: Item) -> Item:
    """A mapping laid over another one; what both have is taken from the one above, mappings are joined."""
    if not isinstance(below.value, dict) or not isinstance(above.value, dict):
        return above
    entries = dict(below.value)
    for key, item in above.value.items():
        entries[key] = joined(entries[key], item)._replace(line=item.line) if key in entries else item
    return Item(entries, above.line, 1 + sum(item.size for item in entries.values()))


def _without_action(item: Item) -> Item:
    entries = {key: one for key, one in item.value.items() if key != "action"}
    return Item(entries, item.line, 1 + sum(one.size for one in entries.values()))


def _with_id(item: Item, number: int) -> Item:
    """An id of its own for each further rule that has only the shared one."""
    of = item.get("id") or item.get("title")
    if of is None:
        return item
    made = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{of.value} {number}"))
    return Item({**item.value, "id": Item(made, of.line, 1, made)}, item.line, item.size + 1)
