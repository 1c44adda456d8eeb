# SPDX-License-Identifier: Apache-2.0
"""`tracehound policy`: TracingPolicies, checked before they run and changed while they do."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Any

from agent.cli.arguments import (
    add_agent_arguments,
    add_color_argument,
    add_output_argument,
    add_place_arguments,
    add_settings_arguments,
    whereabouts_from,
)
from agent.cli.when import HELP as WHEN_HELP
from agent.cli.when import METAVAR, parse_when
from agent.errors import AgentUnreachable, TracehoundError, UsageError

HELP = "Checks and explains TracingPolicies, and changes those of the running agent."
EXAMPLES = """\
exit status: 0 done, 1 problems in a policy or something failed, 2 wrong call, 7 no agent

examples:
  tracehound policy check *.yaml               all mistakes at once; needs neither root nor an agent
  sudo tracehound policy explain secrets.yaml  how it would run on this kernel, and what it costs
  tracehound policy add secrets.yaml --mode monitor
  tracehound policy list                       what runs, how attached, how often it matched
  tracehound policy set-mode secrets enforce
  tracehound policy disable secrets
  tracehound policy replay secrets.yaml --since 7d   what it would have matched, overridden or killed
  sudo tracehound policy disable --all --offline    detach everything, without any agent
"""
CHANGE_S = 120.0
"""How long a change may take, in seconds: the kernel verifies programs meanwhile."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nine sub-commands."""
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True, title="commands")
    check = commands.add_parser("check", help="all that is wrong with policy files, by line")
    check.add_argument("files", nargs="+", metavar="FILE")
    explain = commands.add_parser("explain", help="how policies would run on this kernel")
    explain.add_argument("files", nargs="+", metavar="FILE")
    add = commands.add_parser("add", help="load policies into the running agent, or replace them")
    add.add_argument("files", nargs="+", metavar="FILE", help="- for standard input")
    add.add_argument("--mode", choices=("enforce", "monitor"), help="above what the policy says")
    replay = commands.add_parser("replay", help="what policies would have done in the recorded past")
    replay.add_argument("files", nargs="+", metavar="FILE")
    replay.add_argument(
        "--recorded-by",
        action="append",
        default=[],
        metavar="FILE",
        help="policies that ran when the log was written (default: the configured ones and the library)",
    )
    for name, bound in (("--since", "nothing older"), ("--until", "nothing younger")):
        replay.add_argument(name, type=parse_when, metavar=METAVAR, help=f"{bound}; {WHEN_HELP}")
    add_place_arguments(replay)
    listing = commands.add_parser("list", help="policies of the running agent")
    delete = commands.add_parser("delete", help="take policies away")
    enable = commands.add_parser("enable", help="load disabled policies again")
    disable = commands.add_parser("disable", help="keep policies in the list without running them")
    disable.add_argument("--all", action="store_true", help="all policies")
    disable.add_argument(
        "--offline", action="store_true", help="without an agent: detach whatever is pinned (with --all)"
    )
    mode = commands.add_parser("set-mode", help="enforce, or only monitor")
    for one, count in ((delete, "+"), (enable, "+"), (disable, "*")):
        one.add_argument("names", nargs=count, metavar="NAME", help="NAMESPACE/NAME for namespaced policies")
    mode.add_argument("names", nargs=1, metavar="NAME")
    mode.add_argument("mode", choices=("enforce", "monitor"))
    for one in (check, explain, replay, listing):
        add_output_argument(one, "text", "json")
        add_color_argument(one)
    for one in (add, listing, delete, enable, mode):
        add_agent_arguments(one)
    add_settings_arguments(disable)
    disable.add_argument("--socket", metavar="PATH", help="ask the agent behind this control socket")


def run(args: argparse.Namespace) -> int:
    """The sub-command's exit status."""
    return _RUN[args.what](args)


def client_from(args: argparse.Namespace) -> Any:
    """Who asks the running agent. Raises AgentUnreachable where no socket is configured."""
    from agent.api.client import AgentClient

    socket = whereabouts_from(args).socket
    if not socket:
        raise AgentUnreachable("no control socket is configured", "pass one with --socket")
    return AgentClient(socket, CHANGE_S)


def _add(args: argparse.Namespace) -> int:
    from agent.cli.policy_texts import read_text

    client = client_from(args)
    for name in args.files:
        try:
            client.add_policy(read_text(name), args.mode or "")
        except TracehoundError as error:
            error.message = error.message.replace("<api>:", f"{name}:")
            raise
        print(f"{name}: loaded")
    return 0


def _delete(args: argparse.Namespace) -> int:
    return _each(args, "deleted", lambda client, name, namespace: client.delete_policy(name, namespace))


def _enable(args: argparse.Namespace) -> int:
    return _each(args, "enabled", lambda client, *name: client.configure_policy(*name, enable=True))


def _disable(args: argparse.Namespace) -> int:
    if bool(args.names) == args.all:
        raise UsageError("name policies, or say --all", "`tracehound policy disable --help`")
    if args.offline:
        if not args.all:
            raise UsageError("--offline knows hooks and no policies", "add --all")
        return _unpin(args)
    if args.all:
        args.names = [_key(one) for one in client_from(args).policies()["policies"]]
    return _each(
        args,
        "disabled",
        lambda client, name, namespace: client.configure_policy(name, namespace, enable=False),
    )


def _set_mode(args: argparse.Namespace) -> int:
    mode = args.mode
    return _each(args, f"in {mode} mode", lambda client, *name: client.configure_policy(*name, mode=mode))


def _each(args: argparse.Namespace, done: str, change: Callable[[Any, str, str], None]) -> int:
    """All that can be done is done; what failed is raised at the end, together."""
    client = client_from(args)
    failed: list[TracehoundError] = []
    for key in args.names:
        namespace, _, name = key.rpartition("/")
        try:
            change(client, name, namespace)
        except AgentUnreachable:
            raise
        except TracehoundError as error:
            failed.append(error)
        else:
            print(f"{key}: {done}")
    if failed:
        raise TracehoundError("\n".join(error.message for error in failed), failed[0].hint)
    return 0


def _unpin(args: argparse.Namespace) -> int:
    """The way out when no agent answers: removes the names of pinned programs, which detaches them."""
    from pathlib import Path

    from agent.cli.arguments import settings_from
    from agent.kernel import posts
    from agent.kernel.hookpins import unpin_all
    from agent.kernel.pins import forget_processes
    from agent.policing import PIN_DIR

    directory = Path(settings_from(args).settings.kernel.pin_dir or PIN_DIR)
    gone = unpin_all(directory)
    for hook in gone:
        print(f"{hook}: detached")
    print(f"{len(gone)} hooks were pinned in {directory}")
    for name in posts.unpin_all(directory):
        print(f"{name}: detached; nothing follows processes any more")
    for name in forget_processes(directory):
        print(f"{name}: forgotten, with what processes had inherited")
    return 0


def _key(policy: dict[str, Any]) -> str:
    return f"{policy['namespace']}/{policy['name']}" if policy["namespace"] else str(policy["name"])


def _in(module: str) -> Callable[[argparse.Namespace], int]:
    """What is only imported when it is asked for."""
    return lambda args: int(import_module(f"agent.cli.{module}").run(args))


_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _in("policy_check"),
    "explain": _in("policy_explain"),
    "list": _in("policy_list"),
    "replay": _in("policy_replay"),
    "add": _add,
    "delete": _delete,
    "enable": _enable,
    "disable": _disable,
    "set-mode": _set_mode,
}
