# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.store.happenings import endpoint, happening_of


@pytest.mark.parametrize(
    ("address", "port", "text"),
    [
        ("192.0.2.1", 443, "192.0.2.1:443"),
        ("2001:db8::1", 53, "[2001:db8::1]:53"),
        (None, 1, ""),
        ("x", 0, "x"),
    ],
)
def test_an_endpoint_is_written_as_people_do(address: str | None, port: int, text: str) -> None:
    assert endpoint(address, port) == text


def test_events_are_summed_up_in_a_line() -> None:
    process = {"exec_id": "e", "binary": "/b", "arguments": "a"}
    opened = {
        "process": process,
        "function_name": "security_file_open",
        "args": [{"file_arg": {"path": "/p"}}],
    }
    assert happening_of({"process_exec": {"process": process}}).summary == "exec /b a"
    assert (
        happening_of({"process_exit": {"process": process, "signal": "SIGKILL"}}).summary
        == "killed by SIGKILL"
    )
    assert happening_of({"process_kprobe": opened}).summary == "open /p"
    assert happening_of({"tracehound": {"loss": {"count": 3}}}).summary == "loss count 3"
