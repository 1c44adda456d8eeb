# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.detect.engine import Engine
from agent.detect.loglines import is_line_view, service_in, view_for, views_of_line
from tests.agent.detect.sigma_rules import exec_of, rule

LINUX = "{product: linux}"
SUDO = "Jan  2 03:04:05 h sudo[9]:      bob : TTY=pts/0 ; PWD=/tmp ; USER=#-1 ; COMMAND=/bin/sh -c a ; b=c"


def line_of(line: str, *services: str, **more: Any) -> dict[str, Any]:
    content = {"source": "/var/log/x", "services": list(services), "line": line, **more}
    own = {"sequence": 5, "log_line": content}
    return {"tracehound": own, "node_name": "n1", "time": "2026-01-01T00:00:00.000000001Z"}


def service(name: str) -> str:
    return f"{{product: linux, service: {name}}}"


def hits(detection: str, logsource: str, record: dict[str, Any]) -> int:
    return len(Engine([rule(detection, logsource)]).feed(record))


def test_a_line_is_seen_by_its_services_and_by_rules_that_name_none() -> None:
    assert list(views_of_line({"services": ["sshd", "auth", 7, "sshd"]})) == ["log/sshd", "log/auth", "log/"]
    assert list(views_of_line({"services": 7})) == ["log/"]
    assert is_line_view(view_for("Secure")) and service_in(view_for("Secure")) == "auth"
    assert not is_line_view("auditd/PATH")


@pytest.mark.parametrize(
    ("logsource", "expected"),
    [(service("sshd"), 1), (service("SSHD"), 1), (service("secure"), 1), (LINUX, 1), (service("cron"), 0)],
)
def test_a_rule_is_asked_of_lines_of_its_service(logsource: str, expected: int) -> None:
    record = line_of("h sshd[1]: Error in LIBCRYPTO", "sshd", "auth")
    assert hits("keywords: ['error in libcrypto']\ncondition: keywords", logsource, record) == expected


def test_keywords_are_looked_for_in_the_line_and_nowhere_else() -> None:
    record = line_of("h x[1]: text", "x", program="x", exec_id="p1")
    engine = Engine([rule(f"k: [{word}]\ncondition: k", LINUX, word) for word in ("text", "netcat", "h x")])
    engine.feed(exec_of("/bin/netcat", exec_id="p1"))
    assert [hit.rule.title for hit in engine.feed(record)] == ["text", "h x"]


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("USER: '#-*'", 1),
        ("PWD: /tmp", 1),
        ("TTY: pts/0", 1),
        ("COMMAND: '/bin/sh -c a ; b=c'", 1),
        ("HOST: '*'", 0),
        ("GROUP: null", 1),
        ("Message|startswith: '     bob :'", 1),
        ("Program: sudo", 1),
        ("Service: auth", 1),
        ("Source|startswith: /var/log/", 1),
        ("type: sudo", 0),
        ("Image|endswith: /sudo", 0),
    ],
)
def test_fields_of_a_line(check: str, expected: int) -> None:
    record = line_of(SUDO, "sudo", "auth", program="sudo")
    assert hits(f"sel: {{{check}}}\ncondition: sel", service("sudo"), record) == expected


def test_a_line_has_the_process_that_wrote_it_with_its_ancestors() -> None:
    engine = Engine([rule("sel: {Image: /sbin/sshd, Line|contains: bad}\ncondition: sel", service("sshd"))])
    engine.feed(exec_of("/sbin/init", exec_id="p0", parent=""))
    engine.feed(exec_of("/sbin/sshd", exec_id="p1", parent="p0"))
    [hit] = engine.feed(line_of("bad", "sshd", exec_id="p1"))
    assert hit.process.images == ("/sbin/sshd",) and [one.images for one in hit.ancestors()] == [
        ("/sbin/init",)
    ]
    assert engine.feed(line_of("bad", "sshd", exec_id="unheard")) == []


@pytest.mark.parametrize(
    "content",
    [{}, {"line": 7}, {"line": None, "services": "sshd"}, {"line": "x", "services": [None], "exec_id": 1}],
)
def test_a_line_of_another_form_is_no_error(content: dict[str, Any]) -> None:
    engine = Engine([rule("k: [bad]\nn: {USER: null}\ncondition: k or not n", LINUX)])
    assert engine.feed({"tracehound": {"sequence": 5, "log_line": content}}) == []
    assert engine.feed({"tracehound": {"sequence": 5, "log_line": 7}}) == []


def test_answers_about_lines_are_not_remembered() -> None:
    engine = Engine([rule("k: [bad]\ncondition: k", LINUX)])
    for number in range(10):
        engine.feed(line_of(f"{number}", "x"))
    assert [matcher.remembered for matchers in engine._matchers.values() for matcher in matchers] == [0]
