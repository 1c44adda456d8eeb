# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.detection import content_of
from agent.detect.engine import Engine
from agent.detect.explain import CANDIDATES
from agent.detect.rules import read_rules
from agent.detect.samples import read_samples
from agent.detect.subject import values_of
from agent.detect.trying import samples_file
from tests.agent.detect.found import detection
from tests.agent.detect.sigma_rules import LIBRARY


def test_a_detection_has_the_fields_that_rules_ask() -> None:
    values = values_of(detection("/usr/bin/nc", "/bin/bash", "/usr/sbin/sshd", arguments="-e /bin/sh"))
    assert values("Image") == ["/usr/bin/nc"]
    assert values("ParentImage") == ["/bin/bash"]
    assert values("Ancestors") == ["/bin/bash", "/usr/sbin/sshd"]
    assert values("CommandLine") == ["/usr/bin/nc -e /bin/sh"]


def test_what_it_does_not_have_is_no_value() -> None:
    values = values_of({})
    assert [values(name) for name in ("Image", "Ancestors", "TargetFilename", "Pod", "Unheard")] == [[]] * 5


def test_files_peers_and_pods_are_the_events() -> None:
    args = [{"file_arg": {"path": "/etc/shadow"}}, {"sock_arg": {"daddr": "192.0.2.1", "dport": 53}}]
    event = {"process_kprobe": {"process": {}, "policy_name": "reads", "args": args}}
    pod = {"namespace": "shop", "container": {"image": {"name": "cart:1"}}}
    values = values_of({"event": event, "pod": pod})
    found = [values(one) for one in ("TargetFilename", "DestinationIp", "DestinationPort", "Policy")]
    assert found == [["/etc/shadow"], ["192.0.2.1"], ["53"], ["reads"]]
    assert (values("Namespace"), values("ContainerImage")) == (["shop"], ["cart:1"])


def test_a_line_of_a_log_has_its_fields() -> None:
    line = {"source": "/var/log/auth.log", "program": "su", "line": "h su[7]: x", "services": ["su", "auth"]}
    values = values_of({"event": {"tracehound": {"log_line": line}}})
    found = [values(one) for one in ("Program", "Message", "Source", "Service", "Unit", "Image")]
    assert found == [["su"], ["x"], ["/var/log/auth.log"], ["su", "auth"], [], []]


def test_other_fields_are_known_where_they_matched() -> None:
    values = values_of({"matched": [{"selection": "s", "field": "Arg.mode", "value": "1"}]})
    assert values("Arg.mode") == ["1"]


@pytest.mark.parametrize(
    "name", ["device-node-made", "account-file-written", "netcat-exec", "shell-connects"]
)
def test_a_detection_says_of_its_event_what_the_engine_says(name: str) -> None:
    """What is proposed as an exception has to silence."""
    [rule] = read_rules([LIBRARY / f"{name}.yaml"]).rules
    for sample in read_samples(samples_file(rule)).positive:
        engine = Engine([rule])
        [hit] = [hit for record in sample.records() for hit in engine.feed(record)]
        values = values_of(content_of(hit, [hit]))
        for field in CANDIDATES:
            assert set(values(field)) <= set(hit.values(field)), field
        assert values("TargetFilename") == list(hit.values("TargetFilename"))
