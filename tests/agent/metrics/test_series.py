# SPDX-License-Identifier: Apache-2.0
from agent.metrics.series import POD_GONE_S, POD_IDLE_S, Series
from tests.agent.metrics.support import values


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def series(clock: Clock, free: tuple[str, ...] = ("namespace", "pod"), most: int = 100) -> Series:
    return Series("events", "h", ("type",), free, most, clock)


def test_each_combination_of_labels_counts_for_itself() -> None:
    counter = series(Clock())
    for key in (("exec", "ns", "a"), ("exec", "ns", "b"), ("exec", "ns", "a")):
        counter.add(key)
    assert values([counter.family()], "events") == {("exec", "ns", "a"): 2, ("exec", "ns", "b"): 1}


def test_what_comes_beyond_the_bound_is_counted_together() -> None:
    counter = series(Clock(), most=2)
    for pod in "abcd":
        counter.add(("exec", "ns", pod))
    assert values([counter.family()], "events")["exec", "other", "other"] == 2
    assert (len(counter), counter.overflown) == (3, 2)


def test_a_deleted_pods_series_go_after_the_last_scrapes() -> None:
    clock = Clock()
    counter = series(clock)
    for key in (("exec", "ns", "a"), ("exec", "other-ns", "a"), ("exec", "ns", "b")):
        counter.add(key)
    counter.pod_gone("ns", "a")
    clock.now = POD_GONE_S - 1
    counter.sweep()
    assert len(counter) == 3
    clock.now = POD_GONE_S
    counter.sweep()
    assert set(values([counter.family()], "events")) == {("exec", "other-ns", "a"), ("exec", "ns", "b")}


def test_a_pod_whose_deletion_nobody_told_goes_when_it_is_silent() -> None:
    clock = Clock()
    counter = series(clock)
    counter.add(("exec", "ns", "a"))
    counter.add(("exec", "", ""))
    clock.now = POD_IDLE_S + 1
    counter.sweep()
    assert set(values([counter.family()], "events")) == {("exec", "", "")}


def test_without_the_pods_label_nothing_goes() -> None:
    clock = Clock()
    counter = series(clock, free=("namespace",))
    counter.add(("exec", "ns"))
    counter.pod_gone("ns", "a")
    clock.now = 2 * POD_IDLE_S
    counter.sweep()
    assert len(counter) == 1
