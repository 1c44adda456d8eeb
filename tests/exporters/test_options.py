# SPDX-License-Identifier: Apache-2.0
"""Keys of destinations: types, units, secrets, and what is said when they are wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exporters.base import OptionError
from exporters.options import check_choice, check_range, check_url, parse, secret
from exporters.tls import Tls


@dataclass(frozen=True, slots=True)
class Sample:
    url: str
    count: int = 1
    size_bytes: int = 1
    wait_seconds: float = 1.0
    is_on: bool = False
    names: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    limit: int | None = 5
    tls: Tls = field(default_factory=Tls)


def test_values_become_what_the_fields_say() -> None:
    given = {"url": "u", "count": 3, "size_bytes": "4MiB", "wait_seconds": "1m30s", "is_on": True}
    nested = {"names": ["a"], "headers": {"X": "y"}, "limit": None, "tls": {"ca_file": "/ca"}}
    found = parse(Sample, {**given, **nested})
    assert found == Sample("u", 3, 4 << 20, 90.0, True, ("a",), {"X": "y"}, None, Tls(ca_file="/ca"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "url: is missing"),
        ({"url": 5}, "url: is 5"),
        ({"url": "u", "cuont": 5}, "cuont: is no option of this type .did you mean count?"),
        ({"url": "u", "count": True}, "count: is True .give a whole number"),
        ({"url": "u", "is_on": "yes"}, "is_on: is 'yes' .give true or false"),
        ({"url": "u", "size_bytes": "4M"}, "size_bytes: '4M' has the unknown unit"),
        ({"url": "u", "wait_seconds": "soon"}, "wait_seconds: 'soon' is not a duration"),
        ({"url": "u", "names": "a"}, "names: is 'a' .give a list"),
        ({"url": "u", "headers": {"X": 5}}, "headers.X: is 5"),
        ({"url": "u", "tls": {"ca": "x"}}, "tls.ca: is no option"),
        ({"url": "u", "tls": {"key_file": "x"}}, "tls.key_file: stands without cert_file"),
        ({"url": "u", "count": None}, "count: is None"),
    ],
)
def test_wrong_keys_are_told_with_a_way_out(given: dict[str, object], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        parse(Sample, given)


def test_a_secret_comes_from_its_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(" t0ken\n")
    monkeypatch.setenv("TOKEN", "from env")
    assert secret("token", str(tmp_path / "token"), "") == "t0ken"
    assert (secret("token", "", "TOKEN"), secret("token", "", "")) == ("from env", "")


@pytest.mark.parametrize(("content", "told"), [("", "is empty"), ("a\nb", "several lines")])
def test_a_secret_that_cannot_be_one_is_told_without_it(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(content)
    with pytest.raises(OptionError, match=told):
        secret("token", str(tmp_path / "token"), "")


def test_a_variable_that_is_not_set_is_told() -> None:
    with pytest.raises(OptionError, match="token_env: the environment has no TH_NOT_THERE"):
        secret("token", "", "TH_NOT_THERE")


@pytest.mark.parametrize("url", ["h:80", "ftp://h", "https://", "https://h:99999", "https://[::1"])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(OptionError, match="is no URL"):
        check_url("url", url)


def test_choices_and_ranges_are_told() -> None:
    with pytest.raises(OptionError, match="choose one of a, b"):
        check_choice("k", "c", ("a", "b"))
    with pytest.raises(OptionError, match="from 1 to 2"):
        check_range("k", 3, 1, 2)


@pytest.mark.parametrize("name", ["token", "api_key", "X-Api-Key", "access_token", "PASSWORD"])
def test_a_secret_in_a_url_s_query_is_refused_without_being_shown(name: str) -> None:
    with pytest.raises(OptionError, match=f"holds a secret .{name}=") as caught:
        check_url("url", f"https://siem:443/in?index=a&{name}=hunter2")
    assert "hunter2" not in str(caught.value)
    check_url("url", "https://siem:443/in?index=a&keyspace=b&tokens=3")
