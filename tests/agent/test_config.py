# SPDX-License-Identifier: Apache-2.0
"""Layers, precedence, origins, problems and differences of settings, with real files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import (
    Flag,
    LoadedSettings,
    diff_settings,
    environment_name,
    flatten,
    keep_for_restart,
    load_settings,
)
from agent.configuration.keys import KEYS
from agent.errors import SettingsError
from agent.settings import KernelSettings, LogSettings, Settings

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file under the root and returns its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def load(config: Path | None = None, root: Path | None = None, **more: str) -> LoadedSettings:
    return load_settings(config=config, root=root, environ=more)


def problems(config: Path, *flags: Flag, **environ: str) -> list[str]:
    """The problems of a file, without the directory names."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config=config, flags=flags, environ=environ)
    return [text.replace(f"{config.parent}/", "") for text in caught.value.problems]


def test_without_any_file_the_settings_are_the_defaults(tmp_path: Path) -> None:
    loaded = load(root=tmp_path)
    relocated = {
        "log.dir", "redaction.key_file", "api.socket", "run_dir", "policies.dirs", "exporters.dirs",
        "exporters.state_dir", "detect.dirs", "detect.exceptions", "detect.state_dir", "collect.state_dir",
            "identity.state_file",
    }  # fmt: skip
    differing = {change.key for change in diff_settings(Settings(), loaded.settings)}
    assert differing == relocated
    assert set(loaded.origins.values()) == {"default"}


def test_each_layer_overrides_the_one_below(write: Write) -> None:
    config = write("t.yaml", "log:\n  segment_seconds: 1\n  fsync_seconds: 1\n  group: a\n  ancestry: exec\n")
    write("t.yaml.d/10-a.yaml", "log: {fsync_seconds: 2, group: b}\n")
    write("t.yaml.d/20-b.yaml", "log:\n  group: c\n")
    loaded = load_settings(
        config=config,
        environ={"TRACEHOUND_LOG__GROUP": "d", "TRACEHOUND_LOG__ANCESTRY": "none"},
        flags=[Flag("--set", "log.group", "e")],
    )
    log = loaded.settings.log
    assert (log.segment_seconds, log.fsync_seconds, log.group, log.ancestry) == (1, 2, "e", "none")
    assert loaded.origins["log.segment_seconds"] == f"{config}:2"
    assert loaded.origins["log.fsync_seconds"] == f"{config}.d/10-a.yaml:1"
    assert loaded.origins["log.group"] == "flag --set"
    assert loaded.origins["log.ancestry"] == "environment TRACEHOUND_LOG__ANCESTRY"
    assert loaded.origins["log.dir"] == "default"


def test_the_files_read_are_named_in_order(write: Write) -> None:
    config = write("t.yaml", "")
    second = write("t.yaml.d/2.yaml", "")
    first = write("t.yaml.d/1.yaml", "")
    write("t.yaml.d/.hidden.yaml", "nonsense: 1")
    write("t.yaml.d/README", "nonsense: 1")
    assert load(config).files == (config, first, second)


def test_under_another_root_files_and_default_paths_move(write: Write, tmp_path: Path) -> None:
    write("etc/tracehound/tracehound.yaml", "node_name: n1\nlog: {dir: /var/lib/tracehound/elsewhere}\n")
    write("etc/tracehound/conf.d/a.yaml", "cluster_name: c1\n")
    settings = load(TRACEHOUND_ROOT=str(tmp_path)).settings
    assert (settings.node_name, settings.cluster_name) == ("n1", "c1")
    assert settings.log.dir == "/var/lib/tracehound/elsewhere", "a written path is taken as written"
    assert settings.api.socket == f"{tmp_path}/run/tracehound/tracehound.sock"
    assert settings.redaction.key_file == f"{tmp_path}/var/lib/tracehound/redaction.key"
    assert settings.policies.dirs == (f"{tmp_path}/etc/tracehound/policies.d",)


