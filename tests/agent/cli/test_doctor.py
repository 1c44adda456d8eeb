# SPDX-License-Identifier: Apache-2.0
"""`tracehound doctor`, on this kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import doctor
from agent.errors import KernelUnsupported
from agent.kernel.host import read_host
from agent.kernel.mounts import read_mounts
from tests.agent.cli.conftest import Call
from tests.agent.kernel.support import become_nobody, in_child, run_without_btf

pytestmark = pytest.mark.kernel


def test_it_says_that_the_base_sensor_can_run(call: Call) -> None:
    status, out, err = call("doctor")
    assert (status, err) == (0, "")
    assert out.startswith("the base sensor can run here")
    assert read_host().release in out


def test_every_question_of_the_sensor_and_every_feature_has_a_line(call: Call) -> None:
    out = call("doctor")[1]
    for word in ("fork", "exec", "exit", "privileges", "tasks", "process events", "lockdown", "cgroups"):
        assert f"  {word}" in out


def test_the_same_as_json(call: Call) -> None:
    status, out, _ = call("doctor", "-o", "json")
    found = json.loads(out)
    assert status == 0
    assert found["base_sensor"]["can_run"] is True
    assert found["base_sensor"]["questions"][0] == {
        "question": "fork",
        "program": "fork_btf",
        "kind": "tp_btf",
    }
    assert found["kernel"]["programs"]["tp_btf"] == {"there": True, "reason": ""}
    assert found["host"]["release"] == os.uname().release
    assert {feature["state"] for feature in found["features"]} <= {"yes", "partly", "no"}


def test_a_missing_feature_tells_what_it_costs_and_how_to_get_it(call: Call) -> None:
    features = json.loads(call("doctor", "-o", "json")[1])["features"]
    for feature in features:
        if feature["state"] != "yes":
            assert feature["missing"] and feature["without"] and feature["remedy"]


def test_nothing_is_mounted_afterwards(call: Call) -> None:
    kinds = ("securityfs", "tracefs")
    before = [mount for mount in read_mounts() if mount.kind in kinds]
    call("doctor")
    assert [mount for mount in read_mounts() if mount.kind in kinds] == before


def test_without_root_it_answers_partly_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    assert in_child(become_nobody, doctor_status) == KernelUnsupported.exit_status
    out = capfd.readouterr().out
    assert out.startswith("the base sensor cannot run: loading BPF programs needs CAP_BPF")
    assert "not everything could be tried" in out
    assert "nothing is in its way for root" in out
    assert "unknown tp_btf" in out


def doctor_status() -> int:
    from agent.cli.main import main

    status = main(["doctor"])
    sys.stdout.flush()
    return status


def test_without_btf_it_says_that_and_ends_with_4(tmp_path: Path) -> None:
    done = run_without_btf("from agent.cli.main import main\nraise SystemExit(main(['doctor']))", tmp_path)
    assert done.returncode == 4, done.stderr
    assert "cannot run: this kernel has no BTF" in done.stdout
    assert "CONFIG_DEBUG_INFO_BTF" in done.stdout
    assert "Traceback" not in done.stderr


def test_confidentiality_is_named_as_the_cause(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dataclasses import replace

    from agent.errors import KernelRefused
    from agent.kernel import sensor

    locked = replace(read_host(), lockdown="confidentiality")
    monkeypatch.setattr(sensor, "read_host", lambda: locked)
    monkeypatch.setattr(
        sensor.Sensor, "_ready", refuse_all(KernelRefused("the kernel refuses base.bpf.o", 22))
    )
    status, out, _ = call("doctor")
    assert status == 4
    assert "hint: kernel lockdown is `confidentiality`" in out


def refuse_all(error: Exception) -> object:
    def ready(*_: object) -> bool:
        raise error

    return ready


def test_in_a_pipe_it_is_plain_and_unfolded() -> None:
    argv = [sys.executable, "-m", "agent.cli.main", "doctor"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert "\x1b" not in done.stdout
    assert done.returncode == 0


def test_it_knows_no_log_and_no_settings() -> None:
    assert "--log-dir" not in doctor.EXAMPLES
