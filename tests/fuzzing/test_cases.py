"""A case is the same bytes each time, and damage reaches every kind of file."""

from __future__ import annotations

import itertools
from collections import defaultdict

from mmrerank.inputs.sniff import FORMATS
from tests.fuzzing.cases import Case, bytes_of, damaged_cases, fixtures
from tests.fuzzing.lies import LIES
from tests.fuzzing.mutations import MUTATIONS

ROUNDS = 40
CASES = list(itertools.islice(damaged_cases(), ROUNDS * len(fixtures())))


def test_every_format_that_is_read_has_a_healthy_fixture_but_those_that_nobody_here_writes():
    formats = {fixture.format for fixture in fixtures().values()}
    assert set(FORMATS) - formats <= {"heic", "ogv"}


def test_every_format_with_a_fixture_has_its_own_lies():
    assert {fixture.format for fixture in fixtures().values()} - set(LIES) <= {""}


def test_round_of_cases_damages_each_fixture_once():
    names = [case.fixture for case in CASES]
    assert names[: len(fixtures())] == list(fixtures())
    assert names == list(fixtures()) * ROUNDS


def test_rounds_use_every_kind_of_damage_on_every_fixture():
    used = defaultdict(set)
    for case in damaged_cases():
        used[case.fixture].add(case.mutation)
        if case.seed == 200:
            break
    assert {name for name in used if not used[name] >= {*MUTATIONS, "lie"}} == set()


def test_case_gives_the_same_bytes_each_time():
    assert [bytes_of(case) for case in CASES[:200]] == [
        bytes_of(Case.read(str(case))) for case in CASES[:200]
    ]


def test_nearly_every_case_differs_from_the_healthy_file():
    same = [case for case in CASES if bytes_of(case) == fixtures()[case.fixture].make()]
    assert len(same) < 0.1 * len(CASES)


def test_two_seeds_give_two_files():
    files = {bytes_of(Case("jpeg", "flip", seed)) for seed in range(50)}
    assert len(files) > 45
