# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from vmtest import sources
from vmtest.sources import Source, debian_mirrors, parse_list, parse_stanzas, read_sources

STANZAS = """\
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian/ http://other.example/debian
Suites: bookworm
  bookworm-updates
Components: main contrib

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def test_a_stanza_gives_every_pair_of_uri_and_suite() -> None:
    found = list(parse_stanzas(STANZAS))
    assert [(s.uri, s.suite) for s in found] == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("http://other.example/debian", "bookworm"),
        ("http://other.example/debian", "bookworm-updates"),
    ]
    assert found[0].components == ("main", "contrib")


def test_one_line_sources_may_carry_options_and_comments() -> None:
    text = "# deb http://no.example/d sid main\n deb [arch=amd64 signed-by=/k] http://m.example/d x main # \n"
    assert list(parse_list(text)) == [Source("http://m.example/d", "x", ("main",))]


def test_source_packages_are_no_mirror() -> None:
    assert list(parse_list("deb-src http://m.example/debian bookworm main\n")) == []


def test_both_formats_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://one.example/debian bookworm main\n")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "x.sources").write_text(STANZAS)
    (tmp_path / "sources.list.d" / "y.list").write_text("deb http://two.example/debian bookworm main\n")
    (tmp_path / "sources.list.d" / "z.list.disabled").write_text("deb http://three.example/debian x main\n")
    hosts = {s.uri.split("/")[2] for s in read_sources(tmp_path)}
    assert hosts == {"one.example", "two.example", "mirror.example", "other.example"}


def test_on_debian_the_own_release_names_the_mirror() -> None:
    given = [
        Source("http://vendor.example/apt", "stable", ("main",)),
        Source("http://m.example/debian-security", "bookworm-security", ("main",)),
        Source("http://m.example/debian", "bookworm", ("main",)),
    ]
    assert debian_mirrors(given, "debian", "bookworm") == [
        "http://m.example/debian",
        "http://vendor.example/apt",
    ]


def test_on_ubuntu_the_neighbour_is_tried() -> None:
    given = [Source("http://m.example/ubuntu", "noble", ("main", "universe"))]
    assert debian_mirrors(given, "ubuntu", "noble") == ["http://m.example/debian"]


def test_a_mirror_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sources.MIRROR_VARIABLE, "http://chosen.example/debian/")
    assert sources.machine_mirrors() == ["http://chosen.example/debian"]


def test_os_release_values_may_be_quoted() -> None:
    assert sources.read_os_release('ID=debian\n# x=y\nNAME="Debian GNU/Linux"\n') == {
        "ID": "debian",
        "NAME": "Debian GNU/Linux",
    }
