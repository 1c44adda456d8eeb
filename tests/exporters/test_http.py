# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import pytest

from exporters import http
from exporters.base import Context, Document, OptionError
from tests.exporters.receiver import Receiver

DOCUMENT = Document({}, b'{"tracehound":{"sequence":1}}', "loss", 1, 1, "boot-a", "n1", "n1")


@pytest.mark.parametrize(
    ("shape", "kind"), [("lines", "application/x-ndjson"), ("array", "application/json")]
)
def test_documents_are_posted(
    context: Callable[..., Context], receiver: Receiver, shape: str, kind: str
) -> None:
    destination = http.open(context(url=receiver.url, shape=shape, headers={"X-Tenant": "a"}))
    destination.send([DOCUMENT] * 3)
    destination.close()
    assert len(receiver.accepted) == 3
    assert (receiver.headers["Content-Type"], receiver.headers["X-Tenant"]) == (kind, "a")
    assert receiver.headers["User-Agent"] == "tracehound/1.2.3"


def test_a_token_may_have_a_header_of_its_own(
    context: Callable[..., Context], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    destination = http.open(context(url=receiver.url, token_env="TOKEN", token_header="X-Api-Key"))
    destination.send([DOCUMENT])
    destination.close()
    assert receiver.headers["X-Api-Key"] == "secret" and "Authorization" not in receiver.headers


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"url": "localhost"}, "url"),
        ({"url": "http://x", "shape": "xml"}, "shape"),
        ({"url": "http://x", "token_file": "/a", "token_env": "B"}, "token_file"),
        ({"url": "http://x", "token_file": "/nowhere"}, "token_file"),
    ],
)
def test_options_are_checked(context: Callable[..., Context], options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError, match=f"^{key}: "):
        http.open(context(**options))
