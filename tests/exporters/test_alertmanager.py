# SPDX-License-Identifier: Apache-2.0
"""The Alertmanager exporter against Alertmanager itself; faults from a server that stands in its place."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporters import alertmanager
from exporters.base import Context, Document, OptionError, TryAgain
from tests.exporters.receivers import programs
from tests.exporters.receivers.documents import INIT, document, executions, own, process, refusal
from tests.exporters.receivers.web import HttpReceiver, Reply

Make = Callable[..., Context]
CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
Exporter = alertmanager.Alertmanager


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running Alertmanager."""
    program = programs.find("prometheus-alertmanager")
    folder, port = tmp_path_factory.mktemp("alertmanager"), programs.free_port()
    (folder / "config.yml").write_text(CONFIG)
    command = [program, f"--config.file={folder}/config.yml", f"--storage.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    with programs.running(
        programs.with_shared_files(command), folder / "log", lambda: programs.listens(port)
    ):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def exporter(real: str, context: Make) -> Iterator[Exporter]:
    made = alertmanager.open(
        context(url=real, labels={"team": "security"}, link="https://x/{node}/{exec_id}")
    )
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[HttpReceiver]:
    with HttpReceiver(lambda _request: Reply()) as receiver:
        yield receiver


def active(url: str, **labels: str) -> list[dict[str, Any]]:
    """Alerts that Alertmanager itself shows, with these labels."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts") as answer:
        alerts = json.load(answer)
    return [alert for alert in alerts if labels.items() <= alert["labels"].items()]


def detection(sequence: int, level: str = "high", story: str = "", rule: str = "Reverse shell") -> Document:
    now = time.time_ns()
    content = {"rule": {"id": "r1", "title": rule}, "level": level, "process": process(9)}
    return document(own("detection", sequence, {**content, "story": {"id": story}}, now), time_ns=now)


def refused(sequence: int, policy: str) -> Document:
    now = time.time_ns()
    return document(refusal(sequence, now, policy), time_ns=now)


def test_a_refused_call_alarms_with_what_helps_to_judge_it(exporter: Exporter, real: str) -> None:
    exporter.send([*executions(3), refused(4, "guard-shadow")])
    (alert,) = active(real, alertname="guard-shadow")
    assert alert["labels"] == {
        "alertname": "guard-shadow", "node": "n1", "root": INIT, "severity": "medium", "team": "security",
    }  # fmt: skip
    told = alert["annotations"]
    assert told["summary"].startswith("guard-shadow: /usr/bin/ls -l")
    assert (told["done"], told["function"], told["events"]) == ("Override EPERM", "security_file_open", "1")
    assert alert["generatorURL"] == f"https://x/n1/{told['exec_id']}"
    assert alert["status"]["state"] in ("active", "unprocessed")


def test_a_storm_of_one_story_is_one_alert_with_a_count(exporter: Exporter, real: str) -> None:
    for first in range(0, 3000, 500):
        batch = [
            detection(number, story="s1", rule=f"rule {number % 3}") for number in range(first, first + 500)
        ]
        assert list(exporter.send(batch).refused) == []
    (alert,) = active(real, story="s1")
    assert alert["annotations"]["events"] == "3000"
    assert alert["annotations"]["rules"] == "rule 0, rule 1, rule 2"


def test_without_a_story_rule_and_root_are_the_key(exporter: Exporter, real: str) -> None:
    exporter.send([detection(1, rule="A"), detection(2, rule="A"), detection(3, rule="B")])
    assert (len(active(real, alertname="A")), len(active(real, alertname="B"))) == (1, 1)


def test_a_story_that_gets_worse_replaces_its_milder_alert(exporter: Exporter, real: str) -> None:
    exporter.send([detection(1, "low", "s2")])
    exporter.send([detection(2, "critical", "s2"), detection(3, "low", "s2")])
    (alert,) = active(real, story="s2")
    assert (alert["labels"]["severity"], alert["annotations"]["events"]) == ("critical", "3")


def test_alerts_end_after_resolve_seconds(exporter: Exporter, real: str) -> None:
    exporter.send([refused(1, "ends")])
    (alert,) = active(real, alertname="ends")
    ends = alert["endsAt"].partition(".")[0]
    assert 3500 < time.mktime(time.strptime(ends, "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime()) < 3700


def test_old_events_page_nobody_and_late_ones_do() -> None:
    chosen = alertmanager.OPTIONS("http://h", resolve_seconds=600)
    day_ns, now_ns = 86_400_000_000_000, 10**18
    assert alertmanager.ends(now_ns - 2 * day_ns, now_ns, chosen) == now_ns - 2 * day_ns
    assert alertmanager.ends(now_ns - day_ns // 2, now_ns, chosen) == now_ns + 600 * 10**9


def test_what_alarms_nobody_is_done_without_a_request(server: HttpReceiver, context: Make) -> None:
    alertmanager.open(context(url=server.url)).send(executions(10))
    assert server.requests == []


def test_a_batch_that_is_sent_again_does_not_count_twice(server: HttpReceiver, context: Make) -> None:
    made, batch = alertmanager.open(context(url=server.url)), [detection(1), detection(2)]
    server.faults.append(Reply(503, headers={"Retry-After": "4"}))
    with pytest.raises(TryAgain) as caught:
        made.send(batch)
    made.send(batch)
    assert caught.value.after_s == 4
    assert json.loads(server.requests[1].body)[0]["annotations"]["events"] == "2"


def test_the_event_that_alertmanager_refuses_is_found(server: HttpReceiver, context: Make) -> None:
    made = alertmanager.open(context(url=server.url))
    server.faults += [Reply(400, b"bad label"), Reply(400, b"bad label")]
    with pytest.raises(TryAgain) as caught:
        made.send([detection(1), detection(2)])
    assert caught.value.smaller
    assert made.send([*executions(2), detection(3)]).refused == [(2, "HTTP 400: bad label")]


def test_a_token_is_sent(server: HttpReceiver, context: Make, token_file: Path) -> None:
    alertmanager.open(context(url=server.url, bearer_token_file=str(token_file))).send([detection(1)])
    assert server.requests[0].headers["Authorization"] == "Bearer s3cret"


def test_wrong_options_are_told(context: Make) -> None:
    with pytest.raises(OptionError, match="resolve_seconds"):
        alertmanager.open(context(url="http://h", resolve_seconds=1))
