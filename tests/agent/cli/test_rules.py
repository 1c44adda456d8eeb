# SPDX-License-Identifier: Apache-2.0
from tests.agent.cli.conftest import Call


def test_every_sub_command_has_its_module(call: Call) -> None:
    for name in ("check", "list", "test", "hunt", "explain", "coverage"):
        status, output, _ = call("rules", name, "--help")
        assert status == 0 and "usage: tracehound rules" in output


def test_without_one_it_is_a_wrong_call(call: Call) -> None:
    status, _, errors = call("rules")
    assert status == 2 and "COMMAND" in errors


def test_help_has_examples(call: Call) -> None:
    _, output, _ = call("rules", "--help")
    assert "tracehound rules hunt my-rule.yaml --since 7d" in output
