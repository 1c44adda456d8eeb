# SPDX-License-Identifier: Apache-2.0
"""Names and breadcrumbs of ancestors."""

from __future__ import annotations

import base64

from agent.cli.lineage import Recent, Seen, pid_of


def process(exec_id: str, binary: str, parent_id: str = "") -> dict[str, str]:
    return {"exec_id": exec_id, "binary": binary, "parent_exec_id": parent_id}


def test_a_breadcrumb_leads_from_the_root_to_the_parent() -> None:
    seen = Seen()
    seen.note(process("1", "/sbin/init"))
    seen.note(process("2", "/usr/sbin/sshd"))
    assert seen.breadcrumb(process("3", "/bin/bash"), ["3", "2", "1"]) == "init › sshd › bash"


def test_ancestors_that_were_not_seen_are_one_ellipsis() -> None:
    seen = Seen()
    seen.note(process("1", "/sbin/init"))
    assert seen.breadcrumb(process("5", "/bin/bash"), ["5", "4", "3", "2", "1"]) == "init › … › bash"


def test_a_long_ancestry_is_shown_by_its_ends() -> None:
    seen = Seen()
    for number in range(1, 30):
        seen.note(process(str(number), f"/bin/p{number}"))
    ancestry = [str(number) for number in range(29, 0, -1)]
    expected = "p1 › p2 › … › p25 › p26 › p27 › p28 › p29"
    assert seen.breadcrumb(process("29", "/bin/p29"), ancestry) == expected


def test_ancestors_left_out_are_an_ellipsis() -> None:
    seen = Seen()
    for name in "ab":
        seen.note({"exec_id": name, "binary": f"/bin/{name}"})
    assert seen.breadcrumb({"exec_id": "b", "binary": "/bin/b"}, ["b", "", "a"]) == "a › … › b"


def test_without_ancestry_the_parents_that_were_seen_make_it() -> None:
    seen = Seen()
    seen.note(process("1", "/sbin/init"))
    seen.note(process("2", "/usr/sbin/sshd", "1"))
    assert seen.breadcrumb(process("3", "/bin/bash", "2"), None) == "init › sshd › bash"


def test_a_circle_of_parents_ends() -> None:
    seen = Seen()
    seen.note(process("1", "/a", "2"))
    assert seen.breadcrumb(process("2", "/b", "1"), None) == "a › b"


def test_no_ancestors_mean_no_breadcrumb() -> None:
    seen = Seen()
    assert seen.breadcrumb(None, None) == ""
    assert seen.breadcrumb(None, []) == ""
    assert seen.breadcrumb({}, ["1"]) == "…"


def test_the_ancestry_does_where_the_log_leaves_the_parent_out() -> None:
    seen = Seen()
    seen.note(process("1", "/sbin/init"))
    seen.note(process("2", "/bin/bash"))
    assert seen.breadcrumb(None, ["2", "1"]) == "init › bash"


def test_a_resolver_knows_what_was_not_seen() -> None:
    seen = Seen({"1": "/sbin/init"}.get)
    assert seen.breadcrumb(process("3", "/bin/bash"), ["3", "2", "1"]) == "init › … › bash"


def test_the_user_of_an_exec_is_remembered() -> None:
    seen = Seen()
    seen.note(process("1", "/a"), "alice")
    assert (seen.user("1"), seen.user("2")) == ("alice", "")


def test_what_is_not_used_is_forgotten_and_what_is_used_stays() -> None:
    recent: Recent[str] = Recent(size=10)
    recent.put("old", "x")
    recent.put("used", "y")
    for number in range(100):
        recent.put(str(number), "z")
        assert recent.get("used") == "y"
    assert recent.get("old") is None


def test_the_pid_stands_in_the_exec_id() -> None:
    assert pid_of(base64.b64encode(b"node:123:4711").decode()) == 4711
    assert pid_of("not base64!") is None
    assert pid_of("") is None
