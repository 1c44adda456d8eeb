# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.enrich import recent as module
from agent.enrich.process import Process, image_key
from agent.enrich.recent import Recent, written_by


def image(pid: int, ktime: int, binary: str) -> Process:
    found = Process(pid, ktime, f"{pid}:{ktime}", None)
    found.binary = binary
    return found


@pytest.fixture
def living() -> Recent:
    """su has become a shell; cron has ended."""
    found = Recent()
    for one in (image(7, 1, "/usr/bin/su"), image(7, 2, "/bin/bash"), image(9, 1, "/usr/sbin/cron")):
        found[image_key(one.tgid, one.image_ktime)] = one
    found.pop(image_key(7, 1), None)
    del found[image_key(9, 1)]
    assert found.pop(image_key(1, 1), None) is None
    return found


def test_who_left_is_remembered_behind_who_lives(living: Recent) -> None:
    found = living.by_pid({7, 9, 11})
    assert [one.binary for one in found[7]] == ["/bin/bash", "/usr/bin/su"]
    assert [one.binary for one in found[9]] == ["/usr/sbin/cron"] and 11 not in found and len(living) == 1


def test_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GONE", 3)
    living = Recent()
    for number in range(9):
        living[number] = image(number, 1, "/x")
        del living[number]
    assert sorted(living.by_pid(range(9))) == [6, 7, 8]


def test_a_line_is_of_the_image_that_its_program_names(living: Recent) -> None:
    images = living.by_pid({7, 9})
    for pid, program, binary in (
        (7, "su", "/usr/bin/su"),
        (9, "CRON", "/usr/sbin/cron"),
        (7, "bash", "/bin/bash"),
    ):
        found = written_by(images[pid], program, False)
        assert found is not None and found.binary == binary


def test_a_pid_that_anybody_may_write_is_not_believed_alone(living: Recent) -> None:
    images = living.by_pid({7})[7]
    assert written_by(images, "sshd", False) is None and written_by(images, "", False) is None
    sure = written_by(images, "sshd", True)
    assert sure is not None and sure.binary == "/bin/bash" and written_by([], "x", True) is None
