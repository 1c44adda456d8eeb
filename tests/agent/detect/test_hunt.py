# SPDX-License-Identifier: Apache-2.0
"""A hunt says what an engine says that was fed every record."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.detect.aliases import aliases_of, pairs_in
from agent.detect.conditions import And, Not, Or
from agent.detect.hunt import Hunt, Placed
from agent.detect.rules import Logsource, Rule
from agent.detect.running import engine_of
from agent.store.layout import sources
from agent.store.live import chunks_of
from agent.store.picking import EVER, Period
from agent.store.records import Problems
from tests.agent.cli.conftest import START_NS, LogMaker
from tests.agent.detect.found import check, rule
from tests.agent.store.support import compact_all, connect, session

CURL = check("Image", "endswith", "/curl")
SSHD: dict[str, Any] = {"logsource": Logsource("", "linux", "sshd")}
RULES = [
    rule(CURL, id="image"),
    rule(And((check("Image", "endswith", "/cat"), check("ParentImage", "endswith", "/sh"))), id="parent"),
    rule(And((CURL, check("ParentImage", "endswith", "/curl"))), id="parent's executable"),
    rule(And((CURL, Not(check("ParentImage", "endswith", "/curl")))), id="not parent's executable"),
    rule(check("ParentCommandLine", "contains", "-c x"), id="parent's words"),
    rule(check("Ancestors", "endswith", "/init"), id="ancestors"),
    rule(And((check("CommandLine", "contains", "shadow"), Not(CURL))), id="not"),
    rule(And((check("DestinationIp", "equals", "203.0.113.7"), CURL)), "network_connection", id="peer"),
    rule(check("CommandLine", "contains", "sh -c"), "network_connection", id="words of another row"),
    rule(
        And((check("", "contains", "bad"), CURL, check("Ancestors", "endswith", "/init"))), id="line", **SSHD
    ),
    rule(Or((check("Image", "re", "c[au]"), check("User", "equals", "nobody"))), id="expression"),
]


@pytest.fixture(params=[0, 1, 2], ids=["lines", "half", "compacted"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> LogMaker:
    """Two boots, in all forms."""
    made = session(tmp_path / "log")
    if request.param == 1:
        compact_all(made.directory)
    made.segment(at=100, boot_id="boot-2")
    init = made.exec(1, "/sbin/init", at=101)
    shell = made.exec(70, "/bin/sh", "-c", "x", parent=init, at=102, own={"exe": "/usr/bin/curl"})
    connect(made, shell, "203.0.113.7", at=103)
    made.exec(71, "/bin/cat", "/etc/hosts", parent=shell, at=104)
    made.exec(72, "/usr/bin/curl", "x", parent=shell, at=105)
    ids = {"exec_id": shell["exec_id"], "parent_exec_id": init["exec_id"], "ancestry": [init["exec_id"]]}
    made.own("log_line", {"source": "x", "services": ["sshd"], "line": "bad", **ids}, at=106)
    made.own("log_line", {"source": "x", "services": ["cron"], "line": "bad", **ids}, at=106)
    made.segment(at=200, boot_id="boot-2")
    connect(made, shell, "203.0.113.7", at=201)
    made.segment(at=300, boot_id="boot-2")
    if request.param == 2:
        compact_all(made.directory)
    return made


def hits_of(log: LogMaker, rules: list[Rule], period: Period = EVER) -> list[tuple[str, str]]:
    aliases = aliases_of(pairs_in(log.directory, sources(log.directory)))
    hunt = Hunt(log.directory, rules, engine_of(rules), Problems(), aliases=aliases)
    return sorted((record["time"], hit.rule.id) for record, hits in hunt.run(period) for hit in hits)


def fed_all(log: LogMaker, rules: list[Rule]) -> list[tuple[str, str]]:
    engine = engine_of(rules)
    chunks = (chunk for one in sources(log.directory) for chunk in chunks_of(log.directory, one))
    records = [orjson.loads(line) for chunk in chunks for line in chunk if line]
    return sorted((one["time"], hit.rule.id) for one in records for hit in engine.feed(one))


@pytest.mark.parametrize("one", [*RULES, None], ids=lambda one: one.id if one else "all")
def test_the_answer_is_that_of_every_event_fed(log: LogMaker, one: Rule | None) -> None:
    rules = [one] if one else RULES
    expected = fed_all(log, rules)
    assert expected and hits_of(log, rules) == expected


def test_only_the_period_counts_though_ancestors_are_older(log: LogMaker) -> None:
    period = Period(START_NS + 200 * 10**9, START_NS + 300 * 10**9)
    found = hits_of(log, RULES, period)
    assert found == [one for one in fed_all(log, RULES) if one[0].startswith("2026-01-01T00:03:21")]
    assert ("2026-01-01T00:03:21.000000000Z", "peer") in found


def test_most_events_are_not_looked_at(log: LogMaker) -> None:
    hunt = Hunt(log.directory, RULES[:1], engine_of(RULES[:1]), Problems())
    assert len(list(hunt.run())) == hunt.hits
    assert hunt.candidates < 4


def test_rounds_change_nothing(log: LogMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.detect.hunt.KEPT_BYTES", 1)
    assert hits_of(log, RULES) == fed_all(log, RULES)


def test_who_is_known_is_not_looked_for_again(log: LogMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[tuple[set[str], int]] = []
    inner = Hunt._beginnings

    def counted(self: Hunt, wanted: set[str], *more: Any) -> list[Placed]:
        looked.append((set(wanted), len(looked)))
        return inner(self, wanted, *more)

    monkeypatch.setattr("agent.detect.hunt.KEPT_BYTES", 1)
    monkeypatch.setattr(Hunt, "_beginnings", counted)
    hits_of(log, [RULES[-1]])
    ids = [one for wanted, _ in looked for one in wanted]
    assert len(ids) == len(set(ids)) and any(not wanted for wanted, _ in looked)


@pytest.mark.parametrize("kept", [1, 1 << 20])
@pytest.mark.parametrize("is_compacted", [False, True])
def test_what_an_agent_says_again_counts_from_there_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, is_compacted: bool
) -> None:
    monkeypatch.setattr("agent.detect.hunt.KEPT_BYTES", kept)
    log = LogMaker(tmp_path / "log")
    shell = log.exec(5, "/bin/sh", "-c", "first", at=1)
    log.exec(6, "/usr/bin/curl", parent=shell, at=2)
    for at in (10, 20):  # the same process, as a later agent found it
        log.segment(at=at)
        log.exec(5, "/bin/sh", "-c", f"as of {at}", at=at + 1, flags="procFS", exec_id=shell["exec_id"])
        log.segment(at=at + 3)
        log.exec(6 + at, "/usr/bin/curl", parent=shell, at=at + 4)
    log.segment(at=90)
    if is_compacted:
        compact_all(log.directory)
    rules = [
        rule(And((CURL, check("ParentCommandLine", "contains", text))), id=text)
        for text in ("first", "10", "20")
    ]
    assert [name for _, name in fed_all(log, rules)] == ["first", "10", "20"]
    assert hits_of(log, rules) == fed_all(log, rules)
