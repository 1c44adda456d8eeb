# SPDX-License-Identifier: Apache-2.0
import base64
import json
from pathlib import Path

import pytest

from agent.detect.samples import Sample, SampleError, read_samples

LIBRARY = Path(__file__).parents[3] / "rules"
SHELL = "/usr/bin/bash -c 'echo hi'"


def samples(path: Path, text: str) -> Path:
    """A file of samples."""
    file = path / "samples.yaml"
    file.write_text(text)
    return file


def test_a_chain_becomes_execs_of_parents_and_children(tmp_path: Path) -> None:
    file = samples(tmp_path, f'positive: [{{name: x, processes: [/sbin/init, "{SHELL}"]}}]')
    first, second = read_samples(file).positive[0].records()
    process = second["process_exec"]["process"]
    assert first["process_exec"]["process"]["pid"] == 1
    assert process["parent_exec_id"] == first["process_exec"]["process"]["exec_id"]
    assert second["tracehound"]["ancestry"] == [process["parent_exec_id"]]
    assert base64.b64decode(process["exec_id"]).endswith(f":{process['pid']}".encode())


def test_words_are_those_of_a_shell(tmp_path: Path) -> None:
    file = samples(tmp_path, f'negative: [{{processes: ["{SHELL}", id]}}]')
    shell, short = read_samples(file).negative[0].records()
    assert shell["tracehound"]["sequence"] == 1
    assert shell["process_exec"]["process"]["arguments"] == "-c 'echo hi'"
    assert short["process_exec"]["process"]["binary"] == "/usr/bin/id"


def test_the_last_process_does_what_the_event_says() -> None:
    sample = Sample(
        "x", ({"binary": "/a"}, {"binary": "/b"}), {"policy": "ptrace", "message": "m", "args": [{}]}
    )
    last = sample.records()[-1]
    assert last["process_kprobe"]["process"]["binary"] == "/b"
    assert last["process_kprobe"]["policy_name"] == "ptrace"
    assert last["tracehound"]["sequence"] == 3


def test_what_the_log_keeps_apart_stands_there() -> None:
    record = Sample("x", ({"binary": "/a", "environment": {"LD_PRELOAD": "/tmp/x"}},)).records()[0]
    assert record["tracehound"]["environment"] == {"LD_PRELOAD": "/tmp/x"}


def test_a_capture_is_read_as_it_is(tmp_path: Path) -> None:
    line = {"tracehound": {"sequence": 7, "heartbeat": {}}}
    (tmp_path / "log.jsonl").write_text(json.dumps(line) + "\n")
    file = samples(tmp_path, "positive: [{name: x, capture: log.jsonl}]")
    assert read_samples(file).positive[0].records() == [line]


@pytest.mark.parametrize(
    "text",
    [
        "- x",
        "maybe: []",
        "positive: x",
        "positive: [{name: x}]",
        "positive: [{processes: [{}]}]",
        "a: [",
        'positive: [{processes: ["\'"]}]',
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(SampleError, match=r"samples\.yaml"):
        read_samples(samples(tmp_path, text))


def test_every_rule_of_the_library_has_both_kinds() -> None:
    files = sorted((LIBRARY / "samples").glob("*.yaml"))
    read = [read_samples(file) for file in files]
    assert len(files) == len(list(LIBRARY.glob("*.yaml")))
    assert all(one.positive and one.negative for one in read)
    assert all(sample.records() for one in read for sample in one.positive + one.negative)
