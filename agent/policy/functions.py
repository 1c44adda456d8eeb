# SPDX-License-Identifier: Apache-2.0
"""Hooks on kernel functions and LSM hooks: how each is attached on this kernel."""

from __future__ import annotations

from agent.kernel.btf import KIND_FWD
from agent.kernel.probes import Answer
from agent.kernel.shapes import CType, Prototype
from agent.kernel.symbols import or_nearest
from agent.kernel.view import KernelView
from agent.policy.drafts import ACTING, RETURNS, Draft, uses_of
from agent.policy.overrides import find_override_alternative, override_ways, wants_override, way_out
from agent.policy.reading import Offer, slot_of
from agent.policy.syscalls import is_known
from agent.policy.values import HookKey, HookUse

CONTEXT_WORDS, REGISTERS = 12, 6
"""Arguments that programs can read: MAX_BPF_FUNC_ARGS (Linux include/linux/bpf.h); those in registers on
x86-64 (arm64 has two more, which the programs do not read)."""
TRAMPOLINE_WORDS = 6
"""What trampolines of older kernels can pass: beyond that attaching is tried: Linux kernel commit
473e3150e30a "bpf, x86: allow function arguments up to 12 for TRACING" (in v6.6)."""
_OWN = (
    "__bpf_prog_enter", "__bpf_prog_exit", "__bpf_tramp_", "bpf_trampoline_", "bpf_ringbuf_",
    "bpf_probe_read_", "bpf_get_current_", "bpf_ktime_get_", "copy_from_kernel_nofault",
    "copy_from_user_nofault", "__htab_map_lookup_", "htab_map_", "array_map_lookup_elem",
    "array_map_update_elem", "percpu_array_map_lookup", "trie_lookup_elem", "trace_call_bpf",
    "bpf_trace_run", "__rcu_read_", "rcu_read_", "migrate_enable", "migrate_disable",
)  # fmt: skip
"""The agent's own programs run through these: watching them would be watching itself."""

LONG = CType("integer", "long int", "long", 8, True)
"""What a function returns whose prototype is not known."""

PREEMPTED = "no trampoline: this kernel skips its programs while another task is preempted in them"

SKIPPED = (
    "this kernel skips the program while another task of the CPU is preempted in it: under load calls are "
    "missed, and counted (loss, cause recursion)"
)


def plan_function(draft: Draft) -> list[HookUse]:
    """A kprobe or fentry hook on a function."""
    name = draft.hook.target
    if name.startswith(_OWN):
        draft.error(f"{name} is part of how programs run in the kernel", "hook the function that calls it")
        return []
    if not draft.view.has_function(name):
        draft.not_found(*_unknown(name, draft.view))
        return []
    if draft.view.copies(name) > 1:
        draft.report.warn(
            draft.hook.where,
            f"{name}: this kernel has {draft.view.copies(name)} functions of that name; one is watched",
        )
    kind = choose_kind(draft, name, _kinds(draft, name))
    return _uses(draft, kind, name) if kind else []


def plan_lsm(draft: Draft) -> list[HookUse]:
    """An LSM hook."""
    name, view = draft.hook.target.removeprefix("bpf_lsm_"), draft.view
    prototype = view.lsm_prototype(name)
    if prototype is None:
        plain = name.removeprefix("security_")
        near = or_nearest(plain, view.lsm_hooks()) if plain == name else f"write {plain}"
        draft.not_found(f"this kernel has no LSM hook {name}", near)
        return []
    answer = view.takes("lsm", name)
    if answer.there is False:
        hint = "" if view.lsm_runs else "boot with `bpf` in lsm= (see /sys/kernel/security/lsm)"
        draft.error(f"{name}: LSM programs do not work here: {answer.reason}", hint)
        return []
    if wants_override(draft.hook) and prototype.result.form == "void":
        draft.cannot_enforce(
            f"{name} returns nothing: there is nothing to override", "use Sigkill, or another hook"
        )
    return uses_of(draft, HookKey("lsm", name), _offer_of_lsm(name, view), name, None)


def _offer_of_lsm(hook: str, view: KernelView) -> Offer:
    prototype = view.lsm_prototype(hook)
    return Offer(hook, view.btf, prototype.parameters if prototype else (), None, CONTEXT_WORDS)


def choose_kind(draft: Draft, name: str, kinds: tuple[str, ...]) -> str:
    """The first kind that this kernel takes here; why not those before it becomes a note. Empty, with an
    error, where it takes none."""
    reasons: list[str] = []
    for kind in kinds:
        answer = takes(draft, kind, name)
        if answer.there is not False:
            draft.notes.extend(reasons)
            if draft.view.preempts and (len(kinds) > 1 or kind != "kprobe"):
                draft.notes.append(PREEMPTED if kind in ("kprobe", "lsm") else SKIPPED)
            return kind
        reasons.append(f"no {kind}: {answer.reason}")
    draft.no_way(
        f"{name} cannot be hooked here: {'; '.join(reasons)}",
        "`tracehound doctor` shows what this kernel offers",
    )
    return ""


