# SPDX-License-Identifier: Apache-2.0
"""Errors, named by what the reader has to do about them.

Every error has a `hint`: the way out, one sentence, shown under the message by the command line.
"""

from __future__ import annotations


class TracehoundError(Exception):
    """Base of all errors that the command line shows without a traceback.

    `exit_status` is what the process ends with when nobody handles the error.
    """

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TracehoundError):
    """The command line is wrong: correct the call."""

    exit_status = 2


class SettingsError(TracehoundError):
    """Settings are wrong: correct the named places. Carries all problems of all files at once."""

    exit_status = 2

    def __init__(self, problems: list[str], hint: str = "") -> None:
        super().__init__("\n".join(problems), hint)
        self.problems = problems


class PermissionMissing(TracehoundError):
    """A capability or file mode is missing: run with it."""

    exit_status = 3


class KernelUnsupported(TracehoundError):
    """This kernel lacks something that the request needs; `tracehound doctor` tells what."""

    exit_status = 4


class KernelRefused(TracehoundError):
    """The kernel refused a program, map or link. Carries the errno and the verifier's last lines."""

    exit_status = 4

    def __init__(self, message: str, errno: int, log_tail: str = "", hint: str = "") -> None:
        super().__init__(message, hint)
        self.errno = errno
        self.log_tail = log_tail


class HookRefused(KernelRefused):
    """The kernel takes no program at this one place, whatever the program: hook another one."""


class LogUnavailable(TracehoundError):
    """The log directory cannot be used (absent, not readable, not writable): fix the directory."""

    exit_status = 5


class AlreadyRunning(TracehoundError):
    """Another agent holds this log directory or socket: stop it or choose another one."""

    exit_status = 6


class AgentUnreachable(TracehoundError):
    """No agent answers on the control socket: start it, or pass the right socket."""

    exit_status = 7


class StageDied(TracehoundError):
    """A part of the agent stopped unexpectedly; the agent ends rather than run half-blind."""

    exit_status = 70
