# SPDX-License-Identifier: Apache-2.0
"""What one agent knew of containers, for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.enrich.registry import KNOWN, PENDING, Registry, Seen
from agent.remembered import NAME, PAUSE_S, Remembered

ID = "c0" * 32
UID = "11111111-2222-3333-4444-555555555555"
POD = {"namespace": "shop", "name": "web", "uid": UID, "pod_labels": {"app": "web"}}
ANSWER: dict[str, Any] = {"id": ID, "state": "known", "source": "cri", "pod": POD, "probes": [["/bin/ok"]]}


def met(cgroup_id: int = 7) -> Registry:
    """One container, pending."""
    registry = Registry()
    registry.seen(Seen(cgroup_id, cgroup_id, f"/kubepods/pod{UID}/{ID}"))
    return registry


def remembered(place: Path, boot_id: str = "boot-1") -> Remembered:
    return Remembered(place / NAME, boot_id, pytest.fail)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where an agent has left what it knew."""
    registry, left = met(), remembered(tmp_path)
    registry.answer(ANSWER)
    left.changed()
    left.save(registry, float("inf"))
    return tmp_path


def test_what_one_agent_knew_the_next_one_knows(place: Path) -> None:
    registry = met()
    remembered(place).recall(registry)
    home = registry.by_id[ID]
    assert (home.state, home.pod, home.probes) == (KNOWN, POD, {("ok", "")}) and ID in registry.news


def test_it_is_asked_for_all_the_same_and_the_answer_counts_more(place: Path) -> None:
    registry = met()
    remembered(place).recall(registry)
    assert [home.ref.id for home in registry.asking] == [ID]
    registry.answer({**ANSWER, "pod": {**POD, "pod_labels": {"app": "shop"}}})
    assert registry.by_id[ID].pod["pod_labels"] == {"app": "shop"}


@pytest.mark.parametrize(("cgroup_id", "boot_id"), [(8, "boot-1"), (7, "boot-2")])
def test_another_cgroup_of_that_name_or_another_boot_is_another_container(
    place: Path, cgroup_id: int, boot_id: str
) -> None:
    registry = met(cgroup_id)
    remembered(place, boot_id).recall(registry)
    assert registry.by_id[ID].state == PENDING


def test_what_was_told_of_a_pod_counts_for_its_containers_that_nobody_answered_for(tmp_path: Path) -> None:
    told = {"namespace": "shop", "name": "web", "uid": UID, "labels": {"app": "web"}}
    before, left = met(), remembered(tmp_path)
    before.pod(told)
    before.pod({**told, "uid": "of-no-container"})
    left.changed()
    left.save(before, float("inf"))
    assert orjson.loads((tmp_path / NAME).read_bytes())["pods"] == {UID: told}
    registry = met(8)
    remembered(tmp_path).recall(registry)
    assert (registry.by_id[ID].state, registry.by_id[ID].pod) == (PENDING, POD)


def test_nobody_but_its_owner_reads_it(place: Path) -> None:
    assert (place / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"boot_id":"boot-1"}',
        b'{"boot_id":"boot-1","containers":[]}',
        b'{"boot_id":"boot-1","containers":{"%b":[7]}}' % ID.encode(),
        b'{"boot_id":"boot-1","containers":{"%b":["x",{}]}}' % ID.encode(),
        b'{"boot_id":"boot-1","containers":{},"pods":[]}',
        b'{"boot_id":"boot-1","containers":{},"pods":{"%b":7}}' % UID.encode(),
        b'{"boot_id":"boot-1","containers":{},"pods":{"%b":{"name":"web","labels":7}}}' % UID.encode(),
        b'{"boot_id":"boot-1","containers":{"%b":[7,{"id":"%b","state":"odd"}]}}'
        % (ID.encode(), ID.encode()),
    ],
)
def test_a_damaged_file_is_as_good_as_none(place: Path, content: bytes) -> None:
    (place / NAME).write_bytes(content)
    registry = met()
    remembered(place).recall(registry)
    assert registry.by_id[ID].state == PENDING


def test_it_is_written_when_something_changed_and_not_too_often(tmp_path: Path) -> None:
    registry, left = met(), remembered(tmp_path)
    left.save(registry, 100.0)
    assert not (tmp_path / NAME).exists()
    left.changed()
    left.save(registry, 100.0)
    registry.answer(ANSWER)
    left.changed()
    left.save(registry, 100.0 + PAUSE_S / 2)
    assert orjson.loads((tmp_path / NAME).read_bytes())["containers"] == {}
    left.save(registry, 100.0 + PAUSE_S)
    assert orjson.loads((tmp_path / NAME).read_bytes())["containers"] == {ID: [7, ANSWER]}


def test_a_place_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told: list[str] = []
    left = Remembered(tmp_path / "file" / NAME, "boot-1", told.append)
    for now in (0.0, 10.0):
        left.changed()
        left.save(met(), now)
    assert len(told) == 1


def test_what_could_not_be_written_is_written_once_it_can_be(tmp_path: Path) -> None:
    blocker, registry = tmp_path / "dir", met()
    blocker.touch()
    left = Remembered(blocker / NAME, "boot-1", lambda text: None)
    registry.answer(ANSWER)
    left.changed()
    left.save(registry, 0.0)
    blocker.unlink()
    left.save(registry, PAUSE_S)
    assert ID in orjson.loads((blocker / NAME).read_bytes())["containers"]
