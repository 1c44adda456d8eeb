# SPDX-License-Identifier: Apache-2.0
import base64
from typing import Any

from agent.policy.recorded import (
    Missing,
    call_of,
    exec_call,
    function_in,
    kind_of,
    plain_function,
    spellings,
    written_by,
)
from tests.agent.policy.past import READS, policy, read_of

ONLY_MODE = {**READS, "args": [{"index": 0, "type": "uint32", "resolve": "f_mode"}]}
RECORDER = policy("reads", READS, {})


def arguments(wanted: dict[str, Any], record: dict[str, Any], *recorders: Any) -> tuple[Any, ...]:
    event, own = record["process_kprobe"], record["tracehound"]
    return call_of(policy("new", wanted, {}).hooks[0], event, own, written_by(recorders)).arguments


def test_arguments_are_found_by_the_text_of_the_policy_that_recorded() -> None:
    assert arguments(READS, read_of("/x"), RECORDER) == ("/x", 1)
    assert arguments(ONLY_MODE, read_of("/x"), RECORDER) == (1,)


def test_without_that_text_the_same_types_are_assumed_to_be_the_same_arguments() -> None:
    hook = policy("new", READS, {}).hooks[0]
    called = call_of(hook, read_of("/x")["process_kprobe"], {}, {})
    assert called.arguments == ("/x", 1) and "not at hand" in called.assumed
    assert isinstance(arguments(ONLY_MODE, read_of("/x"))[0], Missing)


def test_what_the_other_policy_did_not_ask_for_is_missing() -> None:
    recorder = policy("reads", {**READS, "args": READS["args"][:1]}, {})
    record = read_of("/x")
    record["process_kprobe"]["args"] = record["process_kprobe"]["args"][:1]
    path, mode = arguments(READS, record, recorder)
    assert path == "/x" and "did not ask for argument 0 f_mode (uint32)" in mode.why


def test_values_that_did_not_arrive_whole_are_missing() -> None:
    assert isinstance(arguments(READS, read_of("/x", truncated=["args.0"]), RECORDER)[0], Missing)
    assert isinstance(arguments(READS, read_of("/redacted:1af2c9fbc2f4795a"), RECORDER)[0], Missing)


def test_bytes_that_are_no_text_are_compared_as_they_were() -> None:
    raw = {"args.0": base64.b64encode(b"/\xff").decode()}
    assert arguments(READS, read_of("/\ufffd", raw=raw), RECORDER)[0] == "/\udcff"


def test_functions_have_one_name_whoever_hooked_them() -> None:
    assert plain_function("__x64_sys_openat") == "sys_openat"
    assert plain_function("file_open", "lsm") == "security_file_open"
    assert "file_open" in spellings("security_file_open")
    assert function_in({"process_tracepoint": {"subsys": "raw_syscalls", "event": "sys_enter"}}) == (
        "raw_syscalls/sys_enter"
    )


def test_an_exec_is_a_call_with_its_binary() -> None:
    check = {"call": "security_bprm_check", "syscall": False, "args": [{"index": 0, "type": "linux_binprm"}]}
    assert exec_call(policy("new", check, {}).hooks[0], "/tmp/x").arguments == ("/tmp/x",)


def test_types_have_the_models_names() -> None:
    hook = policy("new", READS, {}).hooks[0]
    assert [kind_of(argument) for argument in hook.arguments] == ["file", "uint32"]
