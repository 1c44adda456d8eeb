# SPDX-License-Identifier: Apache-2.0
from agent.policy.recorded import written_by
from agent.policy.replay import PolicyReplay, people_in
from tests.agent.policy.past import INIT, READS, SHELL, exec_of, policy, read_of, where

RECORDERS = [policy("reads", READS, {}), policy("also", READS, {})]


def test_every_recorded_call_is_judged() -> None:
    replay = PolicyReplay([policy("new", READS, where("Prefix", "/etc/"))], written_by(RECORDERS))
    for at, path in enumerate(("/etc/shadow", "/tmp/x", "/etc/passwd"), 1):
        replay.take(read_of(path, at=at))
    replay.close()
    assert (replay.hooked[0].result.calls, replay.hooked[0].result.matched) == (3, 2)


def test_a_call_that_two_policies_recorded_is_one_call() -> None:
    replay = PolicyReplay([policy("new", READS, {})], written_by(RECORDERS))
    for by in ("reads", "also"):
        replay.take(read_of("/etc/shadow", by=by))
    replay.close()
    assert replay.hooked[0].result.calls == 1


def test_execs_are_calls_of_the_hooks_that_check_them() -> None:
    check = {"call": "security_bprm_check", "syscall": False, "args": [{"index": 0, "type": "linux_binprm"}]}
    by_init = where("Prefix", "/tmp/") | {"matchBinaries": [{"operator": "In", "values": ["/sbin/init"]}]}
    replay = PolicyReplay([policy("new", check, by_init)], {})
    for record in (exec_of(INIT), exec_of(SHELL | {"exec_id": "eA==", "binary": "/tmp/x"}), exec_of(SHELL)):
        replay.take(record)
    replay.close()
    assert replay.types == {"process_exec"}
    assert (replay.hooked[0].result.calls, replay.hooked[0].result.matched) == (3, 1)


def test_calls_in_programs_are_not_judged_and_this_is_said() -> None:
    hook = {"path": "/bin/bash", "symbols": ["readline"]}
    one = policy("new", READS, {})
    probe = one.hooks[0].__class__("uprobe", f"{hook['path']}:readline")
    replay = PolicyReplay([one.__class__("new", hooks=(probe,))], {})
    assert "uprobe" in replay.hooked[0].why_not and not replay.functions


def test_processes_that_have_to_be_known_are_named() -> None:
    assert set(people_in(read_of("/x"))) == {SHELL["exec_id"], INIT["exec_id"]}
