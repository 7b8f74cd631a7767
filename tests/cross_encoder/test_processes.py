"""A pool of processes gives the scores of one process, in order; errors come back from it."""

from __future__ import annotations

import pytest

from mmrerank.errors import UnsupportedModality
from tests.cross_encoder._samples import DOCUMENTS, PAIRS, QUERY, assert_same_scores
from tests.cross_encoder.conftest import ModelOf


@pytest.mark.slow
def test_pool_of_two_cpu_workers_gives_the_scores_of_one_process(ours_of: ModelOf) -> None:
    model = ours_of("bert")
    expected, ranking = model.predict(PAIRS), model.rank(QUERY, DOCUMENTS)
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    try:
        assert len(pool["processes"]) == 2
        assert_same_scores(model.predict(PAIRS, pool=pool, chunk_size=2), expected)
        assert [e["corpus_id"] for e in model.rank(QUERY, DOCUMENTS, pool=pool)] == [
            e["corpus_id"] for e in ranking
        ]
        with pytest.raises(UnsupportedModality, match="audio"):
            model.predict([("a", {"audio": "zz.wav"})], pool=pool)
        assert_same_scores(model.predict(PAIRS, pool=pool), expected)
        assert model.predict([], pool=pool).shape == (0,)
    finally:
        model.stop_multi_process_pool(pool)


@pytest.mark.slow
def test_list_of_devices_makes_a_pool_for_the_call(ours_of: ModelOf) -> None:
    expected = ours_of("qwen3").predict(PAIRS)
    assert_same_scores(ours_of("qwen3").predict(PAIRS, device=["cpu", "cpu"]), expected)
