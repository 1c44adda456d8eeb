# SPDX-License-Identifier: Apache-2.0
from agent.policy.people import People
from tests.agent.policy.past import INIT, SHELL, exec_of, segment


def known() -> People:
    people = People()
    for record in (segment(host_ns={"mnt": 1, "user": 2}), exec_of(INIT), exec_of(SHELL, ns={"mnt": 9})):
        people.learn(record)
    return people


def test_a_person_is_what_its_exec_told() -> None:
    person = known().person(SHELL, [INIT["exec_id"]])  # type: ignore[list-item]
    assert (person["binary"], person["parent"]["binary"], person["whole"]) == ("/bin/sh", "/sbin/init", True)
    assert person["namespaces"] == {"mnt": 9, "user": 2}
    assert person["in_host_user_ns"]


def test_of_a_process_whose_exec_is_not_known_only_the_event_tells() -> None:
    person = People().person(SHELL, ["x"])
    assert (person["binary"], person["pid"], person["whole"]) == ("/bin/sh", 50, False)
    assert "namespaces" not in person


def test_an_interpreter_is_the_binary_of_a_script() -> None:
    people = People()
    people.learn(exec_of(SHELL | {"binary": "/opt/script"}, exe="/usr/bin/dash"))
    assert people.person(SHELL)["binary"] == "/usr/bin/dash"


def test_credentials_that_were_not_recorded_are_no_zeros() -> None:
    people = People()
    for record in (segment(credentials=False), exec_of(SHELL)):
        people.learn(record)
    assert "ids" not in people.person(SHELL)


def test_execve_is_called_by_the_image_before() -> None:
    child = SHELL | {"exec_id": "eA==", "pid": 51, "binary": "/bin/ls"}
    caller = known().caller(child, SHELL, [SHELL["exec_id"], INIT["exec_id"]])  # type: ignore[list-item]
    assert (caller["pid"], caller["binary"], caller["parent"]["binary"]) == (51, "/bin/sh", "/bin/sh")
