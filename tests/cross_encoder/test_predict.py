"""predict: types, shapes and dtypes of results, prompts and instructions, errors in their place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from mmrerank import CrossEncoder
from mmrerank.errors import InputError, MediaNotFound, UnsupportedModality
from tests.cross_encoder._samples import (
    DOCUMENTS,
    PAIRS,
    QUERY,
    UNCLOSED_TEMPLATES,
    assert_same_scores,
    clip,
    picture,
)
from tests.cross_encoder.conftest import FolderOf, ModelOf

pytestmark = UNCLOSED_TEMPLATES

RETURNS: dict[str, dict[str, Any]] = {
    "default": {},
    "tensor": {"convert_to_tensor": True},
    "list": {"convert_to_numpy": False},
    "tensor wins": {"convert_to_tensor": True, "convert_to_numpy": True},
}


def _kind(value: Any) -> Any:
    """Type, shape and dtype of a result, of each element for a list."""
    if isinstance(value, list):
        return [_kind(item) for item in value]
    return type(value), tuple(value.shape), str(value.dtype)


@pytest.mark.parametrize("flags", RETURNS)
@pytest.mark.parametrize("name", ["bert", "bert-nli", "qwen3"])
@pytest.mark.parametrize(
    "inputs",
    [PAIRS, PAIRS[0], list(PAIRS[0]), [PAIRS[0]], []],
    ids=["list", "tuple pair", "list pair", "list of one", "empty"],
)
def test_result_has_the_peers_type_shape_and_dtype(
    inputs: Any, name: str, flags: str, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    ours = ours_of(name).predict(inputs, **RETURNS[flags])
    theirs = peer_of(name).predict(inputs, **RETURNS[flags])
    assert _kind(ours) == _kind(theirs)


def test_arrays_of_strings_are_pairs(ours_of: ModelOf, peer_of: ModelOf) -> None:
    for inputs in (np.array(PAIRS), np.array(PAIRS, dtype=object), np.array(PAIRS[0])):
        ours, theirs = ours_of("bert").predict(inputs), peer_of("bert").predict(inputs)
        assert _kind(ours) == _kind(theirs)
        assert_same_scores(ours, theirs)


def test_predict_answers_the_same_after_train_mode(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu")
    before = model.predict(PAIRS)
    model.train()
    assert_same_scores(model.predict(PAIRS), before)


def test_activation_of_a_call_counts_for_that_call_only(ours_of: ModelOf) -> None:
    before = ours_of("bert").predict(PAIRS)
    squashed = ours_of("bert").predict(PAIRS, activation_fn=torch.nn.Sigmoid())
    assert_same_scores(squashed, 1 / (1 + np.exp(-before.astype(np.float64))))
    assert_same_scores(ours_of("bert").predict(PAIRS), before)


def test_activation_setter_counts_for_all_later_calls(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu")
    before = model.predict(PAIRS)
    model.activation_fn = torch.nn.Sigmoid()
    expected = 1 / (1 + np.exp(-before.astype(np.float64)))
    assert_same_scores(model.predict(PAIRS), expected)
    assert_same_scores([e["score"] for e in model.rank(QUERY, DOCUMENTS)], sorted(expected)[::-1])
    assert "activation" not in " ".join(model.state_dict())


def test_softmax_of_one_label_is_ignored_as_in_the_peer(ours_of: ModelOf) -> None:
    expected = ours_of("bert").predict(PAIRS)
    assert_same_scores(ours_of("bert").predict(PAIRS, apply_softmax=True), expected)


# ---------------------------------------------------------------- prompts and instructions


def test_default_prompt_is_used_when_none_is_given(ours_of: ModelOf) -> None:
    model = ours_of("qwen3")
    by_name = model.predict(PAIRS, prompt_name="query")
    assert_same_scores(model.predict(PAIRS), by_name)


def test_instruction_is_the_prompt_under_another_name(ours_of: ModelOf) -> None:
    model = ours_of("qwen3")
    by_prompt = model.predict(PAIRS, prompt="Find bread.")
    assert np.abs(by_prompt - model.predict(PAIRS)).max() > 1e-3
    assert_same_scores(model.predict(PAIRS, instruction="Find bread."), by_prompt)


def test_instruction_for_each_pair_is_used_for_that_pair(ours_of: ModelOf) -> None:
    model = ours_of("qwen3")
    both = model.predict([PAIRS[0], PAIRS[0]], instruction=["Find bread.", "Find ferries."])
    assert_same_scores(both[0], model.predict(PAIRS[0], prompt="Find bread."))
    assert_same_scores(both[1], model.predict(PAIRS[0], prompt="Find ferries."))
    assert abs(both[0] - both[1]) > 1e-3


def test_instructions_of_another_number_than_pairs_are_refused(ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match="got 2 of them for 6 pairs"):
        ours_of("qwen3").predict(PAIRS, instruction=["a", "b"])


def test_unknown_prompt_name_is_refused_in_the_peers_words(
    ours_of: ModelOf, peer_of: ModelOf
) -> None:
    messages = []
    for model in (ours_of("qwen3"), peer_of("qwen3")):
        with pytest.raises(ValueError, match="zz") as caught:
            model.predict(PAIRS, prompt_name="zz")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_prompt_wins_over_prompt_name_with_a_warning(
    ours_of: ModelOf, caplog: pytest.LogCaptureFixture
) -> None:
    model = ours_of("qwen3")
    expected = model.predict(PAIRS, prompt="Find bread.")
    scores = model.predict(PAIRS, prompt="Find bread.", prompt_name="query")
    assert_same_scores(scores, expected)
    assert "prompt_name" in caplog.text


def test_user_prompts_win_over_the_saved_ones(folder_of: FolderOf, ours_of: ModelOf) -> None:
    prompts = {"query": "Find bread.", "other": "Find ferries."}
    model = CrossEncoder(str(folder_of("qwen3")), device="cpu", prompts=prompts)
    shared = ours_of("qwen3")
    assert_same_scores(model.predict(PAIRS), shared.predict(PAIRS, prompt="Find bread."))
    assert_same_scores(
        model.predict(PAIRS, prompt_name="other"), shared.predict(PAIRS, prompt="Find ferries.")
    )


# ---------------------------------------------------------------- errors


def test_picture_for_a_text_model_is_refused_before_it_is_opened(
    ours_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was opened")

    monkeypatch.setattr("mmrerank.media.load.source_of", explode)
    with pytest.raises(UnsupportedModality, match=r"inputs\[1\] \(document\) holds image"):
        ours_of("bert").predict([("a", "b"), ("a", {"image": "https://example.org/a.png"})])


def test_sound_for_a_vision_model_is_refused(ours_of: ModelOf) -> None:
    with pytest.raises(UnsupportedModality, match="audio"):
        ours_of("qwen3-vl").predict([("a", {"array": np.zeros(16_000), "sampling_rate": 16_000})])


def test_missing_file_names_pair_and_side(ours_of: ModelOf) -> None:
    with pytest.raises(MediaNotFound, match=r"inputs\[0\] \(document\)\.image: .*zz\.jpg"):
        ours_of("qwen3-vl").predict([("a red square", "zz.jpg")])


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-vl"])
def test_recorded_errors_are_nan_in_their_place(name: str, ours_of: ModelOf) -> None:
    model = ours_of(name)
    pairs: list[Any] = [PAIRS[0], (QUERY, {"audio": "zz.wav"}), PAIRS[1]]
    scores, details = model.predict(pairs, on_error="record", return_details=True)
    assert [math.isnan(score) for score in scores] == [False, True, False]
    assert_same_scores(scores[[0, 2]], model.predict(PAIRS[:2]))
    assert details[1].error.startswith("UnsupportedModality: inputs[1] (document) holds audio")
    assert [detail.index for detail in details] == [0, 1, 2]


@pytest.mark.parametrize("name", ["bert", "bert-nli", "qwen3", "chain"])
def test_call_of_bad_pairs_only_gives_nan_everywhere(name: str, ours_of: ModelOf) -> None:
    scores = ours_of(name).predict([("a", {"audio": "zz.wav"})], on_error="record")
    assert scores.shape[0] == 1
    assert np.isnan(scores).all()


def test_instruction_that_holds_a_placeholder_token_is_refused(ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match=r"<\|image_pad\|>"):
        ours_of("qwen3-vl").predict([("a", picture(64, 64))], instruction="see <|image_pad|>")


def test_details_count_tokens_and_truncation(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu", max_length=16)
    _, detail = model.predict((QUERY, "bread " * 50), return_details=True)
    assert (detail.index, detail.num_tokens, detail.truncated) == (0, 16, True)


# ---------------------------------------------------------------- dict forms of media


def test_array_with_video_metadata_is_a_clip_inside_a_pair(ours_of: ModelOf) -> None:
    """The peer crashes here; frames_indices say that the frames are sampled already."""
    frames = clip(4)
    metadata = {"fps": 24.0, "frames_indices": [0, 1, 2, 3], "total_num_frames": 4}
    form = {"array": frames, "video_metadata": metadata}
    scores = ours_of("qwen3-vl").predict([("red", form), ("red", {"video": form}), (form, "red")])
    assert np.isfinite(scores).all()
    assert_same_scores(scores[0], scores[1])
    assert abs(scores[0] - scores[2]) > 1e-3


def test_speed_of_a_clip_reaches_the_prompt(ours_of: ModelOf) -> None:
    def features(fps: float) -> Any:
        metadata = {"fps": fps, "frames_indices": [0, 8, 16, 24], "total_num_frames": 32}
        return ours_of("qwen3-vl").preprocess(
            [("red", {"array": clip(4), "video_metadata": metadata})]
        )

    decode = ours_of("qwen3-vl").tokenizer.decode
    assert "<0.5 seconds>" in decode(features(8.0)["input_ids"][0])
    assert "<2.5 seconds>" in decode(features(8.0)["input_ids"][0])
    assert "<1.0 seconds>" in decode(features(4.0)["input_ids"][0])


# ---------------------------------------------------------------- streams


def test_stream_gives_scores_and_errors_in_order(ours_of: ModelOf) -> None:
    model = ours_of("qwen3-vl")
    pairs: list[Any] = [PAIRS[0], ("a", "zz.jpg"), ("a", None), PAIRS[1]]
    results = list(model.score_stream(iter(pairs)))
    assert [result.index for result in results] == [0, 1, 2, 3]
    assert [type(result).__name__ for result in results] == [
        "Score",
        "DocumentError",
        "DocumentError",
        "Score",
    ]
    assert_same_scores([results[0].value, results[3].value], model.predict(PAIRS[:2]))


def test_stream_raises_when_asked_to(ours_of: ModelOf) -> None:
    with pytest.raises(MediaNotFound, match=r"inputs\[1\]"):
        list(ours_of("qwen3-vl").score_stream([PAIRS[0], ("a", "zz.jpg")], on_error="raise"))
