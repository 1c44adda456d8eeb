# SPDX-License-Identifier: Apache-2.0
"""How answers of stores are read that none of ours gives; the rest is tested with a server in test_s3.py."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from exporters.base import TryAgain
from exporters.bucket import _compare, _judge


@pytest.mark.parametrize(
    ("code", "status", "operator"),
    [
        ("SlowDown", 503, False),
        ("InternalError", 500, False),
        ("RequestTimeout", 400, False),
        ("BadDigest", 400, False),
        ("ExpiredToken", 400, True),
        ("AccessDenied", 403, True),
        ("XMinioStorageFull", 507, True),
    ],
)
def test_an_error_says_whether_it_will_pass(code: str, status: int, operator: bool) -> None:
    problem = _judge({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}})
    assert problem.needs_operator is operator
    assert code in problem.reason


@pytest.mark.parametrize(
    "answer",
    [
        {"ETag": f'"{hashlib.md5(b"x").hexdigest()}"'},
        {"ETag": '"0123456789abcdef0123456789abcdef"', "ServerSideEncryption": "aws:kms"},
        {"ETag": '"opaque"'},
    ],
)
def test_a_checksum_that_tells_nothing_else_is_fine(answer: dict[str, Any]) -> None:
    _compare("key", b"x", answer)


@pytest.mark.parametrize(
    "answer", [{"ETag": f'"{hashlib.md5(b"y").hexdigest()}"'}, {"ChecksumSHA256": "AAAA"}]
)
def test_a_checksum_of_something_else_is_told(answer: dict[str, Any]) -> None:
    with pytest.raises(TryAgain, match="damaged"):
        _compare("key", b"x", answer)


def test_an_answer_that_names_nothing_is_half_an_answer() -> None:
    with pytest.raises(TryAgain, match="half an answer"):
        _compare("key", b"x", {})


def test_a_store_that_sends_us_elsewhere_needs_an_operator() -> None:
    problem = _judge({"Error": {"Code": "301"}, "ResponseMetadata": {"HTTPStatusCode": 301}})
    assert problem.needs_operator
    assert "endpoint and region" in problem.reason
