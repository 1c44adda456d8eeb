# SPDX-License-Identifier: Apache-2.0
import subprocess
from pathlib import Path

import pytest
import trustme

from agent.api.certificates import Certificates, context
from agent.errors import SettingsError
from agent.settings import ApiSettings, TlsSettings


def files(directory: Path, name: str = "localhost") -> TlsSettings:
    """Certificate, key and authority in files."""
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    issued.cert_chain_pems[0].write_to_path(directory / "cert")
    issued.private_key_pem.write_to_path(directory / "key")
    authority.cert_pem.write_to_path(directory / "ca")
    return TlsSettings(*(str(directory / one) for one in ("cert", "key", "ca")))


def test_the_texts_are_told_once_until_a_file_changes(tmp_path: Path) -> None:
    certificates = Certificates(ApiSettings(tls=files(tmp_path)))
    told = certificates.answer({})
    assert told["cert"].startswith("-----BEGIN CERTIFICATE") and "PRIVATE KEY" in told["key"]
    assert certificates.answer({"stamp": told["stamp"]}) == {"unchanged": True}
    (tmp_path / "ca").write_text("other")
    assert certificates.answer({"stamp": told["stamp"]})["client_ca"] == "other"


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    certificates = Certificates(ApiSettings(tls=files(tmp_path)))
    (tmp_path / "key").unlink()
    assert "No such file" in certificates.answer({})["error"]


def test_without_tls_there_is_nothing_to_read() -> None:
    assert not Certificates(ApiSettings()).enabled


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (ApiSettings(tls=TlsSettings(cert="/c")), "cert and key belong together"),
        (ApiSettings(tls=TlsSettings(client_ca="/c")), "needs api.tls.cert"),
        (ApiSettings(listen="0.0.0.0:1"), "can be reached from other machines"),
        (ApiSettings(listen=":1", tls=TlsSettings("/c", "/k")), "can be reached from other machines"),
        (ApiSettings(tls=TlsSettings("/no/cert", "/no/key")), "api.tls: .*No such file"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: ApiSettings, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        Certificates(settings)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    tls = files(tmp_path)
    trustme.CA().issue_cert("x").private_key_pem.write_to_path(tmp_path / "key")
    with pytest.raises(SettingsError, match=r"api\.tls: .*KEY_VALUES_MISMATCH"):
        Certificates(ApiSettings(tls=tls))


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    tls = files(tmp_path)
    command = f"openssl pkey -aes256 -passout pass:x -in {tls.key} -out {tls.key}.enc"
    subprocess.run(command.split(), check=True)
    with pytest.raises(SettingsError, match="has a passphrase"):
        Certificates(ApiSettings(tls=TlsSettings(tls.cert, f"{tls.key}.enc")))


def test_only_with_an_authority_clients_have_to_show_something(tmp_path: Path) -> None:
    import ssl

    told = Certificates(ApiSettings(tls=files(tmp_path))).answer({})
    assert context(told).verify_mode is ssl.CERT_REQUIRED
    assert context({**told, "client_ca": ""}).verify_mode is ssl.CERT_NONE
