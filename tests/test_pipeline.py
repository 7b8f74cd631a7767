"""The data line: windows, order, lazy reading, errors in their place, one warning a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.errors import InputError, MediaNotFound, Stopped, UnsupportedModality
from mmrerank.inputs import parse_document, parse_pairs
from mmrerank.media.source import source_of
from mmrerank.pipeline import CallOptions, Pipeline, Window
from mmrerank.types import Document, DocumentError, MediaSpan, Pair, Score
from tests import checkpoints

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file .*additional_chat_templates:ResourceWarning"
)
PipelineOf = Callable[[str], Pipeline]
WORDS = ["bread", "the red planet", "a train stops at every village", "rain", "the museum", "a"]
RED = Image.new("RGB", (64, 64), "red")


@pytest.fixture(scope="module")
def pipeline_of(tmp_path_factory: pytest.TempPathFactory) -> PipelineOf:
    root = tmp_path_factory.mktemp("pipeline")
    build: dict[str, Callable[..., Path]] = {
        "bert": checkpoints.build_bert,
        "bert-nli": checkpoints.build_bert_nli,
        "qwen3-vl": checkpoints.build_qwen3_vl,
    }
    return cache(lambda name: CrossEncoder(str(build[name](root / name)), device="cpu").pipeline)


def _pairs(documents: list[Any], query: Any = "Which planet?") -> list[Pair]:
    parsed = parse_document(query)
    return [Pair(i, parsed, parse_document(d)) for i, d in enumerate(documents)]


def _values(results: list[Score | DocumentError]) -> list[np.ndarray]:
    return [result.value for result in results if isinstance(result, Score)]


class _Counted:
    """An iterable that tells how many items were taken from it."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.num_taken = 0

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            self.num_taken += 1
            yield item


def test_results_stand_in_order_over_several_windows(pipeline_of: PipelineOf) -> None:
    pairs = _pairs(WORDS * 4)
    results = pipeline_of("bert").score(pairs, CallOptions(window=Window(max_pairs=3)))
    assert [result.index for result in results] == list(range(24))
    expected = _values(pipeline_of("bert").score(pairs))
    assert len(expected) == 24
    np.testing.assert_allclose(_values(results), expected, atol=1e-5)


def test_stream_takes_its_window_and_what_is_prepared_ahead(pipeline_of: PipelineOf) -> None:
    """At most 128 pairs of text are ready, and one handful of three is drawn."""
    source = _Counted(_pairs(WORDS * 60))
    stream = pipeline_of("bert").score_stream(source, CallOptions(window=Window(max_pairs=3)))
    assert source.num_taken == 0
    first = next(stream)
    assert first.index == 0
    assert source.num_taken <= 3 + 128 + 3
    for _ in range(10):
        next(stream)
    assert source.num_taken <= 12 + 128 + 3


def test_window_of_bytes_bounds_the_media_that_wait(pipeline_of: PipelineOf) -> None:
    """Four pictures fill a window; at most 16 more are prepared ahead."""
    pictures = [Image.new("RGB", (64, 64), (4 * i, 0, 0)) for i in range(60)]
    (groups, features) = pipeline_of("qwen3-vl").encode(_pairs(pictures[:1]))
    (size,) = [feature.num_bytes for feature in features.values()]
    source = _Counted(_pairs(pictures))
    options = CallOptions(window=Window(max_bytes=4 * size))
    next(pipeline_of("qwen3-vl").score_stream(source, options))
    assert len(groups) == 1
    assert source.num_taken <= 4 + 16 + 1


def test_scores_hold_logits_value_tokens_and_truncation(pipeline_of: PipelineOf) -> None:
    (score,) = pipeline_of("bert-nli").score(_pairs(["bread"]))
    assert isinstance(score, Score)
    assert score.logits.shape == score.value.shape == (3,)
    assert score.logits.dtype == np.float32
    assert (score.num_tokens > 5, score.num_truncated) == (True, 0)


def test_activation_and_softmax_of_a_call(pipeline_of: PipelineOf) -> None:
    softmax = CallOptions(apply_softmax=True)
    (plain,) = pipeline_of("bert-nli").score(_pairs(["bread"]))
    (soft,) = pipeline_of("bert-nli").score(_pairs(["bread"]), softmax)
    assert isinstance(plain, Score)
    assert isinstance(soft, Score)
    expected = np.exp(plain.logits) / np.exp(plain.logits).sum()
    np.testing.assert_allclose(soft.value, expected, rtol=1e-5)
    (half,) = pipeline_of("bert").score(_pairs(["bread"]), CallOptions(activation=torch.zeros_like))
    assert isinstance(half, Score)
    assert float(half.value) == 0.0


def test_ranking_is_best_first(pipeline_of: PipelineOf) -> None:
    documents = [parse_document(word) for word in WORDS]
    ranking = pipeline_of("bert").rank(parse_document("planet"), documents, top_k=4)
    scores = [entry["score"] for entry in ranking]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)


def test_nothing_to_score_gives_nothing(pipeline_of: PipelineOf) -> None:
    assert pipeline_of("bert").score([]) == []


# ---------------------------------------------------------------- errors


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "unsupported modality": ({"audio": "a.wav"}, UnsupportedModality, "holds audio"),
    "missing file": ("zz.jpg", MediaNotFound, "zz.jpg"),
    "placeholder text": ("see <|image_pad|>", InputError, r"<|image_pad|>"),
}


