# SPDX-License-Identifier: Apache-2.0
"""Lines of the log beside the documents that they become: FORMAT/NAME.line and FORMAT/NAME.document.

.venv/bin/python -m tests.golden.formats      write them anew; look at the difference
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from agent import __version__
from exporters.formats import Origin, make_format
from exporters.formats.otel import otel
from tests.exporters.formats.records import POD, call, detection, exec_event, exit_event, file, own, sock

HERE = Path(__file__).resolve().parent
FORMATS = ("ocsf", "ecs", "cef", "otel")
ORIGIN = Origin("8b0c5a0e-0000-4000-8000-000000000001")
RECORDS: dict[str, dict[str, Any]] = {
    "exec": exec_event(),
    "exec-pod": exec_event(pod=POD),
    "exit-killed": exit_event(signal="SIGKILL"),
    "file-denied": call("security_file_open", file("/etc/shadow", "-rw-r-----"), did=["Override EACCES"]),
    "connect": call("tcp_connect", sock(), **{"return": {"int_arg": 0}}),
    "module": call("do_init_module", {"module_arg": {"name": "evil", "tainted": "OE"}}),
    "detection": detection(),
    "loss": own("loss"),
    "heartbeat": own("heartbeat"),
    "malformed": exec_event(pid="sixty", arguments="a=b|c\\d\n\ufffd"),
}


def document_of(name: str, line: bytes) -> bytes:
    """What a format makes of a line; JSON is written to be read, CEF as it is. Of any version."""
    record = orjson.loads(line)
    if name == "otel":
        body = orjson.dumps(otel(record)._asdict())
    else:
        body = make_format(name)(record, ORIGIN) or b""
    body = body.replace(__version__.encode(), b"VERSION")
    if name == "cef":
        return body + b"\n"
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def main() -> None:
    """Writes all cases."""
    for name in FORMATS:
        (HERE / name).mkdir(exist_ok=True)
        for case, record in RECORDS.items():
            line = orjson.dumps(record)
            (HERE / name / f"{case}.line").write_bytes(line + b"\n")
            (HERE / name / f"{case}.document").write_bytes(document_of(name, line))


if __name__ == "__main__":
    main()
