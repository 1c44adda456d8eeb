# SPDX-License-Identifier: Apache-2.0
"""Where the agent's policies are looked after: configured ones are read and compared, requests are carried
out, and every change stands in the log as a `policy` record. Made when the first policy is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.aside import Aside, at_once
from agent.enrich.home import Home
from agent.errors import TracehoundError, UsageError
from agent.policy.contents import tell
from agent.policy.engine import Engine
from agent.policy.listed import domain_of, listed
from agent.policy.model import Policy, Problem
from agent.policy.sources import Configured
from agent.policy.status import PolicyStatus, State
from agent.policy.values import HookKey
from agent.settings import PolicySettings

Record = Callable[[str, Mapping[str, object]], None]
"""Writes an own record: its kind and content."""
WORKING = (State.ENABLED, State.PARTIALLY_ENABLED)
TOGETHER = 128
"""Policies that are loaded in one change; when one of them fails, all of them are loaded one by one."""
BUDGET = "kill budget"
SHARED = ("sys_enter", "sys_exit")
"""Kinds of which one dispatcher serves all targets."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A policy that was asked for and does not run."""

    name: str
    """Its key, or the file when the text was not understood."""
    error: str


class Desk:
    """All policies of this agent, and what became of those that were asked for."""

    def __init__(self, engine: Engine, record: Record, aside: Aside = at_once) -> None:
        """`aside` carries out what takes long, so that the ring does not fill meanwhile."""
        self._engine = engine
        self._record = record
        self._aside = aside
        self._configured: dict[str, Policy] = {}
        """As they were applied last; what requests changed since stays as it is."""
        self._unread: list[Refused] = []
        """What of the configured files cannot be read."""
        self._unloaded: dict[str, Policy] = {}
        """Of renamed policies those that could not be loaded, and are tried again."""
        self._detached: set[HookKey] = set()
        self._summary: dict[str, Any] | None = None

    # Configured policies

    def configure(self, wanted: Configured) -> list[str]:
        """Makes what is configured run: new and changed policies are loaded, those that are gone are deleted,
        the others are not touched. Returns what was done and what failed, one sentence each."""
        self._unread = _unread(wanted.problems)
        said = [f"{refused.name}: {refused.error}" for refused in self._unread]
        self._summary = None
        before = self._configured
        kept = {key: policy for key, policy in before.items() if self._is_broken(policy)}
        self._configured = {**kept, **wanted.policies}
        gone = [before[key] for key in sorted(before.keys() - self._configured.keys())]
        gone += [one for key, one in self._unloaded.items() if key not in self._configured]
        self._unloaded = {}
        renamed = self._renamed(gone)
        for old, policy in renamed:
            said += self._rename(old, policy)
        for policy in gone:
            if policy not in [old for old, _ in renamed] and policy.key in self._engine.policies:
                said += self._tried(policy.key, "deleted", self._delete, policy.key, policy.where.source)
        before = before | {policy.key: policy for _, policy in renamed}
        changed = [policy for key, policy in self._configured.items() if before.get(key) != policy]
        for at in range(0, len(changed), TOGETHER):
            said += self._load_together(changed[at : at + TOGETHER])
        self._engine.rest(at_once=True)
        return said

    def failures(self) -> list[Refused]:
        """Configured or added policies that do not run as they should."""
        broken = [one for one in self._engine.policies_now() if one.state in (State.LOAD_ERROR, State.ERROR)]
        return [*self._unread, *(Refused(_key(one), one.error) for one in broken)]

    # Requests

    def add(self, text: str, mode: str, by: str) -> dict[str, Any]:
        """Loads what a text holds; a policy of the same name is replaced at one instant."""
        try:
            policies = self._aside(self._engine.policies.read, text)
            if not policies:
                raise UsageError("there is no policy in this", "begin with kind: TracingPolicy")
        except TracehoundError as error:
            self._changed("refused", "", by, error=error.message)
            raise
        for policy in policies:
            self._load(policy, mode, by)
        return {"ok": True, "policies": [policy.key for policy in policies]}

    def delete(self, key: str, by: str) -> dict[str, Any]:
        """Raises UsageError for one that is not there."""
        self._delete(key, by)
        return {"ok": True}

    def set(self, key: str, by: str, *, enable: bool | None = None, mode: str = "") -> dict[str, Any]:
        """Switches a policy on or off, and its mode."""
        if mode:
            self._aside(self._engine.policies.set_mode, key, mode)
            self._changed("mode", key, by)
        if enable is not None:
            self._aside(self._engine.policies.enable if enable else self._engine.policies.disable, key)
            self._changed("enabled" if enable else "disabled", key, by)
        if enable is None and not mode:
            raise UsageError(f"{key}: nothing to change", "say whether to enable it, or its mode")
        return {"ok": True}

    # Objects of Kubernetes

    def put(self, policies: list[Policy], by: str) -> dict[str, str]:
        """Loads policies, those that are new in one change where that is possible; each takes the place of
        one of its key at one instant. Returns the errors by key: there, what ran before runs on."""
        fresh = [one for one in policies if one.key not in self._engine.policies]
        done: list[Policy] = []
        if len(fresh) > 1 and self._aside(self._engine.policies.add_new, fresh):
            done = fresh
            for policy in done:
                self._changed("added", policy.key, by)
        errors = {}
        for policy in [one for one in policies if one not in done]:
            try:
                self._load(policy, by=by)
            except TracehoundError as error:
                errors[policy.key] = error.message
        self._engine.rest(at_once=True)
        return errors

    def skip(self, policy: Policy, by: str) -> None:
        """Lists a policy that is not for this node, and unloads it when it was."""
        known = self.knows(policy.key)
        self._aside(self._engine.policies.skip, policy)
        self._changed("changed" if known else "added", policy.key, by)

    def refuse(self, key: str, by: str, error: str) -> None:
        """Records a text that cannot be read."""
        self._changed("refused", key, by, error=error)

    def statuses(self) -> list[PolicyStatus]:
        """All policies as they are now."""
        return self._engine.policies_now()

    def knows(self, key: str, domain: str = "") -> bool:
        """Whether there is a policy of this key, loaded or not, and of this domain where one is asked for."""
        known = key in self._engine.policies
        return known and (not domain or domain == domain_of(self._engine.policies.outline(key).source))

    def told(self) -> dict[str, Any]:
        """Everything about all policies, as `policy list -o json` shows it."""
        return {
            "policies": listed(self._engine.policies_now()),
            "unread": [{"source": one.name, "error": one.error} for one in self._unread],
        }

    # The agent's loop

    def tick(self) -> list[str]:
        """Once a second: budgets that are spent. Returns what a person should know."""
        fallen = self._engine.slots.fallen()
        self._engine.rest()
        for throttled in self._engine.throttling.look():
            self._record("throttle", throttled.record())
        if not fallen:
            return []
        by_slot = {one.slot: _key(one) for one in self._engine.policies_now() if one.slot >= 0}
        return [self._fell(by_slot[slot]) for slot in fallen if slot in by_slot]

    def watch(self) -> Iterator[tuple[HookKey, bool]]:
        """With each heartbeat: hooks that were found detached (False), or are attached again (True)."""
        looked: set[HookKey] = set()
        for key, is_attached in self._engine.attached().items():
            place = HookKey(key.attach, "all" if key.attach in SHARED else key.target)
            if is_attached or place in looked:
                continue
            looked.add(place)
            again = self._engine.renew(key)
            if again or place not in self._detached:
                yield place, again
            (self._detached.discard if again else self._detached.add)(place)
        self._summary = None

    def missed(self) -> dict[tuple[str, str], int]:
        """Calls that no program judged since start, as losses: by (cause, hook)."""
        found = {}
        if suppressed := self._engine.throttling.suppressed:
            found["throttled", "policy"] = suppressed
        for (kind, target), missed in self._engine.hooks.missed().items():
            if missed:
                found["recursion", f"policy:{target or kind}"] = missed
        return found

    def summary(self) -> dict[str, Any]:
        """For the agent's status; asked anew after a change and with each heartbeat."""
        if self._summary is None:
            self._summary = _counted(self._engine.policies_now(), self._unread)
        return self._summary

    def attached(self) -> dict[HookKey, bool]:
        """Whether each hook is attached, for heartbeats."""
        return self._engine.attached()

    def drop_unclaimed(self) -> list[str]:
        """Detaches what an agent before us pinned and no policy wants; returns it as `kind target`."""
        return self._engine.drop_unclaimed()

    def tune(self, settings: PolicySettings) -> None:
        """Applies settings that change while it runs."""
        self._engine.tune(settings)
        self.set_budget(settings.kill_budget)

    def set_budget(self, budget: int) -> None:
        """Signals per policy and minute."""
        if budget != self._engine.slots.budget:
            self._engine.slots.change(budget)

    def containers_changed(self, homes: Iterable[Home]) -> None:
        """More is known of these containers."""
        self._engine.containers_changed(homes)

    def close(self) -> None:
        """Detaches what is not pinned; what was sent can still be read."""
        self._engine.close()

    # How

    def _load(self, policy: Policy, mode: str = "", by: str = "") -> None:
        known, by = policy.key in self._engine.policies, by or policy.where.source
        try:
            self._aside(self._engine.policies.add, policy, mode)
        except TracehoundError as error:
            self._changed("refused", policy.key, by, error=error.message)
            raise
        self._changed("changed" if known else "added", policy.key, by)

    def _load_together(self, policies: list[Policy]) -> list[str]:
        """In one change where that is possible, else one by one: a bad one does not keep out others."""
        if len(policies) > 1 and self._aside(self._engine.policies.add_new, policies):
            for policy in policies:
                self._changed("added", policy.key, policy.where.source)
            return [f"policy {policy.key} loaded" for policy in policies]
        said = []
        for policy in policies:
            said += self._tried(policy.key, "loaded", self._load, policy)
        return said

    def _renamed(self, gone: list[Policy]) -> list[tuple[Policy, Policy]]:
        """Of policies that are not configured any more those that have another name in their file now."""
        pairs: list[tuple[Policy, Policy]] = []
        for source in dict.fromkeys(policy.where.source for policy in gone):
            olds = [one for one in gone if one.where.source == source and self._engine.policies.runs(one.key)]
            news = [
                one
                for key, one in self._configured.items()
                if one.where.source == source and not self._engine.policies.runs(key)
            ]
            pairs += zip(_by_line(olds), _by_line(news), strict=False)
        return pairs

    def _rename(self, old: Policy, policy: Policy) -> list[str]:
        """What fails is tried again with the next look at the files; until then the old one counts as
        configured."""
        source = policy.where.source
        try:
            self._aside(self._engine.policies.rename, old.key, policy)
        except TracehoundError as error:
            self._changed("refused", policy.key, source, error=error.message)
            self._unloaded[policy.key] = self._configured.pop(policy.key)
            self._configured[old.key] = old
            return [f"{policy.key}: {error.message}", f"policy {old.key} runs on in its place"]
        self._changed("deleted", old.key, source)
        self._changed("added", policy.key, source)
        return [f"policy {policy.key} loaded in the place of {old.key}"]

    def _delete(self, key: str, by: str) -> None:
        self._aside(self._engine.policies.delete, key)
        self._changed("deleted", key, by)

    def _tried(self, key: str, done: str, call: Callable[..., None], *arguments: object) -> list[str]:
        try:
            call(*arguments)
        except TracehoundError as error:
            return [f"{key}: {error.message}"]
        return [f"policy {key} {done}"]

    def _is_broken(self, policy: Policy) -> bool:
        """Whether its file is there still, with a mistake: then what runs stays."""
        return any(refused.name == policy.where.source for refused in self._unread)

    def _fell(self, key: str) -> str:
        self._engine.policies.set_mode(key, "monitor")
        budget = self._engine.slots.budget
        text = f"more than {budget} signals in a minute: it only monitors until its mode is set again"
        self._changed("alarm", key, BUDGET, error=text)
        return f"policy {key}: {text}"

    def _changed(self, action: str, key: str, by: str, error: str = "") -> None:
        """Writes the record, with what the policy is now."""
        self._summary = None
        content: dict[str, object] = {"name": key, "action": action, "by": by}
        if key in self._engine.policies:
            now = self._engine.policies.outline(key)
            content |= {"name": now.name, "mode": now.mode, "state": str(now.state)}
            content |= {"namespace": now.namespace} if now.namespace else {}
            content |= {"passed_over": list(now.passed_over)} if now.passed_over else {}
            content["hooks"] = [
                {"function": function, "attach": place.attach, "target": place.target}
                for function, place in now.hooks
            ]
        self._record("policy", content | ({"error": error} if error else {}))


