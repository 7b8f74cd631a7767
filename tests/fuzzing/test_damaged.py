"""CI's share of damaged and hostile files: a value or a clear error, in time, in memory, alive.

The longer run is `python -m tests.fuzzing.run --cases 50000`; one case again: `--case NAME`.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.fuzzing.cases import Case, damaged_cases, fixtures
from tests.fuzzing.crafted import CRAFTED
from tests.fuzzing.pool import Outcome, run_cases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NUM_ROUNDS = 40  # of every fixture: about 3,500 files
FIRST_SCORED = 10_000  # other seeds than those that are only loaded


def damaged(num_rounds: int, start: int = 0) -> list[str]:
    num_cases = num_rounds * len(fixtures())
    return [str(case) for case in itertools.islice(damaged_cases(start), num_cases)]


def defects_of(outcomes: list[Outcome]) -> list[str]:
    return [f"{one.case}: {' | '.join(one.defects)}"[:1_500] for one in outcomes if one.defects]


def test_damaged_file_gives_a_medium_or_a_clear_error_and_nothing_else():
    cases = damaged(NUM_ROUNDS)
    outcomes = run_cases(cases)
    assert defects_of(outcomes) == []
    assert len(outcomes) == len(cases) > 2_000
    # Damage that never hurts, or always, would test nothing.
    results = Counter(outcome.result == "value" for outcome in outcomes)
    assert min(results[True], results[False]) > 0.2 * len(cases)


def test_healthy_file_loads():
    assert defects_of(run_cases([str(Case(name, "none")) for name in fixtures()])) == []


def test_file_crafted_to_hurt_is_loaded_or_refused_as_it_must_be():
    outcomes = run_cases([f"{name}:crafted:0" for name in CRAFTED], options=["--policy=server"])
    assert defects_of(outcomes) == []
    assert len(outcomes) == len(CRAFTED)


# Found by longer runs: memory that FFmpeg took while it only probed, and words of pillow's inside.
@pytest.mark.parametrize(
    "case",
    [
        *("mp4_fragmented:lie:3104", "coffee_rgba.png:flip:2706", "png:lie:2645"),
        *("png_grey_alpha:lie:3448", "png:lie:3027", "tiff:lie:2783", "gif_animated:delete:16"),
    ],
)
def test_file_that_once_broke_a_bound_keeps_it(case):
    assert defects_of(run_cases([case], num_workers=1)) == []


def test_damaged_file_costs_no_warning_that_is_an_error():
    outcomes = run_cases(damaged(3, 30_000), options=["--warnings=error"])
    assert defects_of(outcomes) == []
    assert len(outcomes) == 3 * len(fixtures())


def test_damaged_file_costs_the_document_beside_it_nothing_when_both_are_scored():
    crafted = [f"{name}:crafted:0" for name, one in CRAFTED.items() if one.expected != "error"]
    cases = [*damaged(3, FIRST_SCORED), *crafted]
    outcomes = run_cases(cases, options=["--mode=score", "--policy=server"])
    assert defects_of(outcomes) == []
    assert {"value", "MediaUnreadable"} <= {outcome.result for outcome in outcomes}


def test_damaged_sound_or_clip_is_told_from_a_healthy_one_without_torchcodec_too():
    streams = [case for case in damaged(12, 20_000) if _is_stream(Case.read(case))]
    outcomes = run_cases(streams, options=["--backend=pyav"])
    assert defects_of(outcomes) == []
    assert len(outcomes) > 300


def _is_stream(case: Case) -> bool:
    return fixtures()[case.fixture].wrap.modality in ("audio", "video")
