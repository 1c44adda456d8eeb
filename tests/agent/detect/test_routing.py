# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.routing import CATEGORIES, SERVICES, route
from agent.detect.rules import Logsource
from agent.detect.views import VIEWS


def test_all_views_are_views() -> None:
    assert {view for views in (*CATEGORIES.values(), *SERVICES.values()) for view in views} <= set(VIEWS)


def test_a_category_is_its_view() -> None:
    assert route(Logsource("process_creation", "linux")).views == ("process_creation",)
    assert route(Logsource("Process_Creation")).views == ("process_creation",)


def test_auditd_is_three_kinds_of_records() -> None:
    assert route(Logsource("", "linux", "auditd")).views == ("auditd/SYSCALL", "auditd/EXECVE", "auditd/PATH")


@pytest.mark.parametrize(
    ("logsource", "why"),
    [
        (Logsource("process_creation", "windows"), "is for windows"),
        (Logsource("", "linux", "sshd"), "the log of sshd, which programs write"),
        (Logsource("", "linux", "unheard"), "service unheard"),
        (Logsource("", "linux"), "lines of any log"),
        (Logsource("webserver"), "no events of category webserver"),
    ],
)
def test_what_has_no_events_is_refused_with_the_reason(logsource: Logsource, why: str) -> None:
    assert why in route(logsource).refusal and not route(logsource).views
