# SPDX-License-Identifier: Apache-2.0
import pytest

from exporters.base import MADE, Document, OptionError

DOCUMENT = Document({}, b"{}", "process_exec", 1, 7, "boot-a", "n1", "n1")


def test_a_uid_tells_node_boot_and_number() -> None:
    assert DOCUMENT.uid == "n1/boot-a/7"


@pytest.mark.parametrize("kind", sorted(MADE))
def test_what_a_runner_makes_itself_has_a_uid_of_its_own(kind: str) -> None:
    assert DOCUMENT._replace(type=kind).uid == f"n1/boot-a/7/{kind}"


def test_a_wrong_option_is_told_with_a_way_out() -> None:
    assert (
        str(OptionError("url", "is no URL: 'x'", "give https://host"))
        == "url: is no URL: 'x' (give https://host)"
    )
    assert str(OptionError("url", "is missing")) == "url: is missing"
