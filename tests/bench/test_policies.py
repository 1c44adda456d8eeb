# SPDX-License-Identifier: Apache-2.0
"""What an event of a policy costs in user space: decode, enrich, encode. Run by `make bench` only."""

from __future__ import annotations

from typing import Any

import pytest

from agent.enrich.describe import Describer
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.pipeline import Pipeline
from agent.policy.book import PolicyBook
from agent.policy.encode import HookEncoder
from agent.policy.values import ValueType
from tests.agent.hookwire import facts, hook_record, path_data, sock_data
from tests.agent.wire import SECOND, Image, exec_record

pytestmark = pytest.mark.bench
EVENTS = 20_000
_DEPTH = 6
_BATCH = 512


def pipeline() -> Pipeline:
    """The product's pipeline with a policy for files and one for sockets, redaction included."""
    redactor, encoder, book = Redactor(load_rules(()), b"k" * 32), Encoder("bench"), PolicyBook()
    book.note(1, 0, 1, facts())
    book.note(2, 0, 1, facts(target="tcp_connect", shown=[("sock", ValueType.SOCK)]))
    hooks = HookEncoder(encoder, book, redact=redactor.redact_text)
    return Pipeline(ProcessTree("bench", 131072), Describer(redactor), encoder, WallClock(), hooks)


def family() -> tuple[list[bytes], Image]:
    """Execs of a chain of shells, and the last image."""
    images = [(100 + depth, SECOND * (depth + 1)) for depth in range(_DEPTH)]
    parents = [(1, 1), *images]
    return [exec_record(image, parent) for image, parent in zip(images, parents, strict=False)], images[-1]


def files(distinct: int) -> list[bytes]:
    """Opens of so many different files in turn."""
    image = family()[1]
    return [
        hook_record(
            image, (104, 5 * SECOND), [(0, ValueType.FILE, path_data(b"/srv/data/%d" % (n % distinct)))]
        )
        for n in range(EVENTS)
    ]


def sockets() -> list[bytes]:
    """Connections from a new port each."""
    image, end = family()[1], bytes([10, 0, 0, 1])
    return [
        hook_record(
            image,
            (104, 5 * SECOND),
            [(0, ValueType.SOCK, sock_data((end, n, end, 443), address=n % 64))],
            hook=2,
        )
        for n in range(EVENTS)
    ]


@pytest.mark.parametrize("load", ["same files", "new files", "sockets"])
def test_an_event_of_a_policy(benchmark: Any, load: str) -> None:
    made = {"same files": lambda: files(16), "new files": lambda: files(EVENTS), "sockets": sockets}[load]()
    stages = pipeline()
    stages.batch(family()[0])

    def run() -> int:
        return sum(len(stages.batch(made[at : at + _BATCH])) for at in range(0, EVENTS, _BATCH))

    assert benchmark.pedantic(run, rounds=7, warmup_rounds=1) == EVENTS
    benchmark.extra_info["events_per_second"] = round(EVENTS / benchmark.stats.stats.median)
