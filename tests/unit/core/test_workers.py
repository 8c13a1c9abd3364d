"""Results of worker processes, in order, whatever happens to the processes."""

import os

import pytest

from src.core.errors import UserError
from src.core.worker_pool import Crash, stream
from tests.helpers.worker_jobs import work


def test_results_come_in_the_order_of_the_jobs():
    jobs = [("slow" if i % 4 == 0 else "fast", i) for i in range(12)]
    assert list(stream(work, 2, iter(jobs))) == list(range(12))
    assert list(stream(work, 2, [])) == []


def test_a_process_that_dies_costs_only_its_job():
    jobs = [("fast", 0), ("crash", 1), ("fast", 2), ("kill", 3), ("slow", 4), ("fast", 5)]
    assert list(stream(work, 2, jobs)) == [0, Crash(-11), 2, Crash(-9), 4, 5]


def test_jobs_are_made_as_they_are_needed():
    made = []

    def jobs():
        for i in range(40):
            made.append(i)
            yield "fast", i

    for number, result in enumerate(stream(work, 2, jobs())):
        assert result == number
        assert len(made) - number <= 10, "memory would grow with the number of jobs"


def test_mistakes_of_the_user_are_passed_on():
    with pytest.raises(UserError, match="not so"):
        list(stream(work, 1, [("user error", "not so")]))


def test_processes_use_one_thread_each_and_this_one_what_it_did():
    before = os.environ.get("OMP_NUM_THREADS")
    assert list(stream(work, 1, [("environment", "OMP_NUM_THREADS")])) == ["1"]
    assert os.environ.get("OMP_NUM_THREADS") == before
