# SPDX-License-Identifier: Apache-2.0
from exporters.formats import Origin, make_format


def test_the_record_is_json() -> None:
    assert (
        make_format("json")({"tracehound": {"sequence": 1}}, Origin("")) == b'{"tracehound":{"sequence":1}}'
    )
