# SPDX-License-Identifier: Apache-2.0
import pytest

from exporters.otlp_resource import Resources
from tests.exporters.receivers.documents import document, execution, own, process


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_a_host_has_its_machine_id_and_its_name() -> None:
    assert Resources("1", "ab12", {}).of("n1") == {
        "service.name": "tracehound", "service.version": "1", "host.id": "ab12", "host.name": "n1",
    }  # fmt: skip


def test_a_node_with_pods_is_a_node_of_kubernetes() -> None:
    resources = Resources("1", "", {})
    resources.learn(document(own("heartbeat", 1, {})))
    assert "k8s.node.name" not in resources.of("n1")
    resources.learn(
        document({**execution(2), "process_exec": {"process": process(5, pod={"name": "web-1"})}})
    )
    assert resources.of("n1")["k8s.node.name"] == "n1" and "k8s.node.name" not in resources.of("n2")


def test_in_a_pod_the_node_is_one_from_the_first_record_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    resources = Resources("1", "", {})
    resources.learn(document(own("heartbeat", 1, {})))
    assert resources.of("n1")["k8s.node.name"] == "n1"


def test_the_cluster_is_the_one_in_the_records_unless_the_settings_name_another() -> None:
    resources = Resources("1", "", {})
    resources.learn(document({**execution(1), "cluster_name": "prod"}))
    assert resources.of("n1")["k8s.cluster.name"] == "prod"
    other = Resources("1", "", {"k8s.cluster.name": "east"})
    other.learn(document({**execution(1), "cluster_name": "prod"}))
    assert other.of("n1")["k8s.cluster.name"] == "east"
