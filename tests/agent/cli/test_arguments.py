# SPDX-License-Identifier: Apache-2.0
"""Arguments that several sub-commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.arguments import (
    Parser,
    add_color_argument,
    add_output_argument,
    add_settings_arguments,
    log_dir_from,
    refuse,
    settings_from,
)
from agent.errors import SettingsError, UsageError


def parser() -> Parser:
    made = Parser(prog="tracehound test")
    add_settings_arguments(made)
    add_output_argument(made, "text", "json")
    add_color_argument(made)
    return made


def test_flags_become_settings_with_their_origin(tmp_path: Path) -> None:
    args = parser().parse_args(
        [
            "--root",
            str(tmp_path),
            "--log-dir",
            "/x",
            "--set",
            "log.segment_bytes=1MiB",
            "--set",
            "node_name=n",
        ]
    )
    loaded = settings_from(args)
    assert (loaded.settings.log.dir, loaded.settings.log.segment_bytes) == ("/x", 1 << 20)
    assert (loaded.origins["log.dir"], loaded.origins["node_name"]) == ("flag --log-dir", "flag --set")


def test_an_option_that_is_given_several_values_makes_a_list(tmp_path: Path) -> None:
    made = parser()
    made.add_argument("--policy", dest="policy_files", nargs="+", action="extend")
    words = ["--root", str(tmp_path), "--policy", "/a.yaml", "/b.yaml", "--policy", "/c.yaml"]
    settings = settings_from(made.parse_args(words)).settings
    assert settings.policies.files == ("/a.yaml", "/b.yaml", "/c.yaml")


def test_a_given_log_dir_needs_no_settings(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("nonsense")
    args = parser().parse_args(["--config", str(broken), "--log-dir", "/x"])
    assert log_dir_from(args) == Path("/x")


def test_without_one_the_log_dir_is_the_configured_one(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("log: {dir: /elsewhere}")
    assert log_dir_from(parser().parse_args(["--config", str(config)])) == Path("/elsewhere")


def test_set_needs_a_value_and_a_known_key() -> None:
    with pytest.raises(UsageError, match=r"--set log\.dir: no value"):
        settings_from(parser().parse_args(["--set", "log.dir"]))
    with pytest.raises(SettingsError, match=r'log\.dri: unknown key; did you mean "log.dir"'):
        settings_from(parser().parse_args(["--set", "log.dri=/x"]))


def test_mistakes_are_usage_errors_with_a_hint() -> None:
    with pytest.raises(UsageError, match="invalid choice: 'xml'") as caught:
        parser().parse_args(["-o", "xml"])
    assert caught.value.hint == "`tracehound test --help` shows all options and examples"


def test_abbreviated_options_are_not_guessed() -> None:
    assert parser().parse_known_args(["--col", "never"])[1] == ["--col", "never"]


def test_the_option_that_was_meant_is_suggested() -> None:
    with pytest.raises(UsageError, match=r"unknown argument '--logdir=x'; did you mean --log-dir"):
        refuse(parser(), ["--logdir=x"])
    with pytest.raises(UsageError, match=r"unknown argument 'extra'$"):
        refuse(parser(), ["extra"])
