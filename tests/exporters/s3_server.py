# SPDX-License-Identifier: Apache-2.0
"""moto's S3 server as a process of its own, and a look into its buckets."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.exporters.relay import free_port

BUCKET = "evidence"


class Server:
    """With one bucket. `open_calls`: how many calls need no credentials; None: all. `own` and `ca`: PEM files
    for TLS."""

    def __init__(self, place: Path, open_calls: int | None = None, own: str = "", ca: str = "") -> None:
        self.port = free_port()
        self.url = f"{'https' if own else 'http'}://127.0.0.1:{self.port}"
        environment = dict(os.environ, AWS_EC2_METADATA_DISABLED="true")
        if open_calls is not None:
            environment["INITIAL_NO_AUTH_ACTION_COUNT"] = str(open_calls)
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        command += ["-c", own, "-k", own] if own else []
        self._trust = ssl.create_default_context(cafile=ca) if ca else None
        with (place / "moto").open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        self._wait()
        self.client = client(self.url, ca)
        self.client.create_bucket(Bucket=BUCKET)

    def keys(self, end: str = "") -> list[str]:
        """Keys that end so, sorted."""
        answer = self.client.list_objects_v2(Bucket=BUCKET)
        return sorted(one["Key"] for one in answer.get("Contents", []) if one["Key"].endswith(end))

    def content(self, key: str) -> bytes:
        """Of an object."""
        found: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return found

    def empty(self) -> None:
        """Remove all objects and uploads."""
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)
        for one in self.uploads():
            self.client.abort_multipart_upload(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"])

    def uploads(self) -> list[dict[str, Any]]:
        """Multipart uploads that are under way."""
        found: list[dict[str, Any]] = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return found

    def stop(self) -> None:
        """Nothing of it stays."""
        self.process.kill()
        self.process.wait()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5, context=self._trust):
                    return
            except urllib.error.HTTPError as answer:
                answer.close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


def client(url: str, ca: str = "") -> Any:
    """A client of the test's own."""
    import botocore.session

    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "verify": ca or None}
    return botocore.session.get_session().create_client(
        "s3", region_name="us-east-1", endpoint_url=url, **keys
    )