def test_sizes_durations_and_lists_are_written_as_people_do(write: Write) -> None:
    config = write(
        "t.yaml",
        "kernel: {ring_bytes: 64MiB}\nheartbeat_seconds: 500ms\n"
        "log: {retention_seconds: 2d, segment_bytes: '1 MiB', fsync_seconds: -1}\n"
        "enrich: {environment: [PATH, 'LC_*'], user_names: off}\n",
    )
    settings = load(config).settings
    assert settings.kernel.ring_bytes == 64 << 20
    assert (settings.heartbeat_seconds, settings.log.fsync_seconds) == (0.5, -1)
    assert (settings.log.retention_seconds, settings.log.segment_bytes) == (172800, 1 << 20)
    assert isinstance(settings.log.retention_seconds, int)
    assert (settings.enrich.environment, settings.enrich.user_names) == (("PATH", "LC_*"), False)


def test_values_of_the_environment_are_read_by_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(
        root=tmp_path,
        TRACEHOUND_ENRICH__ENVIRONMENT="PATH, LANG",
        TRACEHOUND_REDACTION__ENABLED="no",
        TRACEHOUND_NODE_NAME="",
        TRACEHOUND_LOG__DIR="logs",
    ).settings
    assert settings.enrich.environment == ("PATH", "LANG")
    assert (settings.redaction.enabled, settings.node_name) == (False, None)
    assert settings.log.dir == f"{tmp_path}/logs", "relative to where the command was called"


def test_an_empty_socket_switches_the_service_off(write: Write) -> None:
    assert load(write("t.yaml", "api: {socket: ''}")).settings.api.socket == ""


def test_a_section_with_everything_commented_out_is_empty(write: Write) -> None:
    assert load(write("t.yaml", "log:\n  # dir: /x\nkernel:\n")).settings.log == LogSettings()


