# SPDX-License-Identifier: Apache-2.0
"""Pages as Prometheus' own parser reads them."""

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from agent.metrics.exporters import families as of_exporters
from agent.metrics.exposition import PREFIX, is_possible, write
from agent.metrics.family import COUNTER, GAUGE, Family
from agent.metrics.state import families
from tests.agent.metrics.support import STATE

EVIL = 'a"b\\c\nd\u00e9\udcff'


def test_the_page_is_prometheus_text() -> None:
    page, kind = write([Family("events", COUNTER, "Help.", ("type",), ((("exec",), 3.0),))], "")
    (family,) = text_string_to_metric_families(page.decode())
    (sample,) = family.samples
    assert kind.startswith("text/plain")
    assert (sample.name, sample.labels, sample.value) == ("tracehound_events_total", {"type": "exec"}, 3.0)


def test_a_client_that_reads_openmetrics_gets_it() -> None:
    page, kind = write(
        [Family("up", GAUGE, "Help.", (), (((), 1.0),))], "application/openmetrics-text; version=1.0.0"
    )
    assert kind.startswith("application/openmetrics-text")
    (family,) = openmetrics.text_string_to_metric_families(page.decode())
    assert family.name == "tracehound_up"


def test_hostile_labels_stay_inside_their_quotes() -> None:
    page, _ = write([Family("x", GAUGE, "Help.", ("l",), (((EVIL,), 1.0),))], "")
    (family,) = text_string_to_metric_families(page.decode())
    assert family.samples[0].labels["l"] == EVIL.replace("\udcff", "?")


def test_everything_that_the_agent_tells_can_be_written() -> None:
    assert is_possible()
    page, _ = write([*families(STATE), *of_exporters(STATE)], "")
    names = [family.name for family in text_string_to_metric_families(page.decode())]
    assert len(names) == len(set(names)) > 20
    assert all(name.startswith(PREFIX) for name in names)


@pytest.mark.parametrize("name", sorted({family.name for family in families(STATE)}))
def test_names_and_units_follow_prometheus_customs(name: str) -> None:
    assert name == name.lower() and not name.endswith(("_total", "_ms", "_percent"))
