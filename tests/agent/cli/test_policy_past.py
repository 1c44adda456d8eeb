# SPDX-License-Identifier: Apache-2.0
from agent.cli.color import PLAIN
from agent.cli.policy_past import hook_json, hook_lines
from agent.policy.replay import PolicyReplay
from tests.agent.policy.past import READS, policy, read_of, where


def replayed() -> PolicyReplay:
    replay = PolicyReplay([policy("new", {**READS, "args": READS["args"][:1]}, where("Equal", "/x"))], {})
    replay.take(read_of("/x"))
    replay.close()
    return replay


def test_what_the_log_cannot_answer_is_told_by_selector() -> None:
    text = "\n".join(hook_lines(replayed().hooked[0], PLAIN))
    assert "1 recorded calls (1 by reads): 0 match, 1 unsure" in text
    assert "cannot tell for 1: matchArgs: the text of policy reads" in text


def test_machines_get_the_same() -> None:
    found = hook_json(replayed().hooked[0])
    assert (found["answered"], found["unsure"]) == (True, 1)
    assert list(found["selectors"][0]["cannot_tell"].values()) == [1]
