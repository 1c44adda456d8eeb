# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: when they run, and that no skip goes unnoticed in CI."""

from __future__ import annotations

import os
import platform
import re
import signal
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent
IN_CI = os.environ.get("CI") == "true"


def pytest_configure() -> None:
    """Ctrl-C and Ctrl-\\ reach what the tests start, although who runs them in the background may have both
    ignored (POSIX shells do so for `&`)."""
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave benchmarks to ``make bench``, and what needs root to root."""
    benches = [item for item in items if item.get_closest_marker("bench")]
    if benches and "bench" not in config.option.markexpr:
        config.hook.pytest_deselected(items=benches)
        items[:] = [item for item in items if item not in benches]
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root") or item.get_closest_marker("kernel"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


def read_rules(path: Path) -> list[dict[str, str]]:
    """The skips that CI accepts."""
    rules: list[dict[str, str]] = tomllib.loads(path.read_text()).get("skip", [])
    for rule in rules:
        if not rule.get("match") or not rule.get("reason"):
            raise pytest.UsageError(f"{path}: each [[skip]] needs match and reason: {rule}")
    return rules


def is_allowed(skip: str, kernel: str, rules: list[dict[str, str]]) -> bool:
    """Whether a rule covers this skip (``NODEID: REASON``) on this kernel."""
    return any(re.search(rule["match"], skip) and re.search(rule.get("kernel", ""), kernel) for rule in rules)


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that nobody allowed into a failure."""
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    longrepr: Any = report.longrepr
    told = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    reason = told.removeprefix("Skipped: ")
    if not is_allowed(
        f"{report.nodeid}: {reason}", platform.release(), read_rules(TESTS / "allowed-skips.toml")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, which tests/allowed-skips.toml does not allow here: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at every test's report."""
    report = yield
    report.is_of_kernel = item.get_closest_marker("kernel") is not None
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at modules that skip themselves as a whole, too."""
    report = yield
    refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases this kernel executed; pytest's own closing line follows."""
    stats = terminalreporter.stats
    ran = [
        report
        for outcome in ("passed", "failed", "xfailed", "xpassed")
        for report in stats.get(outcome, [])
        if getattr(report, "when", None) == "call"
    ]
    on_kernel = sum(report.is_of_kernel for report in ran)
    terminalreporter.write_line(
        f"executed on kernel {platform.release()}: {len(ran)} cases, {on_kernel} of them marked kernel"
    )
