# SPDX-License-Identifier: Apache-2.0
"""All features of this kernel and host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import KernelUnsupported
from agent.kernel import features
from agent.kernel.features import Features, read_features
from agent.kernel.probes import Answer
from tests.agent.kernel.support import become_nobody, in_child, keep_capabilities, run_without_btf
from tests.agent.kernel.test_refusals import ROOT


def test_an_answer_is_found_by_name() -> None:
    found = Features(ROOT, Answer(True), True, {"kprobe": Answer(True)}, {"bpf_loop": Answer(False, "old")})
    assert found.answer("btf").there
    assert found.answer("kprobe").there
    assert found.answer("bpf_loop") == Answer(False, "old")
    assert found.answer("cgroups").there
    assert found.answer("host pids").there


def test_a_file_system_is_there_when_it_is_mounted() -> None:
    host = replace(ROOT, mounts={"bpf": "/sys/fs/bpf", "tracefs": ""})
    found = Features(host, Answer(True), True)
    assert found.answer("bpf").there
    assert found.answer("tracefs") == Answer(False, "not mounted")


def test_without_btf_nothing_else_is_there() -> None:
    found = Features(ROOT, Answer(False, "no BTF"), True)
    assert found.answer("kprobe").there is False
    assert "no BTF" in found.answer("kprobe").reason


def test_a_missing_library_is_an_error_not_a_missing_btf(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise KernelUnsupported("libbpf.so.1 cannot be loaded")

    monkeypatch.setattr(features.Btf, "of_kernel", missing)
    with pytest.raises(KernelUnsupported):
        read_features()


@pytest.mark.kernel
def test_root_tries_everything() -> None:
    found = read_features()
    assert found.tried
    assert found.btf.there
    assert None not in {answer.there for answer in (found.programs | found.helpers).values()}


@pytest.mark.kernel
@pytest.mark.parametrize("give_up", [become_nobody, keep_capabilities])
def test_without_capabilities_only_types_are_asked(give_up: object) -> None:
    def ask() -> list[object]:
        found = read_features()
        return [found.tried, found.btf.there, found.answer("tp_btf").there, found.answer("ring buffer").there]

    assert in_child(give_up, ask) == [False, True, None, None]  # type: ignore[arg-type]


@pytest.mark.kernel
def test_without_btf_the_host_is_still_known(tmp_path: Path) -> None:
    code = (
        "from agent.kernel.features import read_features\n"
        "found = read_features()\nprint(found.btf.there, found.programs, found.host.cgroups != '')"
    )
    assert run_without_btf(code, tmp_path).stdout.split() == ["False", "{}", "True"]
