# SPDX-License-Identifier: Apache-2.0
"""What became of a call, as events tell it below `tracehound.policy`: what was done, what would have been,
and why it was not."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

from orjson import dumps

from agent.events import HookMatch
from agent.log.encode import signal_name
from agent.policy.model import Action

ACTION_SIGNAL = 1 << 3
ACTION_OVERRIDE = 1 << 4
ACTION_NOTIFY_ENFORCER = 1 << 5
ACTION_MONITORED = 1 << 16
ACTION_PROTECTED = 1 << 17
ACTION_BUDGET = 1 << 18
"""Of enum action_flags, what is told."""
TOLD = ACTION_SIGNAL | ACTION_OVERRIDE | ACTION_NOTIFY_ENFORCER
TOLD |= ACTION_MONITORED | ACTION_PROTECTED | ACTION_BUDGET
"""An event without any of them has nothing to tell."""
ENFORCING = ("Sigkill", "Signal", "Override", "NotifyEnforcer")
_HELD = ((ACTION_PROTECTED, "protected process"), (ACTION_BUDGET, "kill budget"))
"""Why something was not done that the policy asks for, other than its mode."""


def policy_json(policy: Mapping[str, object], would: Sequence[str], match: HookMatch) -> str:
    """The key `policy` below `tracehound`, behind a comma. `policy`: what is the same for all events of the
    selector; `would`: its actions in words."""
    content, actions = dict(policy), match.actions
    if actions & ACTION_MONITORED:
        content["mode"] = "monitor"
    if actions & (ACTION_MONITORED | ACTION_PROTECTED) and would:
        content["would"] = would
    for flag, reason in _HELD:
        if actions & flag:
            content["held"] = reason
    if did := _did(match):
        content["did"] = did
    if match.suppressed:
        content["suppressed"] = match.suppressed
    return f',"policy":{dumps(content).decode()}'


def _did(match: HookMatch) -> list[str]:
    did = []
    if match.actions & ACTION_OVERRIDE:
        did.append(f"Override {_error_name(match.error)}")
    if match.actions & ACTION_SIGNAL:
        did.append(f"Signal {signal_name(match.signal)}")
    if match.actions & ACTION_NOTIFY_ENFORCER:
        did.append("NotifyEnforcer")
    return did


def wording(action: Action) -> str:
    """`Override EPERM`, `Signal SIGKILL`, `NotifyEnforcer`."""
    if action.name == "Override":
        return f"Override {_error_name(action.error)}"
    if action.name == "NotifyEnforcer":
        return action.name
    return f"Signal {signal_name(9 if action.name == 'Sigkill' else action.signal)}"


def _error_name(error: int) -> str:
    """`EPERM` for -1; 0 is a success that was not one."""
    return errno.errorcode.get(-error, str(error))
