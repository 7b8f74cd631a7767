"""`evaluate`: an evaluator run on a model, with a folder for its files."""

from __future__ import annotations

import pytest

from mmrerank.cross_encoder.evaluating import evaluate
from mmrerank.cross_encoder.evaluation import CrossEncoderCorrelationEvaluator
from mmrerank.errors import WrongArgument
from tests.cross_encoder._samples import PAIRS

SCORES = [1.0, 0.2, 0.3, 0.1, 0.0, 0.8]


def test_evaluate_gives_what_the_evaluator_gives_and_makes_its_folder(ours_of, tmp_path):
    evaluator = CrossEncoderCorrelationEvaluator(PAIRS, SCORES, name="dev")
    model, folder = ours_of("bert"), tmp_path / "new" / "results"
    assert evaluate(model, evaluator, folder) == evaluator(model)
    assert [path.name for path in folder.iterdir()] == [evaluator.csv_file]


def test_evaluate_equals_that_of_the_peer(ours_of, peer_of):
    from sentence_transformers.cross_encoder import evaluation as theirs

    mine = evaluate(ours_of("bert"), CrossEncoderCorrelationEvaluator(PAIRS, SCORES))
    peer = peer_of("bert").evaluate(
        theirs.CrossEncoderCorrelationEvaluator([list(p) for p in PAIRS], SCORES)
    )
    assert mine == pytest.approx(peer, abs=1e-6)


def test_evaluator_that_is_none_is_refused(ours_of):
    with pytest.raises(WrongArgument, match="evaluator must be an evaluator such as"):
        evaluate(ours_of("bert"), {"samples": []})  # type: ignore[arg-type]