BAD = [
    ("output: jsn", 't.yaml:1: output: jsn is not one of compact, json, none; did you mean "json"?'),
    ("lgo: {dir: /x}", 't.yaml:1: lgo: unknown key; did you mean "log"?'),
    ("log:\n  segment_byte: 1", 't.yaml:2: log.segment_byte: unknown key; did you mean "log.segment_bytes"?'),
    ("segment_bytes: 1", 't.yaml:1: segment_bytes: unknown key; did you mean "log.segment_bytes"?'),
    ("log_dir: /x", 't.yaml:1: log_dir: unknown key; did you mean "log.dir"?'),
    ("log.dir: /x", "t.yaml:1: log.dir: write it nested: log: {dir: …}"),
    ("zebra: 1", "t.yaml:1: zebra: unknown key; docs/settings.md lists all"),
    (
        "kernel: {ring_bytes: 3MiB}",
        "t.yaml:1: kernel.ring_bytes: 3MiB is not a power of two; the nearest are 2MiB and 4MiB",
    ),
    ("kernel: {ring_bytes: 16}", "t.yaml:1: kernel.ring_bytes: 16 is too small; the least is 4KiB"),
    ("kernel: {ring_bytes: -1}", "t.yaml:1: kernel.ring_bytes: -1 is too small; the least is 4KiB"),
    (
        "kernel: {ring_bytes: 64M}",
        "t.yaml:1: kernel.ring_bytes: 64M has the unknown unit 'M'; did you mean 64MiB?",
    ),
    (
        "kernel: {ring_bytes: big}",
        "t.yaml:1: kernel.ring_bytes: big is not a size; write for example 64MiB or a number of bytes",
    ),
    (
        "kernel: {process_entries: many}",
        "t.yaml:1: kernel.process_entries: many is not a whole number",
    ),
    ("log: {segment_seconds: 1.5}", "t.yaml:1: log.segment_seconds: 1.5 is not a whole number of seconds"),
    (
        "log: {segment_seconds: 1y}",
        "t.yaml:1: log.segment_seconds: 1y is not a duration; "
        "write for example 30s, 10m, 1h30m, 14d or a number of seconds",
    ),
    ("redaction: {enabled: maybe}", "t.yaml:1: redaction.enabled: maybe is not true or false"),
    ("node_name: 1", 't.yaml:1: node_name: 1 is read as a number by YAML; write it in quotes: "1"'),
    ("node_name: a:b", "t.yaml:1: node_name: a:b is not a node name; use 1 to 253 characters without"),
    ("cluster_name: yes", 't.yaml:1: cluster_name: yes is read as a bool by YAML; write it in quotes: "yes"'),
    ("log: {group: }", "t.yaml:1: log.group: has no value; write one or remove the line"),
    ("log: {dir: logs}", "t.yaml:1: log.dir: logs is not an absolute path; start it with /"),
    ("log: {dir: [/x]}", "t.yaml:1: log.dir: is a list, expected text"),
    ("log: 5", "t.yaml:1: log: expected a mapping of keys to values"),
    ("- a", "t.yaml:1: expected a mapping of keys to values"),
    ("enrich: {environment: PATH}", "t.yaml:1: enrich.environment: PATH is not a list; write [PATH]"),
    (
        "enrich: {environment: [1]}",
        "t.yaml:1: enrich.environment: holds 1, which is read as a number by YAML",
    ),
    (
        "enrich: {environment: ['A=b']}",
        "t.yaml:1: enrich.environment: [A=b] holds 'A=b', which is no name",
    ),
    ("redaction: {rules: [x]}", "t.yaml:1: redaction.rules: [x] holds 'x', which is not an absolute path"),
    (
        "overload: {shed_bulk_fraction: 1.5}",
        "t.yaml:1: overload.shed_bulk_fraction: 1.5 is not a fraction; write a number above 0 and at most 1",
    ),
    ("overload: {shed_bulk_fraction: .nan}", "t.yaml:1: overload.shed_bulk_fraction: .nan is not a number"),
    (
        "overload: {shed_bulk_fraction: 0.9}",
        "t.yaml:1: overload.shed_bulk_fraction: 0.9 is larger than overload.shed_exit_detail_fraction (0.5)",
    ),
    (
        "log: {retention_bytes: 8GiB, hard_bytes: 4GiB}",
        "t.yaml:1: log.retention_bytes: 8GiB is larger than log.hard_bytes (4GiB)",
    ),
    (
        "log: {retention_bytes: 1MiB}",
        "t.yaml:1: log.segment_bytes: 64MiB is larger than log.retention_bytes (1MiB)",
    ),
    ("api: {socket: /" + 120 * "s" + "}", "t.yaml:1: api.socket: /" + 78 * "s" + "… is 121 bytes long"),
    ("output: json\noutput: none", "t.yaml:2: output: given twice, first in line 1; remove one"),
    ("log: {dir: /a, dir: /b}", "t.yaml:1: log.dir: given twice, first in line 1; remove one"),
    ("a: [1\nb: 2", "t.yaml:2: 'b: 2': not valid YAML: expected ',' or ']'"),
    ("log:\n\tdir: /x", "t.yaml:2: 'dir: /x': not valid YAML: found character '\\t'"),
    ("a: \x07", "t.yaml:1: character U+0007 is not allowed in YAML; remove it"),
    ("[" * 5000, "t.yaml: nested too deeply; settings have two levels"),
    ("output: json\n---\noutput: none", "t.yaml:2: ---: not valid YAML: but found another document"),
    ("log: &a {dir: *b}", "t.yaml:1: 'log: &a {dir: *b}': not valid YAML: found undefined alias 'b'"),
    ("<<: {output: json}", "t.yaml:1: <<: unknown key"),
]


@pytest.mark.parametrize(("text", "expected"), BAD, ids=[text[:40] for text, _ in BAD])
def test_a_mistake_is_named_with_its_line_and_a_way_out(write: Write, text: str, expected: str) -> None:
    (problem,) = problems(write("t.yaml", text))
    assert problem.startswith(expected)


