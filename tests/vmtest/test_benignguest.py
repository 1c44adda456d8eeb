# SPDX-License-Identifier: Apache-2.0
import subprocess

from vmtest.benignguest import SCRIPTS


def test_every_task_is_a_script_that_sh_understands() -> None:
    tasks = sorted(SCRIPTS.glob("*.sh"))
    assert {task.stem for task in tasks} == {"administration", "build", "container", "packages", "web"}
    for task in tasks:
        subprocess.run(["/bin/sh", "-n", task], check=True)


def test_jobs_have_the_five_times_of_cron() -> None:
    for line in (SCRIPTS / "crontab").read_text().splitlines():
        assert line.split()[:5] == ["*"] * 5
