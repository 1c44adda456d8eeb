# SPDX-License-Identifier: Apache-2.0
from agent.metrics.exporters import families
from tests.agent.metrics.support import values

ONE = {"name": "siem", "type": "splunk", "running": True, "state": "running", "sent": 7, "lag_seconds": 0.5}


def test_each_exporter_tells_its_own_figures() -> None:
    found = list(families({"exporters": [ONE, {"name": "new", "running": False}]}))
    assert values(found, "exporter_up") == {("siem", "splunk"): 1, ("new", ""): 0}
    assert values(found, "exporter_sent") == {("siem", "splunk"): 7}
    assert values(found, "exporter_lag_seconds") == {("siem", "splunk"): 0.5}
    assert values(found, "exporter_state") == {("siem", "splunk", "running"): 1}


def test_without_exporters_there_is_nothing() -> None:
    assert not [family for family in families({}) if family.samples]
