# SPDX-License-Identifier: Apache-2.0
"""S3 and what speaks its protocol: the log's Parquet segments and its manifest, as they are.

Takes files instead of events: no event is parsed, and what lies in the bucket is, byte for byte, what the
chain in the manifest proves. The client is botocore, without boto3: that is all that is needed of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from agent.log.entry import Cursor
from agent.log.segments import SegmentName, list_segments
from agent.store.layout import compacted_segments, parquet_path
from exporters import options
from exporters.base import Batching, Context, ExporterUnavailable, OptionError, Taken, TryAgain
from exporters.bucket import PART_LEAST, Bucket
from exporters.s3_client import client_of
from exporters.s3_layout import MANIFEST, Names, Slice, node_of, read_slice
from exporters.s3_state import State, rows_of
from exporters.tls import Tls

BATCHING = Batching(seconds=30.0)
"""How often it looks for something new."""
SLICE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class OPTIONS:
    """Keys of `type: s3`."""

    bucket: str
    """Name of the bucket; it has to exist."""
    prefix: str = "tracehound"
    """What all keys begin with; may be empty."""
    endpoint: str = ""
    """URL of the store, `https://minio.example:9000`. Empty: Amazon's."""
    region: str = "us-east-1"
    """Region of the bucket."""
    path_style: bool | None = None
    """Whether the bucket stands in the path, not in the host's name. None: yes when an endpoint is given."""
    access_key_id: str = ""
    """Who we are. Empty: as the AWS SDKs find out (environment, web identity, profile, instance)."""
    secret_key_file: str = ""
    """File with the secret key."""
    secret_key_env: str = ""
    """Variable of the environment with it, instead of a file."""
    live: bool = False
    """Whether lines of segments that are not compacted yet go out too, every `batch.seconds`, as zstd JSON
    lines below PREFIX/live/. Give those objects a lifecycle rule of a few days: the Parquet files follow."""
    checksum: str = "sha256"
    """How the store checks what arrives: `sha256`, or `md5` for stores that know no other."""
    part_bytes: int = 16 << 20
    """Files above this size go in parts of it; that much memory is used."""
    storage_class: str = ""
    """`STANDARD_IA`, `GLACIER_IR` …; empty: the bucket's."""
    encryption: str = ""
    """`AES256` or `aws:kms`; empty: the bucket's."""
    kms_key_id: str = ""
    """Key for `aws:kms`; empty: the account's own."""
    tls: Tls = field(default_factory=Tls)
    """TLS, where the endpoint is https."""
    timeout_seconds: float = 60.0
    """How long an answer may take."""

    def __post_init__(self) -> None:
        if not self.bucket:
            raise OptionError("bucket", "is empty", "name a bucket")
        if self.endpoint:
            options.check_url("endpoint", self.endpoint)
        options.check_choice("checksum", self.checksum, ("sha256", "md5"))
        options.check_range("part_bytes", self.part_bytes, PART_LEAST, 1 << 30)
        options.check_range("timeout_seconds", self.timeout_seconds, 1, 3600)
        if self.tls.server_name:
            raise OptionError(
                "tls.server_name", "is no option of S3's client", "use the certificate's name in endpoint"
            )
        if bool(self.access_key_id) != bool(self.secret_key_file or self.secret_key_env):
            raise OptionError(
                "access_key_id", "stands without its secret", "give secret_key_file, or neither"
            )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open_segments(context: Context, log_dir: str) -> S3:
    """Make the destination; connects at the first step. Raises OptionError and ExporterUnavailable."""
    chosen = OPTIONS.parse(context.options)
    try:
        import botocore.session  # noqa: F401  whether it is there
        import zstandard
    except ImportError:
        raise ExporterUnavailable("pip install 'tracehound[s3]'") from None
    state = State(Path(context.state_dir) / "uploads.json")
    extra = {
        "StorageClass": chosen.storage_class,
        "ServerSideEncryption": chosen.encryption,
        "SSEKMSKeyId": chosen.kms_key_id,
    }
    bucket = Bucket(
        lambda: client_of(chosen, f"tracehound/{context.version}"),
        chosen.bucket,
        chosen.part_bytes,
        chosen.checksum,
        {name: value for name, value in extra.items() if value},
        state.keep_upload,
    )
    return S3(
        chosen, Path(log_dir), bucket, state, zstandard.ZstdCompressor(level=3, write_checksum=True).compress
    )


