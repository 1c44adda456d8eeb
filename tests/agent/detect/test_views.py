# SPDX-License-Identifier: Apache-2.0
import base64
from typing import Any

import pytest

from agent.detect.engine import Engine
from agent.detect.views import audited
from tests.agent.detect.sigma_rules import AUDITD, call_of, exec_of, hits, rule
from tests.agent.detect.test_dns import query

WRITTEN = {"uint_arg": 0x8001E | 2, "label": "mode"}
READ = {"uint_arg": 1, "label": "mode"}
CRON: dict[str, Any] = {"file_arg": {"path": "/etc/cron.d/x"}}


def source(category: str) -> str:
    return f"{{product: linux, category: {category}}}"


def matches(detection: str, record: dict[str, Any], logsource: str) -> bool:
    return bool(hits(rule(f"sel: {detection}\ncondition: sel", logsource), record))


@pytest.mark.parametrize(
    "detection",
    [
        "{type: EXECVE, a0: chmod, a1: 777}",
        "{type: execve, a2: '/tmp/a b'}",
        "{type: EXECVE, a2: 2F746D702F612062}",
        "{type: EXECVE, argc: 3}",
        "{type: SYSCALL, SYSCALL: execve, exe: /bin/chmod, comm: chmod}",
        "{type: SYSCALL, euid: 0, success: 'yes', tty: (none)}",
        "{type: PATH, name: /bin/chmod, nametype: NORMAL}",
        "['777']",
        "{type: EXECVE}",
        "{type: PROCTITLE, proctitle|contains: 'chmod 777'}",
        "{type: CWD, cwd: /root}",
    ],
)
def test_an_exec_is_five_audit_records(detection: str) -> None:
    record = exec_of("chmod", "777", "/tmp/a b", binary="/bin/chmod")
    assert matches(detection, record, AUDITD)


@pytest.mark.parametrize(
    "detection",
    [
        "{type: EXECVE, a3: x}",
        "{type: PATH, a0: chmod}",
        "{type: SYSCALL, name: /bin/chmod}",
        "{type: USER_TTY}",
        "{type: CWD, a0: chmod}",
        "{type: EXECVE, key: x}",
        "{type: SYSCALL, SYSCALL: mknod}",
    ],
)
def test_audit_records_have_what_is_theirs(detection: str) -> None:
    assert not matches(detection, exec_of("chmod", "777", binary="/bin/chmod"), AUDITD)


def test_the_conditions_of_a_rule_hold_for_one_record() -> None:
    found = rule(
        "a: {type: EXECVE, a0: chmod}\nb: {type: PATH, name: /bin/chmod}\ncondition: a and b", AUDITD
    )
    assert not hits(found, exec_of("chmod", binary="/bin/chmod"))


def test_arguments_are_hexadecimal_where_auditd_writes_them_so() -> None:
    assert audited("-la") == "-la"
    assert audited("a b") == ("a b", "612062")
    assert audited('a"') == ('a"', "6122")
    assert audited("é") == ("é", "C3A9")


@pytest.mark.parametrize(
    ("detection", "record", "logsource"),
    [
        ("{type: SYSCALL, SYSCALL: mknod}", call_of("__x64_sys_mknod"), AUDITD),
        ("{type: SYSCALL, SYSCALL: mknodat}", call_of("security_path_mknod"), AUDITD),
        ("{SYSCALL: syslog, a0: [5, 6]}", call_of("sys_syslog", {"size_arg": "5"}), AUDITD),
        ("{SYSCALL: socket, a0: 26}", call_of("__x64_sys_socket", {"int_arg": 38}), AUDITD),
        ("{type: PATH, name: /etc/cron.d/*}", call_of("security_file_open", CRON), AUDITD),
        ("{success: 'no'}", call_of("sys_mknod", **{"return": {"int_arg": -1}}), AUDITD),
        (
            "{TargetFilename: /etc/cron.d/x}",
            call_of("security_file_open", CRON, WRITTEN),
            source("file_event"),
        ),
        ("{TargetFilename: /etc/cron.d/x}", call_of("security_file_open", CRON, READ), source("file_access")),
        ("{Image: /bin/cat}", call_of("security_path_unlink", CRON), source("file_delete")),
    ],
)
def test_events_of_policies_are_what_they_mean(
    detection: str, record: dict[str, Any], logsource: str
) -> None:
    assert matches(detection, record, logsource)


def test_a_file_that_is_read_is_no_file_event() -> None:
    record = call_of("security_file_open", CRON, READ)
    assert not matches("{TargetFilename: /etc/cron.d/x}", record, source("file_event"))


@pytest.mark.parametrize("label", ["into", "directory"])
def test_a_name_is_joined_to_its_directory(label: str) -> None:
    parts = (
        {"path_arg": {"path": "/etc/cron.d"}, "label": label},
        {"path_arg": {"path": "/a/b/new"}, "label": "name"},
    )
    record = call_of("security_path_rename", *parts)
    assert matches("{TargetFilename: /etc/cron.d/new}", record, source("file_event"))
    assert matches("{TargetFilename: /etc/cron.d/new}", record, source("file_rename"))


