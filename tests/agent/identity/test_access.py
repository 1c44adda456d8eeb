# SPDX-License-Identifier: Apache-2.0
"""Where the API server is."""

import base64
import json
import os
from pathlib import Path

import pytest

from agent.identity import access
from agent.identity.access import NoAccess, find_access, read_kubeconfig
from agent.identity.options import Options


def config(place: Path, user: dict[str, object], cluster: dict[str, object] | None = None) -> Path:
    """A kubeconfig."""
    found = {"server": "https://example:6443", **(cluster or {})}
    text = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": found}],
        "users": [{"name": "u", "user": user}],
    }
    path = place / "config"
    path.write_text(json.dumps(text))
    return path


def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "ACCOUNT", tmp_path)
    (tmp_path / "token").write_text("one\n")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = find_access(Options(), environ)
    assert found and found.server == "https://[fd00::1]:443" and found.bearer() == "one"
    (tmp_path / "token").write_text("two")
    assert found.bearer() == "two"


def test_a_plain_host_has_no_api_server() -> None:
    assert find_access(Options(), {}) is None


def test_an_api_server_that_was_asked_for_must_be_there() -> None:
    with pytest.raises(NoAccess, match=r"identity\.kubeconfig"):
        find_access(Options(kubernetes=True), {})


def test_switched_off_counts_more_than_a_kubeconfig(tmp_path: Path) -> None:
    assert find_access(Options(kubernetes=False, kubeconfig=str(tmp_path)), {}) is None


def test_a_kubeconfig_names_server_token_and_certificates(tmp_path: Path) -> None:
    data = base64.b64encode(b"PEM").decode()
    path = config(tmp_path, {"token": "t"}, {"certificate-authority-data": data})
    found = read_kubeconfig(path)
    assert found.bearer() == "t" and found.ca_file and Path(found.ca_file).read_bytes() == b"PEM"


def test_a_key_in_a_kubeconfig_is_on_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "read-only"))
    data = base64.b64encode(b"KEY").decode()
    found = read_kubeconfig(config(tmp_path, {"client-key-data": data}))
    assert found.key and os.readlink(found.key).startswith("/memfd:")


def test_a_token_s_file_lies_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    assert read_kubeconfig(config(tmp_path, {"tokenFile": "token"})).bearer() == "t"


def test_a_kubeconfig_that_calls_a_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoAccess, match="calls a program"):
        read_kubeconfig(config(tmp_path, {"exec": {"command": "aws"}}))


@pytest.mark.parametrize("text", ["", "[]", "current-context: x", "{"])
def test_a_broken_kubeconfig_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(NoAccess, match="no kubeconfig"):
        read_kubeconfig(tmp_path / "config")


def test_data_that_is_not_base64_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoAccess, match="no kubeconfig"):
        read_kubeconfig(config(tmp_path, {"client-key-data": "A"}))


def test_a_token_that_is_gone_says_which(tmp_path: Path) -> None:
    found = read_kubeconfig(config(tmp_path, {"tokenFile": str(tmp_path / "gone")}))
    with pytest.raises(NoAccess, match="gone"):
        found.bearer()


def test_a_token_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(NoAccess, match="not UTF-8"):
        read_kubeconfig(config(tmp_path, {"tokenFile": "token"})).bearer()
