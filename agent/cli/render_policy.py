# SPDX-License-Identifier: Apache-2.0
"""Events of policies in a few words: function, arguments, what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.cli.color import Palette
from agent.cli.text import clean, quote

SHOWN = 300
"""Characters of one argument on a line."""
_TARGETS = ("function_name", "symbol", "path", "subsys", "event")
_QUIET_ACTIONS = ("", "KPROBE_ACTION_POST", "KPROBE_ACTION_UNKNOWN")


def describe_hook(event: Mapping[str, Any], color: Palette) -> str:
    """`security_file_open /etc/shadow SIGKILL [policy]`."""
    parts = [clean(str(event[name])) for name in _TARGETS if name in event]
    parts += [_value(argument) for argument in event.get("args", ())]
    if "return" in event:
        parts.append(f"= {_value(event['return'])}")
    action = str(event.get("action", ""))
    if action not in _QUIET_ACTIONS:
        parts.append(f"{color.bad}{clean(action.removeprefix('KPROBE_ACTION_'))}{color.end}")
    if "policy_name" in event:
        parts.append(f"{color.dim}[{clean(str(event['policy_name']))}]{color.end}")
    return " ".join(parts)


def _value(argument: Any) -> str:
    """One argument, `{"<type>_arg": value}`, as text."""
    if isinstance(argument, dict) and argument:
        argument = next((value for name, value in argument.items() if name != "label"), "")
    if isinstance(argument, dict):
        if "daddr" in argument or "saddr" in argument:
            return _connection(argument)
        argument = argument.get("path") or argument.get("name") or argument.get("value") or str(argument)
    return quote(str(argument)[:SHOWN])


def _connection(socket: Mapping[str, Any]) -> str:
    ends = (f"{socket.get(side + 'addr', '?')}:{socket.get(side + 'port', 0)}" for side in "sd")
    return clean(" → ".join(ends))
