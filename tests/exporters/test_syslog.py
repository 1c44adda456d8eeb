# SPDX-License-Identifier: Apache-2.0
"""The syslog exporter against rsyslog and syslog-ng: what they wrote is what was sent."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from exporters import syslog
from exporters.base import Context, OptionError, TryAgain
from tests.exporters.conftest import Certificates
from tests.exporters.receivers import programs
from tests.exporters.receivers.documents import BOOT, document, execution, executions, own

Make = Callable[..., Context]


class Server(NamedTuple):
    """A running syslog server and the file with one JSON object per message that it writes."""

    written: Path
    tcp: int
    tls: int
    udp: int
    unix: str

    def is_ready(self) -> bool:
        """Whether all of them are open."""
        has_udp = f":{self.udp:04X} " in Path("/proc/net/udp").read_text()
        return has_udp and all(map(programs.listens, (self.tls, self.tcp))) and Path(self.unix).exists()

    def messages(self, count: int) -> list[dict[str, str]]:
        """What arrived, once it is that many."""
        programs.wait_until(lambda: self.written.exists() and self.written.read_bytes().count(b"\n") >= count)
        return [json.loads(line) for line in self.written.read_text().splitlines()]


RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="64k"
  defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{folder}/cert.pem"
  defaultNetstreamDriverKeyFile="{folder}/key.pem")
module(load="imptcp") module(load="imudp") module(load="imuxsock" SysSock.Use="off")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="all" type="list" option.jsonf="on") {{
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="pri" name="pri" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="sd" name="structured-data" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
}}
ruleset(name="write") {{ action(type="omfile" file="{folder}/written" template="all") }}
input(type="imptcp" port="{tcp}" address="127.0.0.1" ruleset="write" maxFrameSize="200000")
input(type="imtcp" port="{tls}" address="127.0.0.1" ruleset="write" maxFrameSize="200000")
input(type="imudp" port="{udp}" address="127.0.0.1" ruleset="write" rcvbufSize="4m")
input(type="imuxsock" socket="{unix}" ruleset="write" useSpecialParser="off" parseHostname="on"
  rateLimit.interval="0")
"""
SYSLOG_NG = """@version: 3.38
options {{ keep-hostname(yes); log-msg-size(200000); }};
source all {{
  syslog(ip(127.0.0.1) port({tcp}) transport("tcp") log-iw-size(10000));
  syslog(ip(127.0.0.1) port({tls}) transport("tls") log-iw-size(10000)
    tls(key-file("{folder}/key.pem") cert-file("{folder}/cert.pem") ca-file("{ca}")
      peer-verify(required-trusted)));
  syslog(ip(127.0.0.1) port({udp}) transport("udp") so-rcvbuf(4194304));
  unix-dgram("{unix}" flags(syslog-protocol));
}};
destination file {{
  file("{folder}/written" frac-digits(6) template("$(format-json host=$HOST app=$PROGRAM id=$MSGID pri=$PRI \
time=$ISODATE sd=$SDATA msg=$MSG)\\n"));
}};
log {{ source(all); destination(file); }};
"""


@pytest.fixture(params=["rsyslog", "syslog-ng"])
def server(request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates) -> Iterator[Server]:
    udp = programs.free_port(socket.SOCK_DGRAM)
    made = Server(
        tmp_path / "written", programs.free_port(), programs.free_port(), udp, str(tmp_path / "log.sock")
    )
    pem = Path(certificates.server_file).read_text()
    (tmp_path / "key.pem").write_text(pem[: pem.index("-----BEGIN CERTIFICATE")])
    (tmp_path / "cert.pem").write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    config = RSYSLOG if request.param == "rsyslog" else SYSLOG_NG
    values = made._asdict() | {"folder": tmp_path, "ca": certificates.ca_file}
    (tmp_path / "config").write_text(config.format(**values))
    command = command_of(request.param, tmp_path)
    with programs.running(command, tmp_path / "said", made.is_ready):
        yield made


