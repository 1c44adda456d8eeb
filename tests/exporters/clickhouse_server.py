# SPDX-License-Identifier: Apache-2.0
"""A ClickHouse server of its own in a scratch directory: Debian's 18.16, for the wire protocol."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from exporters.tables import ddl, statements
from tests.exporters.relay import free_port

BINARY = shutil.which("clickhouse-server", path="/usr/sbin:/usr/bin:/usr/local/bin")

_CONFIG = """<yandex>
 <logger><level>warning</level><log>{place}/log</log><errorlog>{place}/errors</errorlog></logger>
 <tcp_port>{port}</tcp_port><http_port>{other}</http_port><listen_host>127.0.0.1</listen_host>
 <path>{place}/data/</path><tmp_path>{place}/tmp/</tmp_path><users_config>{place}/users.xml</users_config>
 <default_profile>default</default_profile><default_database>default</default_database>
 <mark_cache_size>67108864</mark_cache_size><timezone>UTC</timezone>
</yandex>"""
_SECURE = """<tcp_port_secure>{port}</tcp_port_secure><openSSL><server>
 <certificateFile>{own}</certificateFile><privateKeyFile>{own}</privateKeyFile><caConfig>{ca}</caConfig>
 <verificationMode>strict</verificationMode><loadDefaultCAFile>false</loadDefaultCAFile>
</server></openSSL></yandex>"""
"""A port that takes nobody without a certificate of `ca`."""
_USER = "<{0}><password>{1}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>\
<quota>default</quota></{0}>"
_NO_LIMITS = "".join(
    f"<{name}>0</{name}>" for name in ("queries", "errors", "result_rows", "read_rows", "execution_time")
)
_USERS = f"""<yandex><profiles><default/></profiles><users>{{users}}</users>
<quotas><default><interval><duration>3600</duration>{_NO_LIMITS}</interval></default></quotas></yandex>"""


class Server:
    """Started with a user `default` without a password and a user `agent` whose password is `secret`.

    With `own` and `ca` (PEM files) also with a port for TLS, `secure_port`.
    """

    def __init__(self, place: Path, own: str = "", ca: str = "") -> None:
        self.port, self.secure_port = free_port(), free_port()
        users = _USER.format("default", "") + _USER.format("agent", "secret")
        (place / "users.xml").write_text(_USERS.format(users=users))
        config = _CONFIG.format(place=place, port=self.port, other=free_port())
        if own:
            secure = _SECURE.format(port=self.secure_port, own=own, ca=ca)
            config = config.replace("</yandex>", secure)
        (place / "config.xml").write_text(config)
        command = [str(BINARY), f"--config-file={place}/config.xml"]
        with (place / "output").open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, cwd=place)

    def wait(self) -> None:
        """Until it answers."""
        from clickhouse_driver.errors import Error

        until = time.monotonic() + 60
        while True:
            try:
                self.ask("SELECT 1")
            except (Error, OSError, EOFError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                return

    def ask(self, query: str) -> list[Any]:
        """Rows of an answer."""
        import clickhouse_driver

        client = clickhouse_driver.Client("127.0.0.1", port=self.port)
        try:
            found: list[Any] = client.execute(query)
            return found
        finally:
            client.disconnect()

    def table(self, name: str) -> str:
        """A new table in the form for old servers."""
        for statement in statements(ddl("clickhouse-old", f"tracehound.{name}")):
            self.ask(statement)
        return f"tracehound.{name}"

    def sequences(self, table: str) -> list[int]:
        """What arrived, by number."""
        return [row[0] for row in self.ask(f"SELECT sequence FROM {table} ORDER BY sequence")]

    def stop(self) -> None:
        """Nothing of it stays."""
        self.process.kill()
        self.process.wait()
