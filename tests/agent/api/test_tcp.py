# SPDX-License-Identifier: Apache-2.0
"""The service over TCP, with real certificates and a real client."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from agent.api import tcp
from agent.api.certificates import Certificates
from agent.api.link import AgentSilent
from agent.api.options import Options
from agent.api.proto.tetragon import sensors_pb2 as pb
from agent.api.tcp import MOST_GREETING, Tcp
from agent.settings import ApiSettings, TlsSettings
from tests.agent.api.support import Agent, Log, call, get_events, pids, wait_until


class Authority:
    """Makes certificates; its files are those that the settings name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tls = TlsSettings(*(str(directory / name) for name in ("cert", "key", "ca")))
        self.renew()

    def renew(self) -> None:
        """Another authority in the place of the former."""
        self.ca = trustme.CA()
        server = self.ca.issue_cert("localhost")
        server.cert_chain_pems[0].write_to_path(self.directory / "cert")
        server.private_key_pem.write_to_path(self.directory / "key")
        self.ca.cert_pem.write_to_path(self.directory / "ca")

    def channel(self, agent: Agent, client: trustme.LeafCert | None) -> grpc.Channel:
        """A connection with or without a client's certificate."""
        root = self.ca.cert_pem.bytes()
        if client is None:
            credentials = grpc.ssl_channel_credentials(root)
        else:
            key, chain = client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
            credentials = grpc.ssl_channel_credentials(root, key, chain)
        port = agent.socket.address.rpartition(":")[2]
        return grpc.secure_channel(f"localhost:{port}", credentials)


@pytest.fixture
def authority(place: Path) -> Authority:
    (place / "tls").mkdir()
    return Authority(place / "tls")


@pytest.fixture
def agent(make_agent: Callable[..., Agent], authority: Authority) -> Agent:
    return make_agent(listen="127.0.0.1:0", tls=authority.tls)


def version(channel: grpc.Channel, **options: Any) -> str:
    answer = call(channel, "FineGuidanceSensors/GetVersion", pb.GetVersionRequest(), **options)
    return str(answer.version)


def test_a_client_with_a_certificate_may_do_everything(agent: Agent, authority: Authority, log: Log) -> None:
    with authority.channel(agent, authority.ca.issue_cert("me")) as channel:
        events = get_events(channel)
        log.exec(7)
        assert pids(events, 1) == [7]
        call(channel, "FineGuidanceSensors/DeleteTracingPolicy", pb.DeleteTracingPolicyRequest(name="p"))
    assert agent.asked[-1] == "policy_delete"


def test_one_without_is_not_let_in(agent: Agent, authority: Authority) -> None:
    with authority.channel(agent, None) as channel, pytest.raises(grpc.RpcError) as caught:
        version(channel, timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_one_of_another_authority_is_not_let_in(agent: Agent, authority: Authority) -> None:
    stranger = trustme.CA().issue_cert("me")
    with authority.channel(agent, stranger) as channel, pytest.raises(grpc.RpcError) as caught:
        version(channel, timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_one_whose_certificate_has_expired_is_not_let_in(agent: Agent, authority: Authority) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = authority.ca.issue_cert("me", not_after=yesterday)
    with authority.channel(agent, expired) as channel, pytest.raises(grpc.RpcError) as caught:
        version(channel, timeout=3)
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    with authority.channel(agent, authority.ca.issue_cert("me")) as channel:
        assert version(channel)


def test_without_clients_authority_the_connection_is_secret_and_reads_only(
    make_agent: Callable[..., Agent], authority: Authority
) -> None:
    agent = make_agent(listen="127.0.0.1:0", tls=TlsSettings(authority.tls.cert, authority.tls.key))
    with authority.channel(agent, None) as channel:
        assert version(channel) == "1.2.3"
        with pytest.raises(grpc.RpcError, match="only clients with a certificate"):
            call(channel, "FineGuidanceSensors/SetDebug", pb.SetDebugRequest())


def test_new_certificates_count_without_a_restart(
    make_agent: Callable[..., Agent], authority: Authority
) -> None:
    agent = make_agent(renew_s=0.1, listen="127.0.0.1:0", tls=authority.tls)
    with authority.channel(agent, authority.ca.issue_cert("me")) as channel:
        assert version(channel) == "1.2.3"
    former = authority.ca.issue_cert("me")
    authority.renew()

    def is_renewed() -> bool:
        with authority.channel(agent, authority.ca.issue_cert("me")) as channel:
            try:
                return version(channel, timeout=2) == "1.2.3"
            except grpc.RpcError:
                return False

    wait_until(is_renewed)
    with authority.channel(agent, former) as channel, pytest.raises(grpc.RpcError):
        version(channel, timeout=3)


def test_an_agent_that_was_busy_at_the_start_is_asked_again_soon(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "AGAIN_S", 0.01)
    certificates = Certificates(ApiSettings(tls=authority.tls))

    class Busy:
        answers = iter([None, None])

        async def ask(self, request: str, **details: Any) -> dict[str, Any]:
            if next(self.answers, "") is None:
                raise AgentSilent
            return certificates.answer(details)

    async def begin() -> bool:
        with socket.socket() as sock:
            options = Options("", 0, 0, "", 0, 0.0, tls=True, renew_s=3600.0)
            served = Tcp(sock, asyncio.Protocol, Busy(), options)  # type: ignore[arg-type]
            await served._renew()
            task = asyncio.create_task(served._keep_renewing())
            while served._context is None:
                await asyncio.sleep(0.01)
            return task.cancel()

    assert asyncio.run(asyncio.wait_for(begin(), 20))


def test_both_sockets_are_served_at_once(agent: Agent, authority: Authority) -> None:
    with agent.channel() as near, authority.channel(agent, authority.ca.issue_cert("me")) as far:
        assert (version(near), version(far)) == ("1.2.3", "1.2.3")
    assert agent.socket.facts()["starts"] == 1


def test_clients_that_never_greet_keep_nobody_out(agent: Agent, authority: Authority) -> None:
    port = int(agent.socket.address.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_GREETING + 20)]
    with authority.channel(agent, authority.ca.issue_cert("me")) as channel:
        assert version(channel) == "1.2.3"
    for one in silent:
        one.close()


def test_garbage_in_the_place_of_a_greeting_harms_nobody(agent: Agent, authority: Authority) -> None:
    port = int(agent.socket.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as garbled:
        garbled.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        while garbled.recv(4096):
            pass
    with authority.channel(agent, authority.ca.issue_cert("me")) as channel:
        assert version(channel) == "1.2.3"
    assert agent.reports == []