def command_of(name: str, folder: Path) -> list[str]:
    if name == "rsyslog":
        places = programs.modules("usr/lib/*-linux-gnu/rsyslog")
        return [
            programs.find("rsyslogd"),
            "-n",
            "-f",
            f"{folder}/config",
            "-i",
            f"{folder}/pid",
            "-M",
            str(places),
        ]
    places = programs.modules("usr/lib/syslog-ng/*/libsyslogformat.so").parent
    state = [f"--persist-file={folder}/p", f"--pidfile={folder}/pid", f"--control={folder}/ctl"]
    command = [programs.find("syslog-ng"), "-F", "--no-caps", f"--cfgfile={folder}/config"]
    return [*command, f"--module-path={places}", *state]


def keys_of(transport: str, server: Server, certificates: Certificates) -> dict[str, object]:
    if transport == "unix":
        return {"transport": "unix", "address": server.unix}
    keys: dict[str, object] = {"transport": transport, "address": f"127.0.0.1:{getattr(server, transport)}"}
    if transport == "tls":
        keys["tls"] = {"ca_file": certificates.ca_file, "cert_file": certificates.client_file}
    return keys


def sequences(messages: list[dict[str, str]]) -> list[int]:
    return [int(re.search(r'sequence="(\d+)"', message["sd"])[1]) for message in messages]  # type: ignore[index]


@pytest.mark.parametrize("transport", ["tls", "tcp", "udp", "unix"])
def test_every_event_is_written_in_order(
    transport: str, server: Server, context: Make, certificates: Certificates
) -> None:
    count = 2000 if transport in ("tls", "tcp") else 100
    step = 10 if transport == "udp" else 100
    with closing(syslog.open(context(**keys_of(transport, server, certificates)))) as exporter:
        for first in range(1, count, step):
            assert exporter.send(executions(step, first)).refused == []
            if transport == "udp":  # nobody holds a sender of datagrams back
                server.messages(first + step - 1)
        assert sequences(server.messages(count)) == list(range(1, count + 1))


def test_an_event_is_written_with_every_field(
    server: Server, context: Make, certificates: Certificates
) -> None:
    with closing(syslog.open(context(**keys_of("tls", server, certificates)))) as exporter:
        exporter.send(executions(1))
        (message,) = server.messages(1)
    assert json.loads(message["msg"]) == execution(1)
    assert (message["host"], message["app"], message["id"], message["pri"]) == (
        "n1", "tracehound", "process_exec", str(10 * 8 + 6),
    )  # fmt: skip
    assert message["time"].startswith("2026-01-01T00:00:00.001000")
    sd = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', message["sd"]))
    assert sd == {"node": "n1", "boot": BOOT, "type": "process_exec", "sequence": "1"}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of a few lines, for what real ones do only when they crash."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(20)
        yield sock


def tcp(listener: socket.socket, context: Make, **more: object) -> syslog.Syslog:
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    return syslog.open(context(address=address, transport="tcp", timeout_seconds=5, **more))


def received(listener: socket.socket) -> list[int]:
    """Sequences that the next connection carries, read until its end."""
    peer, _ = listener.accept()
    with peer, peer.makefile("rb") as stream:
        return [int(number) for number in re.findall(rb' sequence="(\d+)"', stream.read())]


def test_what_a_killed_server_had_not_read_is_sent_again(listener: socket.socket, context: Make) -> None:
    exporter = tcp(listener, context)
    exporter.send(executions(10))
    peer, _ = listener.accept()
    # closing with unread data sends RST, as the kernel does for a killed process
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    exporter.send(executions(10, 11))
    exporter.close()
    assert received(listener) == list(range(1, 21))


def test_a_server_that_closes_in_order_gets_nothing_twice(listener: socket.socket, context: Make) -> None:
    exporter = tcp(listener, context)
    exporter.send(executions(10))
    peer, _ = listener.accept()
    with peer, peer.makefile("rb") as stream:
        while b'"sequence":10' not in stream.read1():
            pass
    exporter.send(executions(10, 11))
    exporter.close()
    assert received(listener) == list(range(11, 21))


def test_a_server_that_does_not_read_is_given_up(listener: socket.socket, context: Make) -> None:
    exporter = tcp(listener, context)
    exporter._options = dataclasses.replace(exporter._options, timeout_seconds=0.5)
    with pytest.raises(TryAgain, match=r"timed out|does not take"):
        for first in range(1, 100_000, 2000):
            exporter.send(executions(2000, first))
    exporter.close()