def takes(draft: Draft, kind: str, name: str) -> Answer:
    """Whether a kind, and the kind at the function's end when that is wanted, can hang on this function."""
    view = draft.view
    if kind == "lsm":
        return view.takes(kind, find_override_alternative(name))
    if kind in ("fentry", "fmod_ret"):
        prototype = view.prototype(name)
        if prototype is None:
            return Answer(False, f"{name} is not in the kernel's types (BTF)")
        if text := _unreadable(draft, name, prototype):
            return Answer(False, f"the kernel's types do not tell what {text} of {name} is")
        words = slot_of(prototype.parameters, len(prototype.parameters))
        answer = view.takes(kind, name, attach=words > TRAMPOLINE_WORDS)
        if answer.there is not False and draft.hook.returns:
            return view.takes("fexit", name)
        return answer
    if kind == "kprobe" and view.forbids_kprobe(name):
        return Answer(False, f"the kernel allows none on {name}")
    return view.offers(kind)


def _unreadable(draft: Draft, name: str, prototype: Prototype) -> str:
    """An argument that is wanted and that the verifier lets nobody read: a pointer to a struct that is only
    declared (BTF_KIND_FWD; btf_ctx_access in Linux kernel/bpf/btf.c says `is not a struct`). On v5.10 those
    are struct pt_regs of half of all system calls. Empty where there is none."""
    btf = draft.view.types_of(name)
    wanted = {0} if draft.hook.is_syscall else {argument.index for argument in draft.hook.arguments}
    pointers = (p.type for at, p in enumerate(prototype.parameters) if at in wanted and p.type.depth == 1)
    return next((one.text for one in pointers if btf.kind(one.target) == KIND_FWD), "")


def enforcing_kinds(draft: Draft, function: str, told: str) -> tuple[str, ...]:
    """Kinds that can override this function's result; empty, with the way out, where there are none. `told`
    is the name that the policy uses."""
    if draft.hook.kind == "fentry":
        return ()
    ways = override_ways(function, draft.policy.options, draft.view)
    if not ways.kinds:
        reasons = "; ".join(ways.reasons)
        draft.cannot_enforce(
            f"Override of {told} is not possible here: {reasons}", way_out(function, draft.view)
        )
    return tuple(kind for kind in ways.kinds if kind != "lsm" or not draft.hook.returns)


def _kinds(draft: Draft, name: str) -> tuple[str, ...]:
    if draft.hook.kind == "fentry":
        if forbidden := sorted(draft.actions & ACTING):
            draft.error(
                f"fentries take no action on calls: {', '.join(forbidden)}", "use kprobes or lsmhooks"
            )
        return ("fentry",)
    kinds = enforcing_kinds(draft, name, name) if wants_override(draft.hook) else ()
    kinds = kinds or watching_kinds(draft, name)
    return (
        tuple(kind for kind in kinds if kind == "kprobe") or ("kprobe",) if draft.needs_registers else kinds
    )


def watching_kinds(draft: Draft, name: str) -> tuple[str, ...]:
    """Kinds that tell of a call, the cheapest first of those that are never skipped."""
    prototype = draft.view.prototype(name)
    reads_all = prototype is None or slot_of(prototype.parameters, len(prototype.parameters)) <= REGISTERS
    if draft.view.preempts and reads_all and not draft.hook.returns:
        return ("kprobe", "fentry")
    return ("fentry", "kprobe")


def _uses(draft: Draft, kind: str, name: str) -> list[HookUse]:
    view = draft.view
    if kind == "lsm":
        hook = find_override_alternative(name)
        return uses_of(draft, HookKey(kind, hook), _offer_of_lsm(hook, view), name, None)
    prototype = view.prototype(name)
    parameters = prototype.parameters if prototype else None
    if prototype is None:
        draft.notes.append(f"{name} is not in the kernel's types: arguments are taken as the policy says")
    offer = Offer(
        name=name,
        btf=view.types_of(name),
        parameters=parameters,
        result=prototype.result if prototype else LONG,
        most=REGISTERS if kind == "kprobe" else CONTEXT_WORDS,
        has_registers=kind == "kprobe",
        result_index=slot_of(parameters, len(parameters)) if parameters else 0,
    )
    end = HookKey(RETURNS[kind], name) if draft.hook.returns else None
    return uses_of(draft, HookKey(kind, name), offer, name, end)


def _unknown(name: str, view: KernelView) -> tuple[str, str]:
    """What is wrong with a function that is not there, and what to do."""
    variants = [f"{name}.{suffix}.0" for suffix in ("isra", "constprop", "part")]
    if made := next((variant for variant in variants if variant in view.symbols), ""):
        return f"this kernel has {name} only as {made}, whose arguments the compiler has changed", ""
    if view.btf.has_function(name):
        return (
            f"{name} is inlined in this kernel: there is no function to hang on",
            "hook a function that calls it",
        )
    if name.startswith("sys_") and is_known(name):
        return f"this kernel has no function {name}", "it is a system call: write `syscall: true`"
    return f"this kernel has no function {name}", or_nearest(name, view.symbols)
