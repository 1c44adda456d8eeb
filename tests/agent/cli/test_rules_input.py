# SPDX-License-Identifier: Apache-2.0
"""What an engineer gives the commands on detections by mistake, what others left, and what they say."""

import json
import os
import subprocess
import sys
import threading
from argparse import Namespace
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.cli.rules import ID, attacked, told, write_rule
from vmtest.attack import write_results
from vmtest.attackjudge import Verdict
from vmtest.attacks import read_attacks

POLICY = Path(__file__).parents[3] / "tracingpolicies" / "sensitive-file-writes.yaml"
JUNK = bytes(range(1, 256)) * 20
SEGMENT = "1795400954609-000000000001.jsonl"
ODD = (
    '{"process_exec":{"process":{"binary":5,"exec_id":[1],"arguments":{}}},"tracehound":{}}',
    '{"process_kprobe":{"process":{"exec_id":"x"},"args":5,"function_name":[]}}',
    '{"process_lsm":{"process":{},"function_name":"file_open","args":[5]}}',
    '{"tracehound":{"segment":5,"fork":[],"sequence":"x"}}',
)
COMMANDS = (
    ["detections"],
    ["stories"],
    ["rules", "hunt", "RULE"],
    ["rules", "explain", "0123456789"],
    ["capture", "--since", "2026-01-01T00:00:00Z", "-o", "-"],
    ["policy", "replay", str(POLICY)],
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Files as one finds them: `rule`, and bad ones of all kinds."""
    write_rule(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.yml").touch()
    (tmp_path / "junk.yml").write_bytes(JUNK)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "half.json").write_text('{"attacks": [{"attack": "x"}]}')
    (tmp_path / "large.yml").write_bytes(b"title: x\n" + b"# padding\n" * (5 << 20))
    (tmp_path / "yaml.yml").write_text("title: x\ndetection:\n  sel: [\n  condition: sel\n")
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["rules", "check", "no.yml"], "no.yml: no such file, and no rule of the library"),
        (["rules", "check", "empty"], "no rule in empty"),
        (["rules", "list", "nothing.yml"], "no rule in nothing.yml"),
        (["rules", "test", "junk.yml"], "junk.yml:2: byte 0x80 is not UTF-8"),
        (["rules", "hunt", "large.yml"], "large.yml: is longer than 4,194,304 bytes"),
        (["rules", "list", "yaml.yml"], "yaml.yml:5"),
        (["rules", "coverage", "--results", "no.json"], "no.json: No such file"),
        (["rules", "coverage", "--results", "junk.yml"], "junk.yml: byte 127 is no UTF-8"),
        (["rules", "coverage", "--results", "list.json"], "list.json: no results of attacks"),
        (["rules", "coverage", "--results", "half.json"], "`attacks` has for each"),
        (["rules", "coverage", "--results", "yaml.yml"], "yaml.yml: no JSON"),
        (["replay", "--rules", "netcat.yaml", "no.jsonl"], "no.jsonl: No such file"),
        (["replay", "--rules", "netcat.yaml", "empty"], "empty: Is a directory"),
        (["replay", "--rules", "netcat.yaml", "large.yml"], "large.yml:1: no JSON"),
        (["replay", "--rules", "netcat.yaml", "list.json"], "list.json:1: no record of the log"),
        (["policy", "replay", "no.yaml"], "no.yaml: cannot be read: No such file"),
        (["policy", "replay", "junk.yml"], "junk.yml:2: byte 0x80"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    argv: list[str], says: str, place: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    status, output, errors = call(*argv)
    assert status == 2 and says in errors and "Traceback" not in errors and output == ""


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: " ".join(argv[:2]))
def test_a_log_that_is_not_there_is_told(argv: list[str], place: Path, call: Call) -> None:
    for name in ("nowhere", "junk.yml"):
        status, output, errors = call(*_with_rule(argv, place), "--log-dir", str(place / name))
        assert (status, output) == (5, "") and f"cannot read the log in {place / name}" in errors


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: " ".join(argv[:2]))
def test_a_log_that_somebody_has_filled_with_junk_is_survived(
    argv: list[str], place: Path, call: Call
) -> None:
    (place / "log").mkdir()
    (place / "log" / SEGMENT).write_bytes(JUNK + b"\n" + "\n".join(ODD).encode() + b'\n{"process_exec":{"pr')
    status, _, errors = call(*_with_rule(argv, place), "--log-dir", str(place / "log"))
    assert status in (0, 1, 2) and "Traceback" not in errors


def test_a_hunt_tells_of_lines_that_are_no_records(place: Path, log: LogMaker, call: Call) -> None:
    attacked(log)
    with next(log.directory.glob("*.jsonl")).open("ab") as file:
        file.write(b"\x00\xff\n{}\n")
    status, output, errors = call(
        "rules", "hunt", str(place / "netcat.yaml"), "--log-dir", str(log.directory)
    )
    assert status == 0 and output.count("Netcat Runs A Shell: ") == 3
    assert "2 lines of" in errors and "are no records" in errors


def test_a_hunt_in_an_empty_log_says_so(place: Path, call: Call) -> None:
    _, _, errors = call("rules", "hunt", str(place / "netcat.yaml"), "--log-dir", str(place / "empty"))
    assert "holds no log yet" in errors


def test_records_that_the_agent_does_not_write_are_counted(place: Path, call: Call) -> None:
    (place / "odd.jsonl").write_text("\n".join(ODD))
    status, _, errors = call("replay", "--policies", str(POLICY), str(place / "odd.jsonl"))
    assert status == 1 and "records are not as the agent writes them" in errors
    status, output, _ = call("replay", "--rules", str(place / "netcat.yaml"), str(place / "odd.jsonl"))
    assert (status, output) == (1, "0 detections in 4 records\n")


@pytest.mark.parametrize(
    "argv", [*COMMANDS[:3], *COMMANDS[5:], ["rules", "check", "RULE"], ["rules", "list", "RULE"]],
    ids=lambda argv: " ".join(argv[:2]),
)  # fmt: skip
def test_json_is_json_and_no_text_is_coloured_in_a_pipe(
    argv: list[str], place: Path, log: LogMaker, call: Call
) -> None:
    attacked(log)
    told(log, place / "netcat.yaml")
    period = ["--since", "2026-01-01T00:00:00Z", "--log-dir", str(log.directory)]
    where = period if not {"check", "list"} & set(argv) else []
    _, text, _ = call(*_with_rule(argv, place), *where)
    assert "\x1b" not in text and (text or argv == COMMANDS[1])
    _, output, _ = call(*_with_rule(argv, place), *where, "-o", "json")
    found = [json.loads(line) for line in output.splitlines()] if argv == COMMANDS[0] else json.loads(output)
    assert found or argv == COMMANDS[1]  # there are no stories


@pytest.mark.parametrize("argv", COMMANDS[:3], ids=lambda argv: " ".join(argv[:2]))
def test_who_reads_no_further_ends_the_command(argv: list[str], place: Path, log: LogMaker) -> None:
    attacked(log)
    told(log, place / "netcat.yaml")
    reading, writing = os.pipe()
    os.close(reading)
    command = [
        sys.executable,
        "-m",
        "agent.cli.main",
        *_with_rule(argv, place),
        "--log-dir",
        str(log.directory),
    ]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=120, check=False)
    os.close(writing)
    assert b"Traceback" not in done.stderr and b"cannot read the log" not in done.stderr


def test_a_log_that_is_written_at_the_same_time_is_read_as_far_as_it_goes(
    place: Path, log: LogMaker, call: Call
) -> None:
    attacked(log)
    done = threading.Event()
    writer = threading.Thread(target=_write, args=(log, done))
    writer.start()
    try:
        for _ in range(3):
            status, output, errors = call(
                "rules", "hunt", str(place / "netcat.yaml"), "--log-dir", str(log.directory), "-o", "json"
            )
            assert status == 0 and json.loads(output)["counts"][ID] == 3 and "no records" not in errors
    finally:
        done.set()
        writer.join()


@pytest.mark.root
def test_a_log_that_one_may_not_read_is_told(log: LogMaker, call: Call) -> None:
    attacked(log)
    log.directory.chmod(0o700)
    where = ["--log-dir", str(log.directory)]
    call("detections", *where)  # nobody may not read the interpreter's own files
    os.seteuid(65534)
    try:
        status, _, errors = call("detections", *where)
    finally:
        os.seteuid(0)
    assert status == 5 and "Permission denied" in errors


def test_coverage_reads_what_a_run_of_the_attacks_has_written(place: Path, call: Call) -> None:
    attack = next(one for one in read_attacks() if "T1059.004" in one.techniques)
    verdict = Verdict(attack.name, "plain", True, True, ("Netcat Runs A Shell",), (ID,), (), ("T1059.004",))
    start = {"tracehound": {"start": {"kernel": "6.12.95"}}}
    write_results(place, Namespace(profile="default"), [verdict], [start])
    results = str(place / "results.json")
    _, output, _ = call("rules", "coverage", str(place / "netcat.yaml"), "--results", results)
    assert next(line for line in output.splitlines() if "Netcat" in line).split()[-1] == attack.name
    assert "1 of them proved by an attack" in output and "attacks played on 6.12.95" in output


def _with_rule(argv: list[str], place: Path) -> list[str]:
    return [str(place / "netcat.yaml") if one == "RULE" else one for one in argv]


def _write(log: LogMaker, done: threading.Event) -> None:
    number = 0
    while not done.wait(0.0005):  # it shares the interpreter with the reader: faster, that would get nowhere
        number += 1
        log.exec(1000 + number, "/bin/true", "x" * 5000, at=10 + number / 1000)


@pytest.mark.parametrize(
    "command", [["rules", "hunt", "RULE"], ["rules", "check", "RULE"], ["replay", "--rules", "RULE", "x"]]
)
def test_exceptions_that_are_not_there_are_told(tmp_path: Path, call: Call, command: list[str]) -> None:
    (tmp_path / "x").write_text("{}\n")
    rule = str(write_rule(tmp_path))
    words = [rule if word == "RULE" else str(tmp_path / "x") if word == "x" else word for word in command]
    status, _, errors = call(*words, "--exceptions", "/no/such/file.yaml")
    assert status == 2 and "/no/such/file.yaml: no such file" in errors


def test_mistakes_of_exceptions_are_told_by_a_replay(tmp_path: Path, call: Call) -> None:
    (tmp_path / "x.yaml").write_text("- {name: x}\n")
    (tmp_path / "x.jsonl").write_text("{}\n")
    rule, capture = str(write_rule(tmp_path)), str(tmp_path / "x.jsonl")
    _, _, errors = call("replay", "--rules", rule, "--exceptions", str(tmp_path / "x.yaml"), capture)
    assert "x.yaml:1: `rules` is missing" in errors
