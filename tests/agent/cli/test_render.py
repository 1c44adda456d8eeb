# SPDX-License-Identifier: Apache-2.0
"""Lines for people, from the samples and from hostile content."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.render import RenderContext, learn, render_event
from tests.agent.cli.conftest import stamp

SAMPLES = Path(__file__).parent / "samples"
RECORDS = [json.loads(line) for line in (SAMPLES / "session.jsonl").read_text().splitlines()]
ESCAPES = "\x1b[2J\x1b]0;title\x07\r\n\u202eevil\u2028\x9b31m\u200f\x00"


def process(**fields: Any) -> dict[str, Any]:
    return {"exec_id": "ZQ==", "pid": 7, "uid": 5, "binary": "/bin/x", "start_time": stamp(1)} | fields


def exec_line(own: dict[str, Any] | None = None, wide: bool = False, **fields: Any) -> str:
    record = {"process_exec": {"process": process(**fields)}, "time": stamp(2), "tracehound": own or {}}
    return render_event(record, RenderContext(wide=wide))


@pytest.mark.parametrize("form", ["compact", "wide"])
def test_a_session_reads_like_its_golden_lines(form: str) -> None:
    context = RenderContext(wide=form == "wide")
    lines = [render_event(record, context) for record in RECORDS]
    assert lines == (SAMPLES / f"session.{form}").read_text().splitlines()


def test_colours_change_no_text() -> None:
    plain, colored = RenderContext(), RenderContext(color=True)
    for record in RECORDS:
        line = render_event(record, colored)
        assert "\x1b[" in line
        assert re.sub(r"\x1b\[[0-9;]*m", "", line) == render_event(record, plain)


@pytest.mark.parametrize(("parent_uid", "shown"), [(5, "alice"), (0, "5")])
def test_who_never_called_exec_is_whoever_its_parent_is(parent_uid: int, shown: str) -> None:
    context = RenderContext()
    learn({"process_exec": {"process": process()}, "tracehound": {"user": "alice"}}, context)
    forked = process(exec_id="Zg==", parent_exec_id="ZQ==")
    event = {"process": forked, "parent": process(uid=parent_uid), "time": stamp(2)}
    line = render_event({"process_exit": event, "time": stamp(2)}, context)
    assert line.split("host")[1].split()[0] == shown


@pytest.mark.parametrize("wide", [False, True])
def test_hostile_text_in_every_field_stays_on_one_line(wide: bool) -> None:
    nasty = process(
        binary="/tmp/" + ESCAPES,
        cwd=ESCAPES,
        flags=ESCAPES,
        docker=ESCAPES,
        pod={"namespace": ESCAPES, "name": ESCAPES},
        exec_id=ESCAPES,
        parent_exec_id=ESCAPES,
        start_time=ESCAPES,
        arguments=ESCAPES,
    )
    own = {
        "arguments": [ESCAPES, ESCAPES],
        "user": ESCAPES,
        "ancestry": [ESCAPES],
        "exe": "/memfd:" + ESCAPES,
        "inode": {"links": 0},
        "truncated": [ESCAPES],
        "binary_properties": {"setuid": ESCAPES, "privileges_changed": [ESCAPES]},
    }
    for kind in ("process_exec", "process_exit", "process_kprobe", "process_" + ESCAPES):
        event: dict[str, Any] = {
            "process": nasty,
            "parent": nasty,
            "signal": ESCAPES,
            "function_name": ESCAPES,
        }
        event |= {"args": [{"string_arg": ESCAPES}], "policy_name": ESCAPES, "action": ESCAPES}
        for content in (own, {}):
            line = render_event(
                {kind: event, "time": stamp(2), "tracehound": content}, RenderContext(wide=wide)
            )
            assert line.isprintable(), ascii(line)
            assert "\\e[2J" in line


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["exec_id", "pid", "uid", "binary", "arguments", "docker", "pod", "start_time", "cwd", "flags"]
PROCESSES = st.dictionaries(st.sampled_from(NAMES), JSON)
OWN = st.dictionaries(
    st.sampled_from(["arguments", "user", "ancestry", "raw", "inode", "truncated", "loss", "degraded"]), JSON
)


@settings(deadline=None)
@given(
    st.sampled_from(["process_exec", "process_exit", "process_kprobe", "x"]),
    PROCESSES,
    PROCESSES,
    OWN,
    JSON,
    st.booleans(),
)
def test_no_record_breaks_a_line_or_the_renderer(
    kind: str, child: dict[str, Any], parent: dict[str, Any], own: dict[str, Any], when: Any, wide: bool
) -> None:
    event = {"process": process() | child, "parent": process() | parent}
    record = {kind: event, "time": when if wide else stamp(1), "tracehound": own}
    assert render_event(record, RenderContext(wide=wide)).isprintable()


def test_what_is_no_record_is_shown_as_it_is() -> None:
    assert render_event({}, RenderContext()).startswith("? not a known record")
    assert render_event({"process_exec": {}}, RenderContext()).startswith("? not a known record")


def test_ten_thousand_arguments_make_a_short_compact_line_and_a_whole_wide_one() -> None:
    own = {"arguments": ["/bin/x", *(f"argument-{index}" for index in range(10_000))]}
    assert len(exec_line(own)) < 1200
    assert "more arguments)" in exec_line(own)
    assert "argument-9999" in exec_line(own, wide=True)


def test_of_a_path_of_4_kib_the_end_is_shown() -> None:
    path = "/" + "d" * 4080 + "/program"
    assert len(exec_line(binary=path)) < 300
    assert "d/program" in exec_line(binary=path)
    assert path in exec_line(binary=path, wide=True)


def test_bytes_that_are_not_utf_8_are_shown_as_they_were() -> None:
    raw = {"binary": "L2Jpbi/p", "arguments": {"1": "Y2Fm6Q=="}}
    line = exec_line({"arguments": ["x", "caf\ufffd"], "raw": raw}, binary="/bin/\ufffd")
    assert r"/bin/\xe9 " in line
    assert r"$'caf\xe9'" in line


def test_a_disguised_name_is_told() -> None:
    assert "(called '[kworker/0:1]')" in exec_line({"arguments": ["[kworker/0:1]"]})
    assert "called" not in exec_line({"arguments": ["-x"]})
    assert "called" not in exec_line({"arguments": ["x", "-l"]})


def test_a_program_without_a_file_is_marked() -> None:
    gone = {"number": "1", "links": 0, "dev": "0:1"}
    assert "[memfd]" in exec_line({"inode": gone, "exe": "/memfd:x (deleted)"}, binary="/proc/self/fd/3")
    assert "[deleted file]" in exec_line({"inode": gone})
    assert "[" not in exec_line({"inode": gone | {"links": 1}})


def test_a_pod_stands_where_the_container_would() -> None:
    line = exec_line(pod={"namespace": "shop", "name": "cart-0"}, docker="0123456789abcdef")
    assert " shop/cart-0 " in line


def test_an_event_of_a_policy_tells_function_arguments_and_action() -> None:
    event: dict[str, Any] = {
        "process": process(),
        "function_name": "security_file_open",
        "action": "KPROBE_ACTION_SIGKILL",
    }
    event |= {"args": [{"file_arg": {"path": "/etc/shadow"}}], "policy_name": "shadow"}
    line = render_event({"process_kprobe": event, "time": stamp(2)}, RenderContext())
    assert line.endswith("kprobe       7 /bin/x security_file_open /etc/shadow SIGKILL [shadow]")


def test_a_record_that_is_not_shown_still_names_its_descendants() -> None:
    context = RenderContext()
    learn(RECORDS[2], context)
    learn({"process_exec": {}}, context)
    learn({"process_exit": {}}, context)
    assert render_event(RECORDS[4], context).endswith("← systemd › sshd")
