# SPDX-License-Identifier: Apache-2.0
"""What `tracehound demo` does while the agent watches: harmless, in a scratch directory, soon over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

SHELL = Path("/bin/sh")
SECRET = "correct-horse-battery-staple"
DISGUISE = "[kworker/0:1]"
"""A name that kernel threads have; the program in memory calls itself so."""
_MOST_S = 20


class Act(NamedTuple):
    """One thing that is done."""

    title: str
    """What it is, in one line."""
    perform: Callable[[], object]


def acts(directory: Path, port: int) -> list[Act]:
    """All acts in order. `port` serves the program to be downloaded (see `serving`)."""
    return [
        Act("a program is downloaded, made executable and started", lambda: _download(directory, port)),
        Act("a program runs from memory, under the name of a kernel thread", lambda: _from_memory(directory)),
        Act("a few processes start each other; one of them is killed", lambda: _family(directory)),
        Act("a password is given on a command line", lambda: _secret(directory)),
    ]


@contextmanager
def serving() -> Iterator[int]:
    """A web server on the loopback interface that gives the shell to everybody who asks; yields its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def fetch_command(url: str, target: str, path: str | None = None) -> list[str]:
    """How this machine downloads a file: curl, wget, or Python where neither is installed."""
    if shutil.which("curl", path=path):
        return ["curl", "-so", target, url]
    if shutil.which("wget", path=path):
        return ["wget", "-qO", target, url]
    script = "import sys, urllib.request as r; r.urlretrieve(*sys.argv[1:])"
    return [sys.executable, "-c", script, url, target]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802, RUF100 (the name that http.server looks for)
        content = SHELL.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The demo says what happens; the server does not."""


def _download(directory: Path, port: int) -> None:
    fetch = subprocess.list2cmdline(fetch_command(f"http://127.0.0.1:{port}/update", "update"))
    _run([str(SHELL), "-c", f"{fetch} && chmod +x update && ./update -c 'id -un; uname -r'"], directory)


def _from_memory(directory: Path) -> None:
    memory = os.memfd_create("update", 0)  # without MFD_CLOEXEC: the child needs it
    try:
        os.write(memory, SHELL.read_bytes())
        _run([DISGUISE, "-c", "id -un; exit 3"], directory, executable=f"/proc/self/fd/{memory}", keep=memory)
    finally:
        os.close(memory)


def _family(directory: Path) -> None:
    inner = f'{SHELL} -c "cat /etc/hostname | wc -c"'
    _run([str(SHELL), "-c", f"{inner}; sleep 60 & sleep 0.1; kill -KILL $!; wait"], directory)


def _secret(directory: Path) -> None:
    _run(["true", "--user", "backup", "--password", SECRET], directory)


def _run(argv: Sequence[str], directory: Path, *, executable: str | None = None, keep: int = -1) -> None:
    """Run a command without output; how it ends is nobody's business but the log's."""
    subprocess.run(
        argv,
        executable=executable,
        cwd=directory,
        pass_fds=() if keep < 0 else (keep,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_MOST_S,
        check=False,
    )
