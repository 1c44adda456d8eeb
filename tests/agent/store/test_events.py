# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.store.arrows import plain
from agent.store.events import EXEC, EXIT, OTHER, Events

OPENED = b',"function_name":"open","args":[{"file_arg":{"path":"/x"}}],"policy_name":"p"'


def test_each_event_has_its_values_and_its_payload() -> None:
    events = Events("n")
    events.new_exec(b'\x03\x02,"arguments":["a"],"user":"root"}}')
    events.new(b"process_exit", b',"signal":"SIGKILL","status":9,"time":"\x01"', b"\x02}}")
    events.new(b"process_kprobe", OPENED, b"\x02}}")
    columns = {name: plain(values, None) for name, values in events.columns().items()}
    assert list(events.kinds) == [EXEC, EXIT, OTHER]
    assert columns["type"] == ["process_exec", "process_exit", "process_kprobe"]
    assert columns["user"] == ["root", None, None] and columns["path"] == [None, None, "/x"]
    assert events.exit_of(1) == (9, "SIGKILL") and columns["node"] == ["n"] * 3


def test_a_user_is_not_looked_for_in_texts_and_variables() -> None:
    events = Events("n")
    events.new_exec(b'\x03,"environment":{"A":"b","user":"x"},"user":"root"}}')
    events.new_exec(b'\x03,"environment":{"A":"b","user":"x"}}}')
    events.new_exec(b'\x03}, "user":')
    assert events.users == {0: "root", 1: "", 2: ""}


def test_an_exec_that_is_a_detection_is_not_taken_apart() -> None:
    with pytest.raises(ValueError, match="detection"):
        Events("n").new_exec(b'\x03,"detection":{"level":"high"}}}')


def test_values_of_other_kinds_than_the_columns_are_null() -> None:
    events = Events("n")
    events.new(b"process_kprobe", b',"args":[{"sockaddr_arg":{"addr":"::1","port":"x"}}]', b"}}")
    assert plain(events.columns()["port"], None) == [None]
    assert plain(events.columns()["address"], None) == ["::1"]
