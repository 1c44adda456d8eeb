# SPDX-License-Identifier: Apache-2.0
"""Objects of an S3-compatible store: put whole or in parts, with the store's word that they arrived as sent.

Only PutObject and the calls of multipart uploads are made: credentials that can write and nothing else are
enough, and no bucket is ever listed. Sources: Amazon S3 API Reference ("PutObject", "UploadPart", "Error
responses", "Checking object integrity": an ETag is the MD5 of the content unless it was encrypted with KMS).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporters import handshake
from exporters.base import OptionError, TryAgain

PART_LEAST = 5 << 20
"""Smallest part that S3 takes, but for the last one."""

_NEED_OPERATOR = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NoSuchBucket",
        "PermanentRedirect",
        "QuotaExceeded",
        "SignatureDoesNotMatch",
        "XMinioStorageFull",
    }
)


@dataclass(slots=True)
class Upload:
    """A multipart upload that is under way; kept on disk, so that a restart goes on with it."""

    key: str
    upload_id: str
    size: int
    """Bytes of the file; a file of another size is another one."""
    sha256: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    """What the store said of the parts so far, as it wants them back at the end."""


class Bucket:
    """One bucket. `connect` makes a client, now and after failures that new credentials or certificates may
    end; it raises OptionError when these are no good. `save` keeps an upload that is under way (None: there
    is none any more)."""

    def __init__(
        self,
        connect: Callable[[], Any],
        name: str,
        part_bytes: int,
        checksum: str,
        extra: Mapping[str, str],
        save: Callable[[Upload | None], None],
    ) -> None:
        import botocore.exceptions

        self._connect, self._name, self._part_bytes = connect, name, part_bytes
        self._client = connect()
        self._checksum, self._extra, self._save = checksum, dict(extra), save
        self._errors = botocore.exceptions

    def close(self) -> None:
        """Let go of the client and its connections; the next call makes another one."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Write an object from memory. Raises TryAgain."""
        answer = self._call(
            "put_object",
            Key=key,
            Body=content,
            Metadata=dict(metadata),
            **self._extra,
            **_digest(self._checksum, content),
        )
        _compare(key, content, answer)

    def put_file(self, key: str, path: Path, metadata: Mapping[str, str], begun: Upload | None) -> None:
        """Write a file, in parts when it is large; goes on with `begun` where that is the same file.

        Raises TryAgain, OSError when the file cannot be read.
        """
        size = path.stat().st_size
        if size <= self._part_bytes:
            content = path.read_bytes()
            self.put(key, content, {"sha256": hashlib.sha256(content).hexdigest(), **metadata})
            return
        sha256 = _hash_of(path)
        if begun is None or (begun.key, begun.size, begun.sha256) != (key, size, sha256):
            begun = self._begin(key, size, sha256, metadata)
        self._parts(begun, path)

    def _begin(self, key: str, size: int, sha256: str, metadata: Mapping[str, str]) -> Upload:
        wanted: dict[str, Any] = {"Metadata": {"sha256": sha256, **metadata}, **self._extra}
        if self._checksum == "sha256":
            wanted["ChecksumAlgorithm"] = "SHA256"
        upload = Upload(
            key, self._call("create_multipart_upload", Key=key, **wanted)["UploadId"], size, sha256
        )
        self._save(upload)
        return upload

    def _parts(self, upload: Upload, path: Path) -> None:
        try:
            with path.open("rb") as file:
                file.seek(len(upload.parts) * self._part_bytes)
                while content := file.read(self._part_bytes):
                    upload.parts.append(self._part(upload, content))
                    self._save(upload)
            which = {"Key": upload.key, "UploadId": upload.upload_id}
            answer = self._call("complete_multipart_upload", MultipartUpload={"Parts": upload.parts}, **which)
            if not answer.get("ETag"):
                raise TryAgain(f"{upload.key}: half an answer, the store names no ETag of what it has")
        except TryAgain as problem:
            if "NoSuchUpload" in problem.reason or "InvalidPart" in problem.reason:
                self._save(None)
            raise
        self._save(None)

    def _part(self, upload: Upload, content: bytes) -> dict[str, Any]:
        number = len(upload.parts) + 1
        answer = self._call(
            "upload_part",
            Key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=number,
            Body=content,
            **_digest(self._checksum, content),
        )
        _compare(f"{upload.key}, part {number}", content, answer)
        told = {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}
        return {"PartNumber": number, **told}

    def _call(self, name: str, **arguments: Any) -> Any:
        try:
            client = self._client = self._client or self._connect()
            return getattr(client, name)(Bucket=self._name, **arguments)
        except OptionError as error:
            problem = TryAgain(str(error), needs_operator=True)
        except self._errors.ClientError as error:
            problem = _judge(error.response)
        except self._errors.SSLError as error:
            problem = handshake.explain(str(error))
        except self._errors.NoCredentialsError as error:
            problem = TryAgain(f"{error}: give access_key_id and secret_key_file", needs_operator=True)
        except self._errors.ConnectionClosedError as error:
            problem = TryAgain(f"the connection broke; is it the store's port, and http or https? ({error})")
            self.close()  # a store that does not like our certificate may say so by hanging up
        except (self._errors.BotoCoreError, self._errors.HTTPClientError) as error:
            problem = TryAgain(str(error))
        if problem.needs_operator:
            self.close()
        raise problem


def _digest(checksum: str, content: bytes) -> dict[str, str]:
    if checksum == "sha256":
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(content).digest()).decode()}
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return {"ContentMD5": base64.b64encode(digest).decode()}


def _compare(what: str, content: bytes, answer: Mapping[str, Any]) -> None:
    """Raises TryAgain when the store tells of another content than was sent."""
    told = answer.get("ChecksumSHA256")
    etag = str(answer.get("ETag", "")).strip('"')
    is_md5 = len(etag) == 32 and "kms" not in str(answer.get("ServerSideEncryption", ""))
    if not told and not etag:
        raise TryAgain(f"{what}: half an answer, the store names no ETag of what it has")
    if told:
        same = told == _digest("sha256", content)["ChecksumSHA256"]
    else:
        same = not is_md5 or etag == hashlib.md5(content, usedforsecurity=False).hexdigest()
    if not same:
        raise TryAgain(f"{what} arrived damaged: its checksum at the store is another one")


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _judge(response: Mapping[str, Any]) -> TryAgain:
    error, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
    wait = meta.get("HTTPHeaders", {}).get("retry-after", "")
    lasting = code in _NEED_OPERATOR or status in (401, 403) or 300 <= status < 400
    way = "; look at endpoint and region" if 300 <= status < 400 else ""
    return TryAgain(
        f"HTTP {status} {code}: {error.get('Message', '')}"[:300] + way,
        after_s=float(wait) if wait.isdecimal() else None,
        needs_operator=lasting,
    )
