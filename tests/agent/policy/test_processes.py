# SPDX-License-Identifier: Apache-2.0
"""Filters on the process."""

from __future__ import annotations

import pytest

from agent.policy.model import (
    BinaryFilter,
    CapabilityFilter,
    CredentialFilter,
    NamespaceFilter,
    PidFilter,
)
from tests.agent.policy.policies import hook, selector, told


def test_pids_may_be_followed_and_of_a_namespace() -> None:
    (found,) = selector("matchPIDs: [{operator: NotIn, values: [1, 2, 1], followForks: true}]").pids
    assert found == PidFilter(False, (1, 2), follow_forks=True)
    (found,) = selector("matchPIDs: [{operator: In, values: [1], isNamespacePID: true}]").pids
    assert found == PidFilter(True, (1,), in_namespace=True)


def test_binaries_of_the_process_and_of_its_parent() -> None:
    found = selector(
        "{matchBinaries: [{operator: Prefix, values: [/opt/]}],"
        " matchParentBinaries: [{operator: In, values: [/bin/sh], followChildren: true}]}"
    )
    assert found.binaries == (BinaryFilter("Prefix", ("/opt/",)),)
    assert found.parent_binaries == (BinaryFilter("In", ("/bin/sh",), follow_children=True),)


def test_namespaces_are_numbers_or_the_hosts() -> None:
    (found,) = selector(
        "matchNamespaces: [{namespace: Mnt, operator: In, values: [host_ns, '0xf0000000']}]"
    ).namespaces
    assert found == NamespaceFilter(("mnt",), True, ("host_ns", str(0xF0000000)))
    (changed,) = selector(
        "matchNamespaceChanges: [{operator: In, values: [Mnt, PidForChildren]}]"
    ).namespace_changes
    assert changed == NamespaceFilter(("mnt", "pid_for_children"), True)


def test_capabilities_are_bits() -> None:
    text = "[{operator: In, isNamespaceCapability: true, values: [CAP_SYS_ADMIN, CAP_DAC_OVERRIDE, '0']}]"
    (found,) = selector(f"matchCapabilities: {text}").capabilities
    assert found == CapabilityFilter("effective", True, 1 << 21 | 3, in_namespace=True)
    (found,) = selector(
        "matchCapabilityChanges: [{type: Permitted, operator: NotIn, values: [CAP_BPF]}]"
    ).capability_changes
    assert found == CapabilityFilter("permitted", False, 1 << 39)


def test_current_credentials_are_ids_in_ranges() -> None:
    (found,) = selector(
        "matchCurrentCred: [{field: euid, operator: NotIn, values: ['0', '1000:1999']}]"
    ).credentials
    assert found == CredentialFilter("euid", False, ((0, 0), (1000, 1999)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("matchPIDs: [{operator: In, values: [-1]}]", "-1 is out of range"),
        ("matchPIDs: [{operator: In}]", "values is missing"),
        ("matchPIDs: [{operator: Equal, values: [1]}]", "Equal is not known here (one of: In, NotIn)"),
        ("matchBinaries: [{operator: SubString, values: [/a]}]", "is no operator for binaries"),
        ("matchBinaries: [{operator: Prefix, values: [/a], followChildren: true}]", "use In or NotIn"),
        ("matchBinaries: [{operator: In, values: [bash]}]", "is no absolute path"),
        ('matchBinaries: [{operator: Postfix, values: ["/a\\0b"]}]', "has a NUL inside"),
        ("matchNamespaces: [{namespace: Mount, operator: In, values: [host_ns]}]", "Mount is not known here"),
        ("matchNamespaces: [{namespace: Mnt, operator: In, values: [host]}]", "host is no namespace"),
        ("matchCapabilities: [{operator: In, values: [CAP_SYS_ADMN]}]", 'did you mean "CAP_SYS_ADMIN"?'),
        ("matchCapabilities: [{operator: In, values: ['64']}]", "the numbers are 0 to 63"),
        ("matchCurrentCred: [{field: uid, operator: In, values: ['5:1']}]", "5:1 is an empty range"),
    ],
)
def test_filters_that_do_not_work_are_told(text: str, problem: str) -> None:
    assert any(problem in each for each in told(hook("", text))), told(hook("", text))
