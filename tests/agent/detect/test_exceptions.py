# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.detect.exceptions import DAY_NS, Exceptions, Values, parse_exceptions, read_exceptions

TEXT = """
- name: backups
  rules: [r1, r2]
  owner: alice@example.com
  reason: OPS-1
  expires: 2026-12-31
  when: {Image: /usr/bin/borg, "Ancestors|endswith": [/cron, /crond]}
"""
LAST_DAY_NS = 20818 * DAY_NS
"""2026-12-31T00:00:00Z"""


def parsed(text: str = TEXT) -> Exceptions:
    return parse_exceptions(text, Path("x.yaml"))


def event(**fields: str | list[str]) -> Values:
    def values(name: str) -> Sequence[str]:
        found = fields.get(name, [])
        return [found] if isinstance(found, str) else found

    return values


BACKUP = event(Image="/usr/bin/Borg", Ancestors=["/bin/sh", "/usr/sbin/cron"])


def test_all_fields_have_to_hold_and_case_does_not_matter() -> None:
    assert parsed().silencing("r1", BACKUP, LAST_DAY_NS)
    assert not parsed().silencing("r3", BACKUP, LAST_DAY_NS)
    assert not parsed().silencing("r1", event(Image="/usr/bin/borg"), LAST_DAY_NS)


def test_a_rule_is_meant_however_its_id_is_written() -> None:
    assert parsed(TEXT.replace("r1", "R1")).silencing("r1", BACKUP, LAST_DAY_NS)


def test_an_expired_one_has_no_effect_and_is_told() -> None:
    assert parsed().silencing("r1", BACKUP, LAST_DAY_NS + DAY_NS - 1)
    assert not parsed().silencing("r1", BACKUP, LAST_DAY_NS + DAY_NS)
    assert [one.expires for one in parsed().expired(LAST_DAY_NS + DAY_NS)] == ["2026-12-31"]
    assert parsed().expired(LAST_DAY_NS) == []


@pytest.mark.parametrize(
    ("wrong", "line", "text"),
    [
        (TEXT.replace("  owner: alice@example.com\n", ""), 2, "`owner` is missing"),
        (TEXT.replace("2026-12-31", "soon"), 6, "is no day"),
        (TEXT.replace("Image:", "Image|re:"), 7, "unknown modifier"),
        (TEXT.replace("Image:", "Imagee:"), 7, "no event has this field"),
        (TEXT.replace("when: {", "when: {} #"), 7, "at least one field"),
        (TEXT.replace("rules: [r1, r2]", "rules: []"), 3, "meant for nothing"),
        (TEXT.replace("name:", "title:"), 2, "unknown key"),
        (TEXT.replace("/cron, /crond", "n"), 7, "at least 3 characters"),
    ],
)
def test_wrong_ones_are_refused_with_their_line(wrong: str, line: int, text: str) -> None:
    problems = parsed(wrong).problems
    assert not parsed(wrong).all
    assert [problem.line for problem in problems] == [line] and text in problems[0].message


def test_one_wrong_exception_does_not_take_the_others_along() -> None:
    both = parsed(TEXT + TEXT.replace("2026-12-31", "soon"))
    assert (len(both.all), len(both.problems)) == (1, 1)


def test_networks_are_compared_as_networks() -> None:
    one = parsed(
        TEXT.replace("Image: /usr/bin/borg", "DestinationIp|cidr: 10.0.0.0/8").replace(
            ', "Ancestors|endswith": [/cron, /crond]', ""
        )
    )
    assert one.silencing("r1", event(DestinationIp="10.1.2.3"), 0)
    assert not one.silencing("r1", event(DestinationIp="11.1.2.3"), 0)
    assert not one.silencing("r1", event(DestinationIp="no address"), 0)


def test_rules_that_are_not_there_are_named() -> None:
    assert [rule for _, rule in parsed().unknown(["r1"])] == ["r2"]


def test_files_of_directories_are_read_and_what_is_absent_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT)
    (tmp_path / "b.txt").write_text("- no")
    found = read_exceptions([tmp_path, tmp_path / "absent"])
    assert len(found.all) == 1 and not found.problems
    assert found.all[0].path == tmp_path / "a.yaml"
