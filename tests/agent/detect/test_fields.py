# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.fields import VIEWS, _document, field_of, names_of, perhaps
from agent.detect.sources import FAMILIES, SOURCES


def test_every_field_has_a_source_or_says_why_not() -> None:
    for section in _document().values():
        for name, said in section.items():
            assert ("from" in said) != ("never" in said), name
            sources = FAMILIES if name.endswith("*") else SOURCES
            assert said.get("from", next(iter(sources))) in sources, name
            assert set(said) <= {"from", "as", "never", "only", "unique"}, name


def test_no_name_is_two_fields() -> None:
    for sections in VIEWS.values():
        names = [
            n for s in sections for name, said in _document()[s].items() for n in (name, *said.get("as", ()))
        ]
        assert len(names) == len(set(names)), sections


@pytest.mark.parametrize(
    ("view", "name", "canonical"),
    [
        ("process_creation", "process.executable", "Image"),
        ("process_creation", "process.parent.command_line", "ParentCommandLine"),
        ("process_creation", "Environment.LD_PRELOAD", "Environment.LD_PRELOAD"),
        ("process_creation", "process.env_vars.LD_PRELOAD", "Environment.LD_PRELOAD"),
        ("file_event", "file.path", "TargetFilename"),
        ("network_connection", "destination.port", "DestinationPort"),
        ("policy", "Arg0", "Arg0"),
        ("policy", "Arg.to", "Arg.to"),
        ("auditd", "a12", "a12"),
    ],
)
def test_other_names_come_down_to_one(view: str, name: str, canonical: str) -> None:
    assert field_of(view, name).name == canonical and field_of(view, name).source is not None


@pytest.mark.parametrize("name", ["Hashes", "OriginalFileName", "image", "Unheard", "TargetFilename"])
def test_a_field_that_no_event_has_says_why(name: str) -> None:
    assert field_of("process_creation", name).source is None
    assert field_of("process_creation", name).never


def test_words_that_begin_like_arguments_are_none() -> None:
    assert field_of("auditd", "abc").source is None


def test_names_of_a_view_can_be_shown() -> None:
    assert {"Image", "process.executable", "Environment.*"} <= set(names_of("process_creation"))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("commandline", "CommandLine"),
        ("ComandLine", "CommandLine"),
        ("process.comand_line", "process.command_line"),
        ("CommandLine", ""),
        ("Hashes", ""),
        ("Nothing", ""),
    ],
)
def test_a_name_that_is_mistyped_has_one_that_is_like_it(name: str, other: str) -> None:
    assert perhaps("process_creation", name) == other
