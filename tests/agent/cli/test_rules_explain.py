# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.detect.exceptions import parse_exceptions
from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.cli.rules import SAMPLES, attacked, told, write_rule


@pytest.fixture
def explained(tmp_path: Path, log: LogMaker) -> list[str]:
    """Arguments that explain the first of three detections."""
    attacked(log)
    rule = write_rule(tmp_path)
    return ["rules", "explain", told(log, rule)[0][:8], "--rules", str(rule), "--log-dir", str(log.directory)]


def test_which_fields_matched_which_part_is_told(explained: list[str], call: Call) -> None:
    status, output, _ = call(*explained)
    assert status == 0 and output.startswith("Netcat Runs A Shell\n")
    assert "tool: Image|endswith is /usr/bin/nc" in output
    assert "shell: CommandLine|contains is /usr/bin/nc -e /bin/sh" in output


def test_the_exception_comes_with_a_preview(explained: list[str], call: Call) -> None:
    _, output, _ = call(*explained, "--owner", "alice", "--reason", "OPS-1", "-o", "json")
    told = json.loads(output)["exception"]
    assert (told["suppresses"], told["of"], told["positive_samples"]) == (3, 3, 1)
    found = parse_exceptions(told["text"], Path("x.yaml"))
    assert not found.problems and found.all[0].owner == "alice"


def test_it_does_not_silence_a_positive_sample(explained: list[str], tmp_path: Path, call: Call) -> None:
    bin_sh = SAMPLES.replace("[nginx, sh -c x,", "[nginx, {binary: /bin/sh, arguments: [sh]},")
    next((tmp_path / "samples").iterdir()).write_text(bin_sh)
    _, output, _ = call(*explained)
    assert "suppresses 2 of its last 3 detections, none of its 1 positive samples" in output
    assert "Ancestors: /usr/sbin/cron" in output


def test_an_id_that_is_none_is_refused(explained: list[str], call: Call) -> None:
    for wrong, said in (("0" * 8, "no detection"), ("12", "too short")):
        status, _, errors = call("rules", "explain", wrong, *explained[3:])
        assert status == 2 and said in errors


def test_an_empty_directory_of_rules_does_not_matter(
    explained: list[str], log: LogMaker, tmp_path: Path, call: Call
) -> None:
    root = tmp_path / "root"
    (root / "etc/tracehound/rules.d").mkdir(parents=True)
    (root / "var/lib/tracehound").mkdir(parents=True)
    (root / "var/lib/tracehound/log").symlink_to(log.directory)
    status, output, _ = call(*explained[:5], "--root", str(root))
    assert status == 0 and "tool: Image|endswith is /usr/bin/nc" in output


def test_more_days_than_a_calendar_has_are_refused(explained: list[str], call: Call) -> None:
    status, _, errors = call(*explained, "--days", "99999999")
    assert status == 2 and "--days 99999999" in errors
