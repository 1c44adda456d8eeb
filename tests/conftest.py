# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: when they run, and that no skip goes unnoticed in CI."""

from __future__ import annotations

import json
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
LISTED, CASES = "VMTEST_LISTED", "VMTEST_CASES"
"""Environment variables, paths of JSON files: where a collection writes the cases marked `kernel` with their
groups, and the node ids that a run is to take of what it collects (vmtest/suite.py)."""
EVERYWHERE = (
    "agent/kernel/",
    "e2e/test_arguments.py",
    "e2e/test_exit.py",
    "e2e/test_identity.py",
    "e2e/test_lineage.py",
    "load/test_storm.py",
)
"""What a run over several kernels asks of each: programs and maps themselves, and the base sensor's events.
`make vmtest` asks everything of all."""
IN_CI = os.environ.get("CI") == "true"


def pytest_configure(config: pytest.Config) -> None:
    """Ctrl-C and Ctrl-\\ reach what the tests start, although who runs them in the background may have both
    ignored (POSIX shells do so for `&`). A busy machine is no fault of hypothesis's examples."""
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.pluginmanager.hasplugin("hypothesispytest") and not IN_CI:  # there it has a profile of its own
        from hypothesis import settings

        settings.register_profile("unhurried", deadline=None)
        settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave benchmarks to ``make bench``, and what needs root to root."""
    benches = [item for item in items if item.get_closest_marker("bench")]
    if benches and "bench" not in config.option.markexpr:
        config.hook.pytest_deselected(items=benches)
        items[:] = [item for item in items if item not in benches]
    take_chosen(config, items)
    if target := os.environ.get(LISTED):
        kernel = [item for item in items if item.get_closest_marker("kernel")]
        Path(target).write_text(json.dumps({item.nodeid: group_of(item) for item in kernel}))
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root") or item.get_closest_marker("kernel"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


def take_chosen(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the cases that this run was told to take. One that is not there is a mistake."""
    if not (chosen := os.environ.get(CASES)):
        return
    wanted = set(json.loads(Path(chosen).read_text()))
    if missing := wanted - {item.nodeid for item in items}:
        raise pytest.UsageError(f"not collected here: {', '.join(sorted(missing))}")
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
    items[:] = [item for item in items if item.nodeid in wanted]


def group_of(item: pytest.Item) -> str:
    """What stays together when kernels share the cases: a module, of cases written as data those of one file
    or policy; a test marked `spread` is for itself. Empty for what each kernel is asked."""
    spec = getattr(item, "callspec", None)
    params = spec.params if spec else {}
    name = params["policy"] if "policy" in params else getattr(params.get("case"), "file", "")
    module = str(item.path.relative_to(TESTS))
    if item.get_closest_marker("spread"):
        return item.nodeid
    return "" if module.startswith(EVERYWHERE) else f"{module}:{name}"


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
