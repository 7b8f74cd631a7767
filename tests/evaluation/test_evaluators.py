"""What evaluators do beside computing: media, names, logs, cards, and data that are wrong."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sentence_transformers.base import evaluation as theirs

from mmrerank.cross_encoder.evaluation import (
    BaseEvaluator,
    CECorrelationEvaluator,
    CrossEncoderClassificationEvaluator,
    CrossEncoderCorrelationEvaluator,
    CrossEncoderRerankingEvaluator,
    SentenceEvaluator,
    SequentialEvaluator,
)
from mmrerank.errors import InputError, MMRerankError
from tests.evaluation._data import BINARY, GRADES, PAIRS, QUERIES, TEXTS, with_negatives


class Fixed:
    """Gives the scores it was made with, and records what evaluators hand to its card."""

    def __init__(self, scores: Any, num_labels: int = 1) -> None:
        self.scores, self.num_labels = np.asarray(scores), num_labels
        self.model_card_data: Any = self
        self.stored: list[tuple[dict[str, Any], int, int]] = []

    def predict(self, inputs: Any, **options: Any) -> Any:
        return self.scores[: len(inputs)]

    def set_evaluation_metrics(
        self, evaluator: Any, metrics: dict[str, Any], epoch: int, step: int
    ) -> None:
        self.stored.append((metrics, epoch, step))


def picture(colour: str) -> Image.Image:
    return Image.new("RGB", (40, 40), colour)


# ------------------------------------------------------------ documents of any kind


def test_pictures_are_found_among_the_documents_by_their_content(ours_of):
    sample = {
        "query": "a red thing",
        "positive": [picture("red")],
        "documents": [picture("blue"), {"image": picture("green")}, picture("red"), "a text"],
    }
    metrics = CrossEncoderRerankingEvaluator([sample])(ours_of("vl"))
    assert metrics["base_map"] == pytest.approx(1 / 3)
    assert metrics["base_mrr@10"] == pytest.approx(1 / 3)


def test_mixed_pairs_are_evaluated(ours_of):
    pairs = [
        ("a red thing", picture("red")),
        (picture("red"), "a red thing"),
        ("a red thing", {"text": "blue", "image": picture("blue")}),
        ("a red thing", ["a list of parts", picture("green")]),
    ]
    model = ours_of("vl")
    found = CrossEncoderClassificationEvaluator(pairs, [1, 1, 0, 0])(model)
    assert 0 <= found["average_precision"] <= 1
    again = CrossEncoderCorrelationEvaluator(pairs, [0.9, 0.8, 0.1, 0.0])(model)
    assert -1 <= again["spearman"] <= 1


def test_one_positive_need_not_be_a_list():
    alone = {"query": "q", "positive": {"text": "yes"}, "negative": ["no", "never"]}
    listed = {**alone, "positive": [{"text": "yes"}]}
    model = Fixed([0.2, 0.5, 0.1])
    assert CrossEncoderRerankingEvaluator([alone])(model) == CrossEncoderRerankingEvaluator(
        [listed]
    )(model)


def test_prompt_name_reaches_the_model(folder_of):
    from mmrerank import CrossEncoder

    model = CrossEncoder(
        str(folder_of("vl")), device="cpu", prompts={"cars": "Find cars.", "tea": "Find tea."}
    )
    spearman = [
        CrossEncoderCorrelationEvaluator(PAIRS[:8], GRADES[:8], prompt_name=name)(model)["pearson"]
        for name in ("cars", "tea")
    ]
    assert spearman[0] != pytest.approx(spearman[1], abs=1e-9)


# ------------------------------------------------------------ several at once


def test_sequential_gives_all_metrics_and_the_last_primary_one(ours_of, peer_of):
    from sentence_transformers.cross_encoder import evaluation as their_evaluators

    def both(module: Any) -> list[Any]:
        return [
            module.CrossEncoderClassificationEvaluator(PAIRS, BINARY, name="a"),
            module.CrossEncoderCorrelationEvaluator(PAIRS, GRADES, name="b"),
        ]

    from mmrerank.cross_encoder import evaluation as our_evaluators

    mine, peer = (
        SequentialEvaluator(both(our_evaluators)),
        theirs.SequentialEvaluator(both(their_evaluators)),
    )
    found, expected = mine(ours_of("bert")), peer(peer_of("bert"))
    assert found == pytest.approx(expected, abs=1e-6)
    assert found["sequential_score"] == found["b_spearman"]
    assert mine.primary_metric == peer.primary_metric == "sequential_score"


def test_sequential_takes_plain_functions_and_numbers():
    def half(model: Any, output_path: Any, epoch: int, steps: int) -> float:
        return 0.5

    evaluator = SequentialEvaluator([half, half], main_score_function=sum)  # type: ignore[list-item]
    assert evaluator(None) == {"evaluator_0": 0.5, "evaluator_1": 0.5, "sequential_score": 1.0}
    assert SequentialEvaluator([])(None) == {"sequential_score": 0.0}


# ------------------------------------------------------------ cards, logs, names


def test_card_gets_the_metrics_with_where_training_stands():
    model = Fixed(np.linspace(0, 1, len(PAIRS)))
    CrossEncoderCorrelationEvaluator(PAIRS, GRADES, name="dev")(model, epoch=1, steps=20)
    ((metrics, epoch, step),) = model.stored
    assert set(metrics) == {"dev_pearson", "dev_spearman"}
    assert (epoch, step) == (1, 20)


def test_card_shows_what_reranking_gained():
    sample = {"query": "q", "positive": ["yes"], "documents": ["no", "yes"]}
    model = Fixed([0.9, 0.1])  # the positive is scored first
    CrossEncoderRerankingEvaluator([sample], name="dev")(model)
    assert model.stored[0][0]["dev_map"] == "1.0000 (+0.5000)"


def test_model_without_a_card_is_evaluated():
    model = Fixed(np.linspace(0, 1, len(PAIRS)))
    model.model_card_data = None
    assert "spearman" in CrossEncoderCorrelationEvaluator(PAIRS, GRADES)(model)


def test_log_says_when_and_how_good(caplog):
    sample = {"query": "q", "positive": ["yes"], "documents": ["no", "yes"]}
    with caplog.at_level(logging.INFO, "mmrerank.evaluation.reranking"):
        CrossEncoderRerankingEvaluator([sample], name="dev")(Fixed([0.9, 0.1]), None, 2, 30)
    assert caplog.messages == [
        "CrossEncoderRerankingEvaluator: Evaluating the model on the dev dataset in epoch 2 after "
        "30 steps:",
        "Queries: 1\tPositives: Min 1.0, Mean 1.0, Max 1.0\tNegatives: Min 1.0, Mean 1.0, Max 1.0",
        "         Base  -> Reranked",
        "MAP:     50.00 -> 100.00",
        "MRR@10:  50.00 -> 100.00",
        "NDCG@10: 63.09 -> 100.00",
    ]


def test_file_is_not_written_where_that_is_not_wanted(tmp_path):
    model = Fixed(np.linspace(0, 1, len(PAIRS)))
    CrossEncoderCorrelationEvaluator(PAIRS, GRADES, write_csv=False)(model, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_evaluator_of_ones_own_has_the_defaults_of_the_base():
    class CEMyTestEvaluator(BaseEvaluator):
        def __call__(self, model: Any, *args: Any, **kwargs: Any) -> float:
            return 1.0

    own = CEMyTestEvaluator()
    assert SentenceEvaluator is BaseEvaluator
    assert (own.greater_is_better, own.primary_metric) == (True, None)
    assert own.description == "Cross Encoder My Test"


# ------------------------------------------------------------ wrong data


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CrossEncoderClassificationEvaluator(PAIRS, BINARY[1:]), "same length.*24 and 23"),
        (lambda: CrossEncoderClassificationEvaluator([], []), "nothing to evaluate"),
        (lambda: CrossEncoderCorrelationEvaluator(PAIRS[:1], [1.0]), "at least 2"),
        (
            lambda: CrossEncoderRerankingEvaluator([{"positive": ["a"], "negative": []}])(
                Fixed([])
            ),
            r"samples\[0\] needs the key 'query'",
        ),
        (
            lambda: CrossEncoderRerankingEvaluator([{"query": "q", "positive": ["a"]}])(Fixed([])),
            "exactly one of 'negative' and 'documents'",
        ),
        (lambda: CrossEncoderRerankingEvaluator([])(Fixed([])), "nothing to evaluate"),
        (
            lambda: CrossEncoderRerankingEvaluator(with_negatives())(Fixed(np.zeros((99, 3)), 3)),
            "3 labels each",
        ),
        (
            lambda: CrossEncoderCorrelationEvaluator(PAIRS, GRADES)(Fixed([math.nan] * 24)),
            "score of pair 0 is nan",
        ),
    ],
)
def test_wrong_data_are_named(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_mistyped_option_is_refused_with_the_near_name():
    with pytest.raises(TypeError, match="did you mean 'batch_size'") as raised:
        CrossEncoderClassificationEvaluator(PAIRS, BINARY, batchsize=3)
    assert isinstance(raised.value, MMRerankError)


def test_query_without_relevant_documents_counts_zero():
    samples = [
        {"query": QUERIES[0], "positive": [], "documents": TEXTS[:2]},
        {"query": QUERIES[1], "positive": TEXTS[:1], "documents": TEXTS[:2]},
    ]
    metrics = CrossEncoderRerankingEvaluator(samples)(Fixed([0.9, 0.1]))
    assert metrics["ndcg@10"] == pytest.approx(0.5)


def test_empty_list_of_documents_is_a_ranking_that_found_nothing():
    sample = {"query": "q", "positive": ["yes"], "documents": []}
    metrics = CrossEncoderRerankingEvaluator([sample])(Fixed([0.9]))
    assert (metrics["map"], metrics["base_map"]) == (1.0, 0.0)


def test_equal_predictions_give_nan_and_a_warning(caplog):
    with pytest.warns(DeprecationWarning, match="CrossEncoderCorrelationEvaluator"):
        evaluator = CECorrelationEvaluator(PAIRS, GRADES)
    assert math.isnan(evaluator(Fixed(np.zeros(24)))["spearman"])
    assert "correlation is undefined" in caplog.text
