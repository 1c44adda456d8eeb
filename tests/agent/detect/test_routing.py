# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.routing import CATEGORIES, SERVICES, is_about_lines, route
from agent.detect.rules import Logsource
from agent.detect.views import VIEWS


def test_all_views_are_views() -> None:
    assert {view for views in (*CATEGORIES.values(), *SERVICES.values()) for view in views} <= set(VIEWS)


def test_a_category_is_its_view() -> None:
    assert route(Logsource("process_creation", "linux")).views == ("process_creation",)
    assert route(Logsource("Process_Creation")).views == ("process_creation",)


def test_auditd_is_five_kinds_of_records() -> None:
    kinds = [view.partition("/")[2] for view in route(Logsource("", "linux", "auditd")).views]
    assert kinds == ["SYSCALL", "EXECVE", "PATH", "PROCTITLE", "CWD"]


@pytest.mark.parametrize(
    ("logsource", "why"),
    [
        (Logsource("process_creation", "windows"), "is for windows"),
        (Logsource("webserver"), "no events of category webserver"),
    ],
)
def test_what_has_no_events_is_refused_with_the_reason(logsource: Logsource, why: str) -> None:
    assert why in route(logsource).refusal and not route(logsource).views


@pytest.mark.parametrize(
    ("service", "view"),
    [("sshd", "log/sshd"), ("Messages", "log/syslog"), ("unheard", "log/unheard"), ("", "log/")],
)
def test_a_service_is_a_view_of_lines_of_logs(service: str, view: str) -> None:
    assert route(Logsource("", "linux", service)).views == (view,)
    assert is_about_lines(Logsource("", "linux", service))