@pytest.mark.parametrize("case", BAD)
def test_recorded_error_takes_the_place_of_its_pair(case: str, pipeline_of: PipelineOf) -> None:
    bad, error_type, words = BAD[case]
    pairs = _pairs(["bread", bad, RED])
    results = pipeline_of("qwen3-vl").score(pairs, CallOptions(on_error="record"))
    assert [type(result) for result in results] == [Score, DocumentError, Score]
    failed = results[1]
    assert isinstance(failed, DocumentError)
    assert type(failed.error) is error_type
    assert words in failed.message
    good = pipeline_of("qwen3-vl").score(_pairs(["bread", RED]))
    np.testing.assert_allclose(_values(results), _values(good), atol=1e-5)


@pytest.mark.parametrize("case", BAD)
def test_error_is_raised_unless_recorded(case: str, pipeline_of: PipelineOf) -> None:
    bad, error_type, _ = BAD[case]
    with pytest.raises(error_type) as caught:
        pipeline_of("qwen3-vl").score(_pairs(["bread", bad]))
    assert re.search(r"inputs\[1\]|pair 1", str(caught.value))


def test_errors_of_parsing_pass_through_in_their_place(pipeline_of: PipelineOf) -> None:
    parsed = parse_pairs([("a", "b"), ("a", None), ("a", "c")], on_error="record")
    results = pipeline_of("bert").score(parsed.pairs, CallOptions(on_error="record"))
    assert [type(result) for result in results] == [Score, DocumentError, Score]


def test_unsupported_modality_is_told_before_anything_is_fetched(
    pipeline_of: PipelineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("requests.Session.request", explode)
    monkeypatch.setattr("mmrerank.media.load.source_of", explode)
    with pytest.raises(UnsupportedModality, match=r"inputs\[0\] \(document\) holds audio, .*text"):
        pipeline_of("qwen3-vl").score(_pairs([{"audio": "https://example.org/a.wav"}]))


def test_media_of_a_bad_pair_in_a_mixed_call_are_not_fetched_either(
    pipeline_of: PipelineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second pair is refused although the first one is fine: its picture must not be opened."""
    opened: list[Any] = []

    def record(source: Any) -> Any:
        opened.append(source)
        return source_of(source)

    monkeypatch.setattr("mmrerank.media.load.source_of", record)
    pipeline_of("qwen3-vl").score(_pairs([RED]))
    assert len(opened) == 1
    opened.clear()
    with pytest.raises(UnsupportedModality):
        pipeline_of("qwen3-vl").score(_pairs(["bread", {"audio": "a.wav", "image": "a.png"}]))
    assert opened == []


def test_stop_is_asked_between_batches(pipeline_of: PipelineOf) -> None:
    with pytest.raises(Stopped):
        pipeline_of("bert").score(_pairs(WORDS), CallOptions(should_stop=lambda: True))
    assert len(pipeline_of("bert").score(_pairs(WORDS))) == len(WORDS)


def test_scores_before_the_stop_were_given_out(pipeline_of: PipelineOf) -> None:
    given: list[int] = []
    options = CallOptions(window=Window(max_pairs=2), should_stop=lambda: len(given) >= 2)
    stream = pipeline_of("bert").score_stream(_pairs(WORDS * 8), options)
    with pytest.raises(Stopped):
        _take_indices(stream, given)
    assert given[:2] == [0, 1]


def _take_indices(results: Iterator[Any], into: list[int]) -> None:
    for result in results:
        into.append(result.index)


# ---------------------------------------------------------------- truncation


def test_truncation_is_warned_of_once_a_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = checkpoints.build_bert(tmp_path / "bert")
    pipeline = CrossEncoder(str(folder), device="cpu", max_length=12).pipeline
    caplog.clear()
    options = CallOptions(window=Window(max_pairs=2))
    results = pipeline.score(_pairs(["bread " * 30] * 40 + ["a"]), options)
    warnings = [r.getMessage() for r in caplog.records if r.name == "mmrerank.pipeline.line"]
    assert len(warnings) == 1
    lost = sum(score.num_truncated for score in results if isinstance(score, Score))
    assert warnings[0].startswith("40 of 41 documents were longer")
    assert f"cut: {lost:,} tokens were not read" in warnings[0]
    truncated = [score.num_truncated > 0 for score in results if isinstance(score, Score)]
    assert truncated == [True] * 40 + [False]


# ---------------------------------------------------------------- encode


def test_encode_gives_groups_and_features_of_the_media(pipeline_of: PipelineOf) -> None:
    groups, features = pipeline_of("qwen3-vl").encode(_pairs([RED, "bread", RED]))
    assert len(groups) == 3
    assert len(features) == 1
    (span,) = groups[0].media
    assert isinstance(span, MediaSpan)
    assert features[span.key].num_tokens == span.length == 4
    assert groups[1].media == ()
    assert groups[2].media[0].key == span.key


def test_document_objects_are_scored_as_they_are(pipeline_of: PipelineOf) -> None:
    from mmrerank.types import Text

    path_like = Document((Text("zz.jpg"),))
    results = pipeline_of("qwen3-vl").score([Pair(0, Document((Text("a"),)), path_like)])
    assert isinstance(results[0], Score)