SOCK = {"sock_arg": {"family": "AF_INET", "protocol": "IPPROTO_TCP", "saddr": "10.0.0.1",
                     "daddr": "192.0.2.1",
                     "sport": 4000, "dport": 4444}}  # fmt: skip


@pytest.mark.parametrize(
    ("detection", "function"),
    [
        ("{DestinationIp: 192.0.2.1, DestinationPort: 4444, Initiated: 'true'}", "tcp_connect"),
        ("{DestinationIp|cidr: 192.0.2.0/24, Protocol: tcp, SourceIp: 10.0.0.1}", "tcp_connect"),
        ("{DestinationIsIpv6: 'false', destination.port|gte: 4444}", "tcp_connect"),
        ("{Initiated: false}", "inet_csk_accept"),
    ],
)
def test_connections(detection: str, function: str) -> None:
    assert matches(detection, call_of(function, SOCK), source("network_connection"))


def asked(name: str, number: int = 2, seconds: int = 1, **more: Any) -> dict[str, Any]:
    content = base64.b64encode(query(*name.encode().split(b"."))).decode()
    record = call_of(
        "udp_sendmsg", {"sock_arg": {"daddr": "127.0.0.53", "dport": 53}}, {"bytes_arg": content}
    )
    return {**record, "time": f"2026-01-01T00:00:{seconds:02}.000000001Z"}


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"])
def test_an_ipv4_address_in_ipv6_is_that_address(address: str) -> None:
    sock = {"family": "AF_INET6", "daddr": address, "dport": 80}
    asked = "sel: {DestinationIp: 192.0.2.1, DestinationIsIpv6: false}\ncondition: sel"
    found = rule(asked, "{product: linux, category: network_connection}")
    assert hits(found, call_of("tcp_connect", {"sock_arg": sock}))


def test_a_dns_question_has_its_name() -> None:
    assert matches("{QueryName: pool.example, record_type: A}", asked("pool.example"), source("dns_query"))


def test_who_connects_has_asked_for_the_name_shortly_before() -> None:
    found = rule(
        "sel: {DestinationHostname|endswith: .example}\ncondition: sel", source("network_connection")
    )
    connect = {**call_of("tcp_connect", SOCK), "time": "2026-01-01T00:00:30.000000001Z"}
    assert hits(found, asked("pool.example", seconds=5), connect)
    assert not hits(found, connect)
    assert not hits(found, asked("pool.example", seconds=0), {**connect, "time": "2026-01-01T00:01:00Z"})


@pytest.mark.parametrize(
    "detection",
    ["{Policy: ptrace}", "{Function: security_ptrace_access_check}", "{Message: attached}", "{Arg0: '7'}",
     "{Arg.tracer: '7'}", "{Image: /bin/cat, User: root}", "{Arg1|startswith: '10.'}", "[attached]"],
)  # fmt: skip
def test_events_of_policies_have_fields_of_their_own(detection: str) -> None:
    record = call_of(
        "security_ptrace_access_check",
        {"int_arg": 7, "label": "tracer"},
        SOCK,
        policy_name="ptrace",
        message="attached",
    )
    assert matches(detection, record, source("policy"))


def test_other_kinds_of_policy_events_are_read_alike() -> None:
    said = call_of("", CRON)["process_kprobe"]
    point = {**said, "subsys": "syscalls", "event": "sys_enter_openat"}
    del point["function_name"]
    for kind, event, function in (
        ("process_lsm", {**said, "function_name": "file_open"}, "file_open"),
        ("process_tracepoint", point, "syscalls/sys_enter_openat"),
        ("process_uprobe", {**point, "symbol": "readline", "event": None}, "readline"),
    ):
        assert matches(f"{{Function: {function}}}", {kind: event, "tracehound": {}}, source("policy")), kind


ODD: list[Any] = [
    {},
    [],
    5,
    None,
    "x",
    [{}],
    [5, None],
    {"a": {"b": 1}},
    [{"file_arg": 5}],
    [{"sock_arg": []}],
]


@pytest.mark.parametrize("odd", ODD, ids=map(repr, ODD))
def test_odd_events_are_no_error(odd: Any) -> None:
    rules = [
        rule("sel: {TargetFilename|contains: x}\ncondition: not sel\n", source(category), title=category)
        for category in ("policy", "file_event", "network_connection", "process_creation")
    ]
    engine = Engine([*rules, rule("sel: [word]\ncondition: sel", AUDITD)])
    for kind in ("process_exec", "process_exit", "process_kprobe", "process_lsm", "process_tracepoint"):
        engine.feed({kind: odd})
        engine.feed({kind: {"process": odd, "parent": odd}, "tracehound": odd})
        known = exec_of("x")["process_exec"]["process"]
        event = {
            "process": known,
            "function_name": "security_file_open",
            "args": odd,
            "return": odd,
            "message": odd,
        }
        engine.feed({kind: event, "tracehound": odd, "time": odd, "node_name": odd})
    engine.feed({"tracehound": odd})
    engine.feed({"tracehound": {"segment": odd}})
    engine.feed({"tracehound": {"fork": odd}})
    engine.feed({"tracehound": {"fork": {"process": odd}}})
    engine.feed({})
