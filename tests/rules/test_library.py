# SPDX-License-Identifier: Apache-2.0
"""What every rule of the library has to say. `tracehound rules test rules/` asks whether it fires."""

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.policy.profiles import library_files, profile_files
from tests.rules.table import DOCUMENT, table

LIBRARY = Path(__file__).parents[2] / "rules"
FILES = sorted(LIBRARY.glob("*.yaml"))
RULES: dict[str, dict[str, Any]] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
NAMES = ("Image", "ParentImage", "Ancestors")
each = pytest.mark.parametrize("name", RULES)


def values(rule: Any, field: str) -> list[Any]:
    """Everything that a rule compares a field with."""
    if isinstance(rule, list):
        return [value for inner in rule for value in values(inner, field)]
    if not isinstance(rule, dict):
        return []
    mine = [value for key, value in rule.items() if key == field]
    return [*mine, *(value for inner in rule.values() for value in values(inner, field))]


def endings(rule: Any, field: str) -> list[str]:
    """Ends of a field's value, one or a list of them."""
    found = values(rule, f"{field}|endswith")
    return [end for one in found for end in (one if isinstance(one, list) else [one])]


def techniques(rule: dict[str, Any]) -> set[str]:
    """`T1059.004`."""
    return {tag[7:].upper() for tag in rule["tags"] if re.fullmatch(r"attack\.t\d{4}(\.\d{3})?", tag)}


def test_there_are_enough_rules_and_techniques() -> None:
    assert len(RULES) >= 60
    assert len(set().union(*map(techniques, RULES.values()))) >= 40


def test_ids_and_titles_are_unique() -> None:
    assert len({str(uuid.UUID(rule["id"])) for rule in RULES.values()}) == len(RULES)
    assert len({rule["title"] for rule in RULES.values()}) == len(RULES)


@each
def test_a_rule_says_what_people_need_who_are_woken_up(name: str) -> None:
    rule = RULES[name]
    assert rule["author"] == "Tracehound"
    assert rule["description"].strip() and rule["falsepositives"]
    assert rule["level"] in ("low", "medium", "high", "critical")
    assert rule["logsource"]["product"] == "linux"


@each
def test_a_rule_names_its_techniques_and_refers_to_each(name: str) -> None:
    rule = RULES[name]
    links = {f"https://attack.mitre.org/techniques/{one.replace('.', '/')}/" for one in techniques(rule)}
    assert links and links == set(rule["references"])


@each
def test_a_rule_has_samples_of_its_own(name: str) -> None:
    assert (LIBRARY / "samples" / f"{RULES[name]['id']}.yaml").is_file()


def test_there_are_no_samples_of_rules_that_are_gone() -> None:
    there = {rule["id"] for rule in RULES.values()}
    assert {file.stem for file in (LIBRARY / "samples").glob("*.yaml")} == there


@each
def test_policies_that_a_rule_needs_run_by_default(name: str) -> None:
    default = {file.stem for file in profile_files("default")}
    needed = values(RULES[name], "Policy")
    assert set(needed) <= {file.stem for file in library_files()}
    assert set(needed) <= default


def test_the_table_of_the_document_is_made_from_the_rules() -> None:
    assert table() in DOCUMENT.read_text(), "python -m tests.rules.table"


@each
def test_a_filter_spares_no_program_by_the_last_part_of_its_path_alone(name: str) -> None:
    """Whoever calls a program of their own `dpkg` would be spared. What developers have in their homes may
    be named so where the level is below high."""
    rule = RULES[name]
    filters = [part for key, part in rule["detection"].items() if key.startswith("filter")]
    bare = [one for field in NAMES for one in values(filters, f"{field}|re") if one.startswith("/(")]
    bare += [one for field in NAMES for one in endings(filters, field) if one.count("/") == 1]
    assert not bare or rule["level"] in ("low", "medium")