def test_nobody_listening_is_tried_again(listener: socket.socket, context: Make) -> None:
    exporter = tcp(listener, context)
    listener.close()
    with pytest.raises(TryAgain, match="refused") as caught:
        exporter.send(executions(1))
    assert not caught.value.needs_operator


@pytest.mark.parametrize("missing", ["ca_file", "cert_file"])
def test_bad_certificates_need_an_operator(
    missing: str, server: Server, context: Make, certificates: Certificates
) -> None:
    keys = keys_of("tls", server, certificates)
    keys["tls"] = {key: value for key, value in keys["tls"].items() if key != missing}  # type: ignore[attr-defined]
    with closing(syslog.open(context(**keys))) as exporter, pytest.raises(TryAgain) as caught:
        exporter.send(executions(1))
    assert caught.value.needs_operator


def one(body: bytes = b"x", node: str = "n1", **keys: object) -> bytes | None:
    chosen = syslog.OPTIONS.parse({"address": "h", "transport": "udp", **keys})
    return syslog.Writer(chosen).write(document(execution(1), body)._replace(node_name=node))


def test_long_messages_are_cut_at_a_character_and_say_so() -> None:
    message = one("ü".encode() * 1000, message_bytes=600) or b""
    assert 598 <= len(message) <= 600
    assert b' cut="2000"] \xc3\xbc' in message
    assert message.endswith("ü".encode())


def test_long_messages_are_refused_where_that_is_asked_for(listener: socket.socket, context: Make) -> None:
    exporter = tcp(listener, context, message_bytes=480, oversize="refuse")
    batch = [document(execution(1), b"short"), *executions(1, 2)]
    assert exporter.send(batch).refused == [(1, "longer than message_bytes (480)")]
    exporter.close()
    assert received(listener) == [1]


def test_names_hold_only_what_the_header_allows() -> None:
    assert (one(node="a b\n]ü") or b"").split(b" ")[2] == b"a_b_]_"
    assert b'node="a\\"\\]\\\\"' in (one(node='a"]\\') or b"")
    assert (one(node="") or b"").split(b" ")[2] == b"-"


def test_without_structured_data_there_is_a_nil_value() -> None:
    assert one(structured_data=False) == b"<86>1 2026-01-01T00:00:00.001000Z n1 tracehound - process_exec - x"


@pytest.mark.parametrize(
    ("kind", "content", "severity"),
    [("loss", {}, 4), ("heartbeat", {}, 6), ("detection", {"rule": "r", "level": "critical"}, 2)],
)
def test_severity_says_how_bad_it_is(kind: str, content: dict[str, object], severity: int) -> None:
    chosen = syslog.OPTIONS.parse({"address": "h", "transport": "udp"})
    message = syslog.Writer(chosen).write(document(own(kind, 1, content))) or b""
    assert message.startswith(b"<%d>1 " % (80 + severity))


def test_lines_end_where_the_framing_says(listener: socket.socket, context: Make) -> None:
    exporter = tcp(listener, context, framing="newline")
    exporter.send([document(execution(1), b"two\nlines"), document(execution(2), b"x")])
    exporter.close()
    peer, _ = listener.accept()
    with peer, peer.makefile("rb") as stream:
        assert [line.rpartition(b"] ")[2] for line in stream] == [b"two lines\n", b"x\n"]


@pytest.mark.parametrize(
    ("address", "transport", "place"),
    [
        ("siem", "tls", ("siem", 6514)),
        ("siem:1514", "tcp", ("siem", 1514)),
        ("[::1]:514", "udp", ("::1", 514)),
        ("/dev/log", "unix", ("/dev/log", 0)),
    ],
)
def test_addresses_have_the_ports_of_the_standards(
    address: str, transport: str, place: tuple[str, int]
) -> None:
    assert syslog.split_address(address, transport) == place


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"address": "a:b:c"}, "address: is no address"),
        ({"address": "h:0"}, "address: is no address"),
        ({"address": "log", "transport": "unix"}, "address: is no path"),
        ({"address": "h", "transport": "tpc"}, "transport: is 'tpc'"),
        ({"address": "h", "facility": "x"}, "facility: is 'x'"),
        ({"address": "h", "message_bytes": 10}, "message_bytes: is 10"),
    ],
)
def test_wrong_options_are_told(keys: dict[str, object], told: str, context: Make) -> None:
    with pytest.raises(OptionError, match=told):
        syslog.open(context(**keys))
