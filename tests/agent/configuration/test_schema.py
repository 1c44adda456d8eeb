# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import ValidationError, validate

from agent.configuration.keys import KEYS
from agent.configuration.schema import main, put_into, settings_schema
from agent.settings import Settings

CHART = Path(__file__).resolve().parents[3] / "charts" / "tracehound" / "values.schema.json"


def nested(name: str, value: Any) -> dict[str, Any]:
    """As in a file."""
    first, _, rest = name.partition(".")
    return {first: nested(rest, value) if rest else value}


@pytest.mark.parametrize("name", KEYS)
def test_every_default_is_taken(name: str) -> None:
    value: Any = Settings()
    for part in name.split("."):
        value = getattr(value, part)
    validate(settings_schema(), nested(name, list(value) if isinstance(value, tuple) else value))


@pytest.mark.parametrize(
    ("name", "value"), [("log.retention_bytes", "20GiB"), ("log.segment_seconds", "1h"), ("node_name", None)]
)
def test_what_people_write_is_taken(name: str, value: object) -> None:
    validate(settings_schema(), nested(name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("log.retention_byte", 5), ("lgo.dir", "/x"), ("store.enabled", "yes"), ("policies.dirs", "/x")],
)
def test_a_slip_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        validate(settings_schema(), nested(name, value))


def test_the_charts_is_that_of_now() -> None:
    found = json.loads(CHART.read_text())
    assert found == put_into(found), (
        "python -m agent.configuration.schema charts/tracehound/values.schema.json"
    )


def test_the_file_is_written_as_it_was(tmp_path: Path) -> None:
    copy = tmp_path / "schema.json"
    copy.write_text(CHART.read_text())
    assert main([str(copy)]) == 0 and copy.read_text() == CHART.read_text()
