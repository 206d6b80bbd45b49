"""How far a job is, in one line: what it says, how long it takes, and how often it is told."""

from __future__ import annotations

import pytest

from selectllm.cli.terminal import Terminal
from selectllm.core.types import Step
from selectllm.report.progress import Pacing, clock_time, progress_line, seconds_left

STEP = Step(120, 400, sent=75, cached=45, failed=2, spent_usd=0.31)


def test_it_says_what_is_done_how_fast_at_which_cost_and_when_it_ends() -> None:
    line = progress_line("asking", STEP, 36.7)
    assert line == "asking  120/400  30%  2.1 calls/s  $0.31  45 cached  2 failed tries  ETA 2:18"


def test_what_takes_no_calls_says_nothing_of_them() -> None:
    assert progress_line("embedding", Step(10, 40), 5) == "embedding  10/40  25%  ETA 0:15"


@pytest.mark.parametrize("width", [80, 60, 40, 20])
def test_it_fits_and_keeps_how_much_is_done(width: int) -> None:
    step = Step(123_456, 1_000_000, 100_000, 23_456, 1_234, 12_345.67)
    line = progress_line("deciding", step, 100_000, width)
    assert len(line) <= width
    assert line.startswith("deciding  123456/100")


def test_what_the_cache_answers_does_not_shorten_the_rest() -> None:
    """75 calls in 75 seconds: the 280 decisions that are left take as many."""
    assert seconds_left(Step(120, 400, sent=75, cached=45), 75) == pytest.approx(280)
    assert seconds_left(Step(75, 355, sent=75), 75) == pytest.approx(280)
    assert seconds_left(Step(50, 100, sent=100), 50) == pytest.approx(50)  # two calls for each
    assert seconds_left(Step(120, 400, cached=120), 1) is None
    assert seconds_left(Step(0, 400), 1) is None
    assert seconds_left(Step(400, 400, sent=400), 9) == 0


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (6.2, "0:07"), (133, "2:13"), (3_733, "1:02:13")]
)
def test_times_are_those_of_a_clock(seconds: float, shown: str) -> None:
    assert clock_time(seconds) == shown


def test_a_log_gets_a_line_after_a_tenth_but_not_sooner_than_after_ten_seconds() -> None:
    pacing = Pacing(began=0)
    told = [second for second in range(1, 201) if pacing.due(Step(second, 200), second)]
    assert told == list(range(20, 201, 20))
    fast = Pacing(began=0)
    assert [s for s in range(1, 31) if fast.due(Step(s, 30), s)] == [10, 20, 30]
    slow = Pacing(began=0)
    assert [s for s in range(1, 200) if slow.due(Step(s, 100_000), s)] == [60, 120, 180]


def test_without_a_terminal_lines_come_now_and_then_and_none_when_quiet(
    capfd: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    with Terminal(clock=lambda: now).progress("deciding") as hear:
        assert hear is not None
        for done in range(1, 41):
            now = float(done)
            hear(Step(done, 40, sent=done))
    assert capfd.readouterr().err.splitlines() == [
        f"deciding  {done}/40  {100 * done // 40}%  1.0 calls/s  ETA 0:{40 - done:02}"
        for done in (10, 20, 30, 40)
    ]
    with Terminal(quiet=True).progress("deciding") as hear:
        assert hear is None
