# SPDX-License-Identifier: Apache-2.0
from agent.detect.offers import library, policies_for


def test_the_library_offers_hooks() -> None:
    assert len({offer.policy for offer in library()}) > 40


def test_a_policy_that_denies_is_never_suggested() -> None:
    active = {offer.policy for offer in library() if offer.is_active}
    hooks = {offer.function for offer in library()}
    told = {name for hook in hooks for name in policies_for(library(), hook, (), False)[0]}
    assert told and all(any(o.policy == name and not o.is_active for o in library()) for name in told), active
