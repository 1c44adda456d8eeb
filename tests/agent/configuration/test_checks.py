# SPDX-License-Identifier: Apache-2.0
"""Checks of single values."""

from __future__ import annotations

import pytest

from agent.configuration import checks


@pytest.mark.parametrize("size", [4096, 1 << 16, 1 << 31])
def test_a_power_of_two_of_whole_pages_is_a_ring(size: int) -> None:
    checks.ring_bytes(size, page=4096)


def test_a_ring_must_be_whole_pages_of_this_machine() -> None:
    with pytest.raises(ValueError, match="the least is 64KiB"):
        checks.ring_bytes(1 << 15, page=1 << 16)


@pytest.mark.parametrize("size", [0, -4096, 4097, 12288, 1 << 32])
def test_other_sizes_are_no_ring(size: int) -> None:
    with pytest.raises(ValueError):
        checks.ring_bytes(size, page=4096)


def test_a_fraction_is_above_nothing_and_at_most_all() -> None:
    checks.fraction(1.0)
    for value in (0, -0.1, 1.01):
        with pytest.raises(ValueError):
            checks.fraction(value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "a\udcff", "n" * 254])
def test_a_node_name_fits_into_an_exec_id(name: str) -> None:
    checks.node_name("node-1.example")
    checks.node_name(None)
    with pytest.raises(ValueError):
        checks.node_name(name)


def test_a_path_is_absolute_and_has_no_nul() -> None:
    checks.path("/a")
    checks.path(None)
    for value in ("a", "", "/a\0b"):
        with pytest.raises(ValueError):
            checks.path(value)


def test_a_socket_path_is_measured_in_bytes() -> None:
    checks.socket_path("/" + "s" * 106)
    for value in ("/" + "s" * 107, "/" + "é" * 54):
        with pytest.raises(ValueError, match="bytes long"):
            checks.socket_path(value)


def test_a_choice_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(ValueError, match='did you mean "compact"'):
        checks.one_of("compact", "json")("compakt")
    with pytest.raises(ValueError, match=r"is not one of compact, json$"):
        checks.one_of("compact", "json")("xml")


def test_a_value_that_may_be_absent_is_checked_when_it_is_there() -> None:
    check = checks.optional(checks.size(4096))
    check(None)
    with pytest.raises(ValueError):
        check(1)


@pytest.mark.parametrize("value", ["cri:run/crio.sock", "/run/crio.sock", "rkt:/run/rkt.sock"])
def test_a_runtimes_socket_says_which_runtime_and_where(value: str) -> None:
    checks.runtime_sockets(("cri:/run/containerd/containerd.sock",))
    with pytest.raises(ValueError, match="cri:/path"):
        checks.runtime_sockets((value,))


@pytest.mark.parametrize("value", ["", "off", "run/nri.sock", "/" + "x" * 200])
def test_a_socket_of_nri_is_a_word_or_a_place(value: str) -> None:
    for good in ("auto", "none", "/run/nri/nri.sock"):
        checks.nri_socket(good)
    with pytest.raises(ValueError, match=r"auto, none or a path|bytes long"):
        checks.nri_socket(value)


@pytest.mark.parametrize("value", ["", "127.0.0.1:54321", "[::1]:1", ":2112", "node.example:0"])
def test_an_address_has_a_port(value: str) -> None:
    checks.address(value)


@pytest.mark.parametrize("value", ["127.0.0.1", "::1:80", "[::1:80", "a:b", "a:65536", "a:", "a:²"])
def test_what_is_no_address_is_told_with_an_example(value: str) -> None:
    with pytest.raises(ValueError, match="for example"):
        checks.address(value)


def test_a_list_of_words_names_the_one_that_is_none_of_them() -> None:
    checks.some_of("a", "b")(("b",))
    with pytest.raises(ValueError, match="holds 'c', which is not one of a, b"):
        checks.some_of("a", "b")(("a", "c"))
