# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.policy.past import READS, read_of
from tests.agent.store.support import compact_all

POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "new"},
}


@pytest.fixture
def policies(tmp_path: Path) -> list[str]:
    """A policy to try, and the one that recorded."""
    equal = {"args": [0], "operator": "Equal", "values": ["/etc/shadow"]}
    selector = {"matchArgs": [equal], "matchActions": [{"action": "Override", "argError": -1}]}
    for name, selectors in (("new", [selector]), ("reads", [{}])):
        hook = READS | {"selectors": selectors}
        text = json.dumps(POLICY | {"metadata": {"name": name}, "spec": {"kprobes": [hook]}})
        (tmp_path / f"{name}.yaml").write_text(text)
    return [str(tmp_path / "new.yaml"), "--recorded-by", str(tmp_path / "reads.yaml")]


@pytest.fixture
def recorded(log: LogMaker) -> list[str]:
    """A log in which a shell reads two files, the first one in a compacted segment."""
    init = log.exec(1, "/sbin/init")
    shell = log.exec(50, "/bin/sh", parent=init, at=1)
    for at, path in ((2, "/etc/shadow"), (12, "/etc/hosts")):
        event = read_of(path)["process_kprobe"] | {"process": shell, "parent": init}
        log.write({"process_kprobe": event}, {"ancestry": [init["exec_id"]]}, at)
        log.segment(at + 3)
    compact_all(log.directory)
    return ["--log-dir", str(log.directory)]


def test_it_says_what_would_have_been_done_and_to_whom(
    policies: list[str], recorded: list[str], call: Call
) -> None:
    status, output, _ = call("policy", "replay", *policies, *recorded)
    assert status == 0
    assert "2 recorded calls (2 by reads): 1 match, 0 unsure" in output
    assert "would: Override EPERM 1" in output and "/bin/sh" in output


def test_the_period_counts(policies: list[str], recorded: list[str], call: Call) -> None:
    since = ["--since", "2026-01-01T00:00:10Z"]
    _, output, _ = call("policy", "replay", *policies, *recorded, *since, "-o", "json")
    answer = json.loads(output)["policies"][0]
    assert (answer["calls"], answer["matched"]) == (1, 0)


def test_a_hook_that_nobody_recorded_is_told(policies: list[str], log: LogMaker, call: Call) -> None:
    log.exec(1, "/sbin/init")
    _, output, _ = call("policy", "replay", *policies, "--log-dir", str(log.directory))
    assert "not answered: the log has no call of it" in output


def test_a_wrong_policy_is_refused(tmp_path: Path, recorded: list[str], call: Call) -> None:
    (tmp_path / "bad.yaml").write_text("kind: x\n")
    status, _, errors = call("policy", "replay", str(tmp_path / "bad.yaml"), *recorded)
    assert status == 2 and "bad.yaml:1" in errors
