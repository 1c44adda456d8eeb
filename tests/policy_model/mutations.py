# SPDX-License-Identifier: Apache-2.0
"""Deliberate mistakes in the compiler, each of which the comparison with the model must find."""

from dataclasses import replace

from agent.policy import (
    addresses,
    classes,
    compile,
    conditions,
    deeds,
    dimensions,
    groups,
    integers,
    operators,
    pathtables,
    texts,
)


def negation_is_forgotten(patch):
    read = conditions.read_operator
    patch.setattr(conditions, "read_operator", lambda *args: (read(*args)[0], False))


def filters_of_a_selector_are_alternatives(patch):
    def judge(self, hit):
        members = self._base
        for number in groups.members_of(hit):
            members |= 1 << self.constraints[number].selector
        return members

    patch.setattr(groups.Group, "_judge", judge)


def longer_prefixes_forget_shorter_ones(patch):
    patch.setattr(texts, "nodes", lambda hits: iter(hits.items()))


def inner_networks_forget_outer_ones(patch):
    def hits_of(group):
        own = {addresses.EVERYWHERE: 0, addresses.MAPPED: 0}
        for at, constraint in enumerate(group.constraints):
            for network in constraint.values:
                own[network] = own.get(network, 0) | 1 << at
        return own

    patch.setattr(addresses, "hits_of", hits_of)


def ranges_end_one_too_early(patch):
    clamped = operators.clamped

    def shorter(*args):
        return [(low, high - 1) for low, high in clamped(*args) if low < high]

    patch.setattr(operators, "clamped", shorter)


def signs_are_ignored(patch):
    patch.setattr(operators, "type_of", lambda value: (value.size, False))


def all_selectors_that_match_act(patch):
    pack = compile.pack_selector
    patch.setattr(compile, "pack_selector", lambda *args, **more: pack(*args, **{**more, "later": 0}))


def posting_is_not_suppressed(patch):
    of = compile.deeds_of
    always = deeds.ActionFlag.POST

    def deeds_of(*args, **more):
        found = of(*args, **more)
        return replace(found, flags=found.flags | always)

    patch.setattr(compile, "deeds_of", deeds_of)


def prefixes_end_at_names(patch):
    """A path that only begins like the prefix's last name is rejected without a look."""
    patch.setitem(
        pathtables.NEEDS, dimensions.Kind.PREFIX, lambda text: pathtables.needs_of_prefix(text + b"/")
    )


def children_inherit_nothing(patch):
    patch.setattr(classes, "follows_of", lambda conditions: iter(()))


def parents_are_not_asked(patch):
    of = compile.conditions_of
    patch.setattr(compile, "conditions_of", lambda *args: replace(of(*args), parent_binaries=()))


def masks_that_must_hold_are_one(patch):
    patch.setattr(integers, "members_of", lambda mask: groups.members_of(mask)[:1])


ALL = [
    negation_is_forgotten,
    filters_of_a_selector_are_alternatives,
    longer_prefixes_forget_shorter_ones,
    inner_networks_forget_outer_ones,
    ranges_end_one_too_early,
    signs_are_ignored,
    all_selectors_that_match_act,
    posting_is_not_suppressed,
    prefixes_end_at_names,
    children_inherit_nothing,
    parents_are_not_asked,
    masks_that_must_hold_are_one,
]