def test_all_problems_of_all_layers_are_reported_at_once(write: Write) -> None:
    config = write("t.yaml", "output: jsn\nlog:\n  dri: /x\n")
    write("t.yaml.d/1.yaml", "kernel: {ring_bytes: 5}\n")
    write("t.yaml.d/2.yaml", "a: [\n")
    write("t.yaml.d/3.yml", "")
    found = problems(config, Flag("--set", "nod_name", "x"), TRACEHOUND_LOG__DRI="/x")
    assert [problem.partition(": ")[0] for problem in found] == [
        "t.yaml.d/3.yml",
        "t.yaml:3",
        "t.yaml.d/2.yaml:2",
        "environment TRACEHOUND_LOG__DRI",
        "flag --set",
        "t.yaml:1",
        "t.yaml.d/1.yaml:1",
    ]


def test_a_broken_value_does_not_cause_a_second_complaint(write: Write) -> None:
    assert len(problems(write("t.yaml", "log: {segment_bytes: x, retention_bytes: 1MiB}"))) == 1


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    assert problems(tmp_path / "no.yaml") == ["no.yaml: cannot be read: No such file or directory"]


def test_a_file_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_bytes(b"output: json\ncluster_name: \xe4\n")
    assert problems(tmp_path / "t.yaml") == [
        "t.yaml:2: byte 0xe4 is not UTF-8; save the file as UTF-8",
    ]


def test_a_huge_file_is_refused(write: Write) -> None:
    (problem,) = problems(write("t.yaml", "#" * (2 << 20)))
    assert problem == "t.yaml: is longer than 1048576 bytes; settings have about a hundred lines"


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    (problem,) = problems(Path("/dev/zero"))
    assert "is longer than 1048576 bytes" in problem


def test_a_root_so_long_that_the_socket_does_not_fit_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"default under --root: api\.socket: .* bytes long"):
        load(root=tmp_path / ("d" * 100))


def test_variables_that_kubernetes_sets_for_services_are_no_settings(tmp_path: Path) -> None:
    load(
        root=tmp_path,
        TRACEHOUND_SERVICE_HOST="10.0.0.1",
        TRACEHOUND_METRICS_SERVICE_PORT_HTTP="1",
        TRACEHOUND_PORT="tcp://10.0.0.1:2112",
        TRACEHOUND_METRICS_PORT_2112_TCP_ADDR="10.0.0.1",
    )


def test_a_flag_for_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_settings(root=tmp_path, flags=[Flag("--log-dir", "log.dir", "here")], environ={})
    assert loaded.settings.log.dir == f"{tmp_path}/here"
    assert loaded.origins["log.dir"] == "flag --log-dir"


def test_a_difference_says_which_keys_need_a_restart() -> None:
    new = Settings(kernel=KernelSettings(ring_bytes=32 << 20), log=LogSettings(retention_seconds=3600))
    changes = diff_settings(Settings(), new)
    assert [(change.key, change.live) for change in changes] == [
        ("kernel.ring_bytes", False),
        ("log.retention_seconds", True),
    ]
    assert str(changes[0]) == "kernel.ring_bytes: 16MiB -> 32MiB (needs a restart)"
    assert str(changes[1]) == "log.retention_seconds: 14d -> 1h (applied)"


def test_equal_settings_do_not_differ() -> None:
    assert diff_settings(Settings(), dataclasses.replace(Settings())) == []


def test_what_needs_a_restart_keeps_its_value() -> None:
    old = Settings()
    new = Settings(node_name="n2", heartbeat_seconds=5, log=LogSettings(dir="/elsewhere", ancestry="none"))
    kept = keep_for_restart(old, new)
    assert (kept.node_name, kept.log.dir) == (None, old.log.dir)
    assert (kept.heartbeat_seconds, kept.log.ancestry) == (5, "none")


def test_flatten_knows_every_key() -> None:
    assert list(flatten(Settings())) == list(KEYS)


def test_the_variable_of_a_key_is_its_path() -> None:
    assert environment_name("log.dir") == "TRACEHOUND_LOG__DIR"