class S3:
    """Brings one log directory into one bucket, one object at a time."""

    def __init__(self, chosen: OPTIONS, log_dir: Path, bucket: Bucket, state: State, compress: Any) -> None:
        self._options, self._log_dir, self._bucket = chosen, log_dir, bucket
        self._state, self._compress = state, compress
        self._names: Names | None = None

    def take(self) -> Taken:
        """Bring over the next object, oldest segments first. Raises TryAgain."""
        try:
            names = self._names = self._names or self._make_names()
            compacted = compacted_segments(self._log_dir)
            lines = list_segments(self._log_dir)
            events = self._step(names, compacted, lines)
        except OSError as error:
            raise TryAgain(f"cannot read the log or keep the state: {error}", needs_operator=True) from None
        self._state.forget({str(name) for name in (*compacted, *lines)})
        self._state.save()
        return Taken(self._cursor(compacted, lines), max(events, 0), events >= 0)

    def close(self) -> None:
        """Let go of the connection."""
        self._bucket.close()

    def _make_names(self) -> Names:
        node = node_of(self._log_dir)
        if not node:
            raise TryAgain(f"no segment in {self._log_dir} names the node", needs_operator=False)
        return Names(self._options.prefix, node)

    def _step(self, names: Names, compacted: list[SegmentName], lines: list[SegmentName]) -> int:
        """One object; tells how many lines it brought, -1 when there was nothing to do."""
        for name in compacted:
            if str(name) not in self._state.done:
                return self._put_parquet(names, name)
        if self._put_manifest(names):
            return 0
        if self._options.live:
            for name in lines:
                if str(name) not in self._state.done and (one := self._next_slice(name)):
                    return self._put_slice(names, name, one)
        return -1

    def _put_parquet(self, names: Names, name: SegmentName) -> int:
        path = parquet_path(self._log_dir, name)
        try:
            self._bucket.put_file(names.parquet(name), path, {"segment": str(name)}, self._state.upload)
        except FileNotFoundError:
            return 0  # retention was faster; its tombstone stands in the manifest
        self._state.done.add(str(name))
        self._state.live.pop(str(name), None)
        return rows_of(self._log_dir / MANIFEST, name)

    def _put_manifest(self, names: Names) -> bool:
        path = self._log_dir / MANIFEST
        try:
            facts = path.stat()
            content = path.read_bytes()
        except FileNotFoundError:
            return False
        seen = [facts.st_size, facts.st_mtime_ns]
        if seen == self._state.manifest or not content:
            return False
        self._bucket.put(names.manifest(content), content, {})
        self._state.manifest = seen
        return True

    def _next_slice(self, name: SegmentName) -> Slice | None:
        offset, _ = self._state.live.get(str(name), (0, 0))
        try:
            return read_slice(self._log_dir / str(name), offset, SLICE_BYTES)
        except FileNotFoundError:
            return None

    def _put_slice(self, names: Names, name: SegmentName, one: Slice) -> int:
        offset, _ = self._state.live.get(str(name), (0, 0))
        self._bucket.put(
            names.live(name, offset), self._compress(one.lines), {"last-sequence": str(one.sequence)}
        )
        self._state.live[str(name)] = (one.end, one.sequence)
        return one.events

    def _cursor(self, compacted: list[SegmentName], lines: list[SegmentName]) -> str:
        """The first place that is not in the bucket."""
        for name in sorted({*compacted, *lines}):
            offset, sequence = self._state.live.get(str(name), (0, name.first_sequence - 1))
            if str(name) in self._state.done:
                continue
            path = self._log_dir / str(name)
            with contextlib.suppress(FileNotFoundError):
                if offset and path.stat().st_size <= offset and name != lines[-1]:
                    continue
            return str(Cursor(str(name), offset, sequence))
        return ""
