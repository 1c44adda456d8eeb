# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from agent.policy.parse import parse_policies
from tests.agent.cli.conftest import Call
from tests.agent.cli.rules import ID, NETCAT, write_rule

EXCEPTIONS = f"""
- {{name: old, rules: [{ID}], owner: alice, reason: x, expires: 2020-01-01, when: {{Image: /usr/bin/nc}}}}
- {{name: lost, rules: [other], owner: alice, reason: x, expires: 2099-01-01, when: {{Image: /usr/bin/nc}}}}
- {{name: wrong, rules: [other], owner: alice, reason: x, expires: soon, when: {{Image: /usr/bin/nc}}}}
"""
MKNOD = "{type: SYSCALL, SYSCALL: mknod}"


def test_a_right_rule_says_what_it_needs(tmp_path: Path, call: Call) -> None:
    status, output, _ = call("rules", "check", str(write_rule(tmp_path)))
    assert status == 0
    assert "supported Netcat Runs A Shell: execs" in output
    assert "1 rules can be evaluated, 0 not; 0 mistakes" in output


def test_variables_of_the_environment_that_a_rule_asks_for_are_told(tmp_path: Path, call: Call) -> None:
    path = write_rule(tmp_path, NETCAT.replace("Image|endswith", "Environment.LD_PRELOAD|endswith"))
    output = call("rules", "check", str(path))[1]
    assert "Netcat Runs A Shell: execs; sees what enrich.environment records of LD_PRELOAD" in output


def test_mistakes_have_their_line(tmp_path: Path, call: Call) -> None:
    path = write_rule(tmp_path, NETCAT.replace("Image|endswith", "Image|endwith"))
    status, output, _ = call("rules", "check", str(path))
    assert status == 1 and f"{path}:8" in output and "endwith" in output


def test_a_rule_that_cannot_be_evaluated_is_no_mistake(tmp_path: Path, call: Call) -> None:
    path = write_rule(tmp_path, NETCAT.replace("category: process_creation", "service: sshd"))
    status, output, _ = call("rules", "check", str(path))
    assert status == 0 and "netcat.yaml:1: Netcat Runs A Shell: asks for lines of the log of sshd" in output


def test_exceptions_are_checked_too(tmp_path: Path, call: Call) -> None:
    (tmp_path / "exceptions").write_text(EXCEPTIONS)
    rule = str(write_rule(tmp_path))
    status, output, _ = call("rules", "check", rule, "--exceptions", str(tmp_path / "exceptions"))
    assert status == 1
    assert "expired" in output and "no effect since 2020-01-01" in output
    assert "other is none of these rules" in output and "exceptions:4: soon: is no day" in output


def test_suggested_policies_can_be_loaded(tmp_path: Path, call: Call) -> None:
    audit = NETCAT.replace("category: process_creation", "service: auditd")
    path = write_rule(
        tmp_path, audit.replace("{Image|endswith: /nc}", MKNOD).replace("tool and shell", "tool")
    )
    status, output, _ = call("rules", "check", str(path), "--suggest-policies")
    policies, problems = parse_policies(output, "suggested.yaml")
    assert status == 0 and not [problem for problem in problems if problem.is_error]
    library = [line.removeprefix("#   ") for line in output.splitlines() if line.startswith("#   ")]
    assert library or [hook.target for hook in policies[0].hooks] == ["sys_mknod"]


def test_machines_get_the_same(tmp_path: Path, call: Call) -> None:
    _, output, _ = call("rules", "check", str(write_rule(tmp_path)), "-o", "json")
    answer = json.loads(output)
    assert answer["ok"] and answer["rules"][0]["state"] == "supported"


def test_a_rule_about_lines_is_good_where_settings_collect_them(tmp_path: Path, call: Call) -> None:
    path = write_rule(tmp_path, NETCAT.replace("category: process_creation", "service: sshd"))
    status, output, _ = call("rules", "check", str(path), "--set", "collect.files=/var/log/auth.log")
    assert status == 0 and "supported Netcat Runs A Shell: lines of logs" in output
    told = call("rules", "coverage", str(path), "--set", "collect.journal=true", "-o", "json")[1]
    assert '"log_line"' in told and '"why_not": ""' in told
