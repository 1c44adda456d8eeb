# SPDX-License-Identifier: Apache-2.0
"""Which lines of the manifest are about nothing that is left. Pure: agent/log/ledger.py takes them out.

The first lines of the manifest go, and a `trimmed` line at its end says so, within the chain: its `head` is
the hash of the last line that went, from which the first one that is left goes on. The tombstones of the last
KEPT segments stay in any case, so that what somebody removes cannot be hidden by trimming.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.log.manifest import KEPT, Fact, Manifest, Trimmed

MOST_LINES = 1000
"""Lines about what is gone that are left until there are so many, about 400 kB."""


def droppable(facts: Sequence[Fact | None], manifest: Manifest) -> int:
    """How many of the first lines can go; 0 while it is not worth it, or something is wrong with the
    manifest. `facts` are those of all its lines."""
    if manifest.first_bad is not None:
        return 0
    gone = set(list(manifest.expired)[:-KEPT])
    count = 0
    for fact in facts:
        if fact is not None and not isinstance(fact, Trimmed) and fact.segment not in gone:
            break
        count += 1
    return count if count >= MOST_LINES else 0


def trimmed_fact(facts: Sequence[Fact | None], manifest: Manifest, count: int) -> Trimmed:
    """What is said of the first `count` lines."""
    before = [fact for fact in facts[:count] if isinstance(fact, Trimmed)]
    names = {fact.segment for fact in facts[:count] if fact is not None and not isinstance(fact, Trimmed)}
    lines = count + max((fact.lines for fact in (*before, *manifest.trims)), default=0)
    return Trimmed(lines, len(names), manifest.hashes[count - 1])
