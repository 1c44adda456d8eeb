# SPDX-License-Identifier: Apache-2.0
import socket

import pytest

from agent.api.addresses import bind, is_local, split
from agent.errors import AlreadyRunning, SettingsError


def test_an_address_is_host_and_port() -> None:
    assert split("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split("[::1]:80") == ("::1", 80)
    assert split(":80") == ("", 80)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"])
def test_these_are_reached_from_here_only(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize("address", [":1", "0.0.0.0:1", "[::]:1", "192.0.2.1:1", "node.example:1"])
def test_these_may_be_reached_from_elsewhere(address: str) -> None:
    assert not is_local(address)


@pytest.mark.parametrize("address", ["127.0.0.1:0", ":0"])
def test_who_connects_is_heard(address: str) -> None:
    with bind(address, "api.listen") as listening:
        where = ("127.0.0.1", listening.getsockname()[1])
        listening.setblocking(True)
        client = socket.create_connection(where, timeout=10)
        listening.accept()[0].close()
        assert client.recv(1) == b""
        client.close()


def test_an_address_that_is_taken_is_told_with_the_setting() -> None:
    with bind("127.0.0.1:0", "x") as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(AlreadyRunning, match=f"metrics.listen: another process listens at {address}"):
            bind(address, "metrics.listen")


def test_an_address_of_another_machine_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"api\.listen: 192\.0\.2\.1:1: "):
        bind("192.0.2.1:1", "api.listen")
