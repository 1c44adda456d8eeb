# SPDX-License-Identifier: Apache-2.0
from exporters.joining import Joining


def test_nothing_waits_and_nothing_is_changed_as_long_as_no_record_announces_a_late_answer() -> None:
    joining, record = Joining(2.0), {"process_exec": {}}
    assert joining.wait_s(record, 0.0) == 0.0 and joining.joined(record) is record