def _held_back(policy: PolicyStatus) -> int:
    """How often nothing was done because it would have hit the agent or another protected process."""
    return sum(one.counts.get("protected", 0) for hook in policy.hooks for one in hook.selectors)


def _by_line(policies: list[Policy]) -> list[Policy]:
    return sorted(policies, key=lambda policy: policy.where.line)


def _key(status: PolicyStatus) -> str:
    return f"{status.namespace}/{status.name}" if status.namespace else status.name


def _unread(problems: list[Problem]) -> list[Refused]:
    """Errors by file."""
    texts: dict[str, list[str]] = {}
    for problem in problems:
        if problem.is_error:
            texts.setdefault(problem.where.source, []).append(tell(problem))
    return [Refused(source, "; ".join(lines)) for source, lines in texts.items()]


def _counted(policies: list[PolicyStatus], unread: list[Refused]) -> dict[str, Any]:
    working = [one for one in policies if one.state in WORKING]
    failed = [one for one in policies if one.state in (State.LOAD_ERROR, State.ERROR)]
    return {
        "enabled": len(working),
        "monitored": sum(one.mode == "monitor" for one in working),
        "failed": len(failed) + len(unread),
        "disabled": sum(one.state is State.DISABLED for one in policies),
        "hooks": len({(hook.attach, hook.target) for one in policies for hook in one.hooks}),
        "protected": sum(_held_back(one) for one in policies),
        "failures": [
            *({"name": one.name, "error": one.error} for one in unread),
            *({"name": _key(one), "error": one.error} for one in failed),
        ],
    }
