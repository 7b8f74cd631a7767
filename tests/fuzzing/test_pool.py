"""The harness notices what it is there for: a case that hangs, crashes, eats memory or warns."""

from __future__ import annotations

import pytest

from tests.fuzzing.pool import Outcome, run_cases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    cases = ["self:hang", "self:crash", "self:eat", "self:devour", "self:warn", "self:rest"]
    return {outcome.case: outcome for outcome in run_cases(cases)}


@pytest.mark.parametrize("name", ["hang", "crash"])
def test_end_of_a_process_is_attributed_to_its_case(name, outcomes):
    outcome = outcomes[f"self:{name}"]
    assert outcome.result == name
    assert f"in _{name}" in outcome.defects[0]  # where each thread stood


def test_worker_that_grows_without_end_is_ended(outcomes):
    assert outcomes["self:devour"].result == "memory"


def test_memory_that_is_given_back_is_counted_all_the_same(outcomes):
    assert 350 < outcomes["self:eat"].extra_mb < 450
    assert outcomes["self:eat"].defects[0].startswith("took ")


def test_warning_that_reaches_the_user_is_a_defect(outcomes):
    assert outcomes["self:warn"].defects == ("a warning leaked: UserWarning('of a library')",)


def test_case_after_a_dead_one_runs_in_a_new_worker(outcomes):
    assert outcomes["self:rest"].defects == ()
    assert outcomes["self:rest"].result == "value"
