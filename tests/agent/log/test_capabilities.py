# SPDX-License-Identifier: Apache-2.0
import orjson

from agent.log.capabilities import capability_masks, capability_names, securebit_names

from .conftest import recorded


def test_all_capabilities_have_the_names_that_were_recorded() -> None:
    names = orjson.loads(recorded("process_exec"))["process_exec"]["process"]["cap"]["permitted"]
    assert capability_names("1ffffffffff") == names
    assert [capability_names(f"{1 << bit:x}") for bit in range(41)] == [[name] for name in names]


def test_masks_may_have_a_prefix_and_unknown_bits() -> None:
    assert capability_names("0x2") == ["DAC_OVERRIDE"]
    assert capability_names("80000000000000c0") == ["CAP_SETGID", "CAP_SETUID"]
    assert capability_names("0") == []


def test_securebits_have_names() -> None:
    assert securebit_names(0x2F)[:2] == ["SecBitNoRoot", "SecBitNoRootLocked"]
    assert securebit_names(0x80) == ["SecBitNoCapAmbientRaiseLocked"]


def test_one_mask_is_that_of_two_sets() -> None:
    both = {"permitted": "5", "effective": "5"}
    assert capability_masks("5") == capability_masks(both) == both
    assert capability_masks(None) == {}
