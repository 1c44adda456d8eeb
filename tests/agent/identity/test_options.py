# SPDX-License-Identifier: Apache-2.0
"""What the agent tells the child at its start."""

import pytest

from agent.identity.options import NRI_SOCKET, nri_socket, options_for, read_options
from agent.settings import IdentitySettings


def test_the_child_reads_what_the_agent_wrote() -> None:
    settings = IdentitySettings(kubernetes=False, sockets=("cri:/run/crio/crio.sock",))
    options = read_options(options_for(settings, "n1", ("team/*",)))
    assert (options.node, options.kubernetes, options.sockets) == ("n1", False, ("cri:/run/crio/crio.sock",))
    assert options.annotations == ("team/*",)


def test_options_of_a_newer_agent_are_ignored() -> None:
    assert read_options('{"node":"n1","flux":1}').node == "n1"


def test_options_that_are_no_object_are_refused() -> None:
    with pytest.raises(ValueError, match="no JSON object"):
        read_options("[]")


@pytest.mark.parametrize(
    ("settings", "path", "required"),
    [
        (IdentitySettings(), NRI_SOCKET, False),
        (IdentitySettings(runtimes=False), "", False),
        (IdentitySettings(nri="none"), "", False),
        (IdentitySettings(nri="/x/nri.sock", runtimes=False), "/x/nri.sock", True),
    ],
)
def test_nri_is_looked_for_where_the_settings_say(
    settings: IdentitySettings, path: str, required: bool
) -> None:
    options = read_options(options_for(settings, "n1"))
    assert (nri_socket(settings), options.nri, options.nri_required) == (path, path, required)
