# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from vmtest import kernels
from vmtest.kernels import VmtestError, choose_packages, installed, release_of

NAMES = [
    "linux-image-5.10.0-9-amd64",
    "linux-image-5.10.0-32-amd64",
    "linux-image-5.10.0-32-amd64-dbg",
    "linux-image-5.10.0-32-amd64-unsigned",
    "linux-image-5.10.0-33-cloud-amd64",
    "linux-image-6.1.0-9-amd64",
    "linux-image-6.12.90+deb12-amd64",
    "linux-image-6.12.90+deb12.1-amd64-unsigned",
    "linux-image-6.12.95+deb12-rt-amd64",
    "linux-binary-7.2.13+deb14-amd64",
    "linux-modules-7.2.13+deb14-amd64",
    "linux-binary-7.3.1+deb14-amd64",
]


@pytest.mark.parametrize(
    ("label", "version", "packages"),
    [
        ("5.10", "5.10.0-32-amd64", ["linux-image-5.10.0-32-amd64"]),
        ("6.1", "6.1.0-9-amd64", ["linux-image-6.1.0-9-amd64"]),
        ("6.12", "6.12.90+deb12.1-amd64", ["linux-image-6.12.90+deb12.1-amd64-unsigned"]),
        (
            "7.x",
            "7.2.13+deb14-amd64",
            ["linux-binary-7.2.13+deb14-amd64", "linux-modules-7.2.13+deb14-amd64"],
        ),
    ],
)
def test_the_newest_complete_version_is_chosen(label: str, version: str, packages: list[str]) -> None:
    assert choose_packages(release_of(label), NAMES) == (version, packages)


def test_a_suite_without_the_kernel_is_named() -> None:
    with pytest.raises(VmtestError, match="no package in bullseye"):
        choose_packages(release_of("5.10"), ["linux-image-6.1.0-9-amd64"])


def test_an_unknown_label_names_the_known_ones() -> None:
    with pytest.raises(VmtestError, match=r"there are: 5\.10, 6\.1, 6\.12, 7\.x"):
        release_of("4.19")


def test_a_kernel_counts_as_installed_when_its_image_is_there(tmp_path: Path) -> None:
    directory = tmp_path / "6.1"
    directory.mkdir()
    note = '{"version": "6.1.0-9-amd64", "image": "vmlinuz", "modules": "lib/modules/6.1.0-9-amd64"}'
    (directory / "kernel.json").write_text(note)
    assert installed("6.1", tmp_path) is None
    (directory / "vmlinuz").touch()
    kernel = installed("6.1", tmp_path)
    assert kernel is not None
    assert (kernel.version, kernel.image) == ("6.1.0-9-amd64", directory / "vmlinuz")


def test_a_moved_file_is_found_in_either_place(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "vmlinuz").touch()
    assert kernels.first_existing(tmp_path, "boot/vmlinuz", "usr/vmlinuz") == "usr/vmlinuz"
    with pytest.raises(VmtestError, match="none of a, b"):
        kernels.first_existing(tmp_path, "a", "b")
