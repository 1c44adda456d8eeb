# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import time

from vmtest import procfs

SMAPS = """\
55d0a0000000-55d0a0001000 r--p 00000000 fe:00 12 /usr/bin/python3.11
Rss:                   8 kB
Pss:                   4 kB
7f0000000000-7f0000200000 rw-s 00000000 00:0e 13 anon_inode:bpf-map
Rss:                2048 kB
Pss:                2048 kB
7f0000200000-7f0000201000 rw-s 00000000 00:0e 13 anon_inode:[perf_event]
Pss:                  64 kB
7f0000300000-7f0000301000 rw-p 00000000 00:00 0
Pss:                   3 kB
"""


def test_ring_buffers_do_not_count_as_the_agents_memory() -> None:
    assert procfs.pss_kb(SMAPS) == 7


def test_a_name_with_parentheses_does_not_shift_the_fields() -> None:
    text = "17 (a) b) S 4 17 17 0 -1 0 1 2 3 4 11 12 5 6 20 0 1 0 99"
    assert procfs.parse_stat(text) == procfs.Stat(pid=17, parent=4, waited_ticks=11)


def test_fields_are_split_at_the_first_colon() -> None:
    assert procfs.parse_fields("map_type:\t27\nmemlock:\t4096\nA:\tb:c\n") == {
        "map_type": "27",
        "memlock": "4096",
        "A": "b:c",
    }


def test_the_tree_holds_grandchildren_and_their_cpu_time() -> None:
    busy = "import time\nwhile True: pass"
    parent = f"import subprocess,sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    try:
        deadline = time.monotonic() + 20
        while len(procfs.tree(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        before = procfs.cpu_ns(process.pid)
        time.sleep(0.3)
        assert len(procfs.tree(process.pid)) == 2
        assert procfs.cpu_ns(process.pid) > before
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_own_memory_is_found() -> None:
    memory = procfs.memory_kb(os.getpid())
    assert 0 < memory["pss_kb"] <= memory["peak_rss_kb"]
