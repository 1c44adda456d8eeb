# SPDX-License-Identifier: Apache-2.0
"""The kernel's names against what the interface and this machine's libraries call them."""

from __future__ import annotations

import socket
import stat

import pytest

from agent.api.proto.tetragon import bpf_pb2, tetragon_pb2
from agent.policy.names import (
    BPF_COMMANDS,
    FAMILIES,
    MAP_TYPES,
    PERF_TYPES,
    PROGRAM_TYPES,
    PROTOCOLS,
    SOCKET_TYPES,
    TCP_STATES,
    permission,
    taints,
)


def test_families_are_those_of_this_machines_headers() -> None:
    known = {name: number for name, number in vars(socket).items() if name.startswith("AF_")}
    for number, name in FAMILIES.items():
        assert known.get(name, number) == number
    assert (len(FAMILIES), FAMILIES[45]) == (46, "AF_MCTP")


def test_protocols_are_those_of_this_machines_headers() -> None:
    for number, name in PROTOCOLS.items():
        assert getattr(socket, name, number) == number
    assert PROTOCOLS[socket.IPPROTO_UDP] == "IPPROTO_UDP"


def test_types_of_sockets_are_those_of_this_machines_headers() -> None:
    for number, name in SOCKET_TYPES.items():
        assert getattr(socket, name, number) == number
    assert SOCKET_TYPES[socket.SOCK_SEQPACKET] == "SOCK_SEQPACKET"


def test_states_are_in_the_kernels_order() -> None:
    assert [TCP_STATES[number] for number in (1, 7, 10, 12)] == [
        "TCP_ESTABLISHED",
        "TCP_CLOSE",
        "TCP_LISTEN",
        "TCP_NEW_SYN_RECV",
    ]


def test_commands_of_bpf_are_those_of_the_interface() -> None:
    assert {name: number for number, name in BPF_COMMANDS.items()} == dict(bpf_pb2.BpfCmd.items())


def test_program_types_are_those_of_the_interface() -> None:
    assert {name: number for number, name in PROGRAM_TYPES.items()} == dict(bpf_pb2.BpfProgramType.items())


@pytest.mark.parametrize(
    ("names", "number", "name"),
    [(MAP_TYPES, 27, "BPF_MAP_TYPE_RINGBUF"), (MAP_TYPES, 13, "BPF_MAP_TYPE_HASH_OF_MAPS"),
     (PERF_TYPES, 5, "PERF_TYPE_BREAKPOINT")],
)  # fmt: skip
def test_types_of_maps_and_perf_events_have_the_kernels_numbers(
    names: dict[int, str], number: int, name: str
) -> None:
    assert names[number] == name


@pytest.mark.parametrize("names", [FAMILIES, PROTOCOLS, TCP_STATES, MAP_TYPES])
def test_a_number_without_a_name_stands_for_itself(names: dict[int, str]) -> None:
    assert (names[4711], 4711 in names) == ("4711", False)


def test_taints_are_those_of_the_interface() -> None:
    bits = dict(tetragon_pb2.TaintedBitsType.items())
    assert taints((1 << 64) - 1) == [name for name, mask in bits.items() if mask]
    assert [bits[name] for name in taints(4096 | 2)] == [2, 4096]


@pytest.mark.parametrize("kind", [0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFSOCK, stat.S_IFIFO])
def test_permission_is_what_ls_shows(kind: int) -> None:
    letter = {0: "", stat.S_IFREG: "-", stat.S_IFDIR: "d", stat.S_IFSOCK: "s", stat.S_IFIFO: "p"}[kind]
    assert permission(kind | 0o4751) == f"{letter}rwsr-x--x"
    assert permission(kind | 0o1666) == f"{letter}rw-rw-rwT"
