# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from exporters.formats.shape import PROCESS, address, base_name, clean, is_count, is_number, is_text


def test_fields_of_a_wrong_type_are_left_out_and_named() -> None:
    wrong: list[str] = []
    pod = {"name": 5, "container": {"id": "c", "image": []}}
    found = clean({"pid": "1", "uid": 0, "binary": "/x", "odd": 1, "pod": pod}, PROCESS, "process", wrong)
    assert found == {"uid": 0, "binary": "/x", "pod": {"container": {"id": "c", "image": {}}}}
    assert wrong == ["process.pid", "process.pod.name", "process.pod.container.image"]


def test_what_is_no_object_is_empty() -> None:
    wrong: list[str] = []
    assert clean(7, PROCESS, "process", wrong) == {} and wrong == ["process"]


def test_numbers_have_64_bits_and_truth_is_none() -> None:
    assert is_number(-5) and is_number(2**63 - 1) and not is_number(2**63) and not is_number(True)
    assert is_count(0) and not is_count(-1) and not is_text(b"x")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::FFFF:1.2.3.4", "1.2.3.4"),
        ("no", ""),
        ("", ""),
    ],
)
def test_addresses_are_written_as_receivers_want_them(given: str, expected: str) -> None:
    assert address(given) == expected


def test_the_last_component_of_a_path_is_its_name() -> None:
    assert [base_name(path) for path in ("/a/b", "/a/b/", "b", "/", "")] == ["b", "b", "b", "/", ""]
