"""Token ids, media spans, truncation and refused texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmrerank import CrossEncoder
from mmrerank.errors import InputError, UnsupportedModality
from mmrerank.prompting import MediaPreparer
from mmrerank.specs import BudgetSpec, PixelBudget
from mmrerank.types import LoadedMedia, LoadedPair
from tests.prompting._pairs import BLUE, CLIP, RED, UNCLOSED_TEMPLATES, pair

pytestmark = UNCLOSED_TEMPLATES
ModelOf = Callable[[str], Any]
FolderOf = Callable[[str], Path]
LONG = "The train to the mountains stops at every village. " * 20


def _encode(model: Any, *pairs: LoadedPair) -> Any:
    encoder = model.pipeline.encoder
    return encoder.encode(pairs, encoder.features_of(pairs))


def _ids_of_transformers(model: Any, messages: list[dict[str, Any]]) -> list[int]:
    """By the processor's own apply_chat_template."""
    encoded = model.processor.apply_chat_template(
        messages,
        chat_template=model.pipeline.spec.template.text,
        tokenize=True,
        return_dict=True,
        processor_kwargs={"return_tensors": "pt"},
    )
    ids: list[int] = np.asarray(encoded["input_ids"]).reshape(-1).tolist()
    return ids


def _messages(query: list[Any], document: list[Any]) -> list[dict[str, Any]]:
    return [{"role": "query", "content": query}, {"role": "document", "content": document}]


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


# ---------------------------------------------------------------- ids and spans


@pytest.mark.parametrize(
    ("ours", "content"),
    [
        (("a b", "c d"), ([_text("a b")], [_text("c d")])),
        (("a", RED), ([_text("a")], [{"type": "image", "image": RED}])),
        (
            ({"image": BLUE, "text": "x"}, {"text": "y", "image": RED}),
            (
                [{"type": "image", "image": BLUE}, _text("x")],
                [_text("y"), {"type": "image", "image": RED}],
            ),
        ),
    ],
    ids=["text", "image", "mix"],
)
def test_token_ids_are_those_of_transformers_own_chat_template(
    ours: Any, content: Any, model_of: ModelOf
) -> None:
    (group,) = _encode(model_of("qwen3-vl"), pair(*ours))
    expected = _ids_of_transformers(model_of("qwen3-vl"), _messages(*content))
    assert group.token_ids.tolist() == expected
    assert group.score_at == (len(expected) - 1,)


def test_token_ids_of_a_clip_are_those_of_transformers(model_of: ModelOf) -> None:
    model = model_of("qwen3-vl")
    metadata = {"fps": 24.0, "frames_indices": [0, 1, 2, 3], "total_num_frames": 4}
    (group,) = _encode(model, pair("a", {"array": CLIP, "video_metadata": metadata}))
    frames = CLIP.transpose(0, 3, 1, 2).copy()
    prompt = model.pipeline.encoder.prompt(pair("a", CLIP))
    expected = model.processor(
        text=[prompt],
        videos=[frames],
        videos_kwargs={
            "do_sample_frames": False,
            "video_metadata": [{**metadata, "duration": 4 / 24, "height": 64, "width": 64}],
        },
        return_tensors="pt",
    )
    assert group.token_ids.tolist() == expected["input_ids"][0].tolist()


def test_text_model_ids_are_those_of_transformers(model_of: ModelOf) -> None:
    (group,) = _encode(model_of("qwen3"), pair("a b", "c d"))
    messages = [{"role": "query", "content": "a b"}, {"role": "document", "content": "c d"}]
    expected = model_of("qwen3").tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=False
    )
    assert group.token_ids.tolist() == expected


def test_segments_are_the_tokenizers_pair_with_types(model_of: ModelOf) -> None:
    (group,) = _encode(model_of("bert"), pair("the city", "the river"))
    expected = model_of("bert").tokenizer("the city", "the river")
    assert group.token_ids.tolist() == expected["input_ids"]
    assert group.token_type_ids.tolist() == expected["token_type_ids"]
    assert group.score_at == (0,)


def test_spans_cover_each_mediums_placeholders_in_the_prompts_order(model_of: ModelOf) -> None:
    model = model_of("Qwen3-VL-Reranker-2B")
    loaded = pair({"text": "x", "image": BLUE}, {"image": RED, "video": CLIP})
    (group,) = _encode(model, loaded)
    image_id, video_id = model.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>"])
    assert [span.key.modality for span in group.media] == ["image", "video", "image"]
    keys = [part.key for part in loaded.query.parts if isinstance(part, LoadedMedia)]
    assert group.media[0].key == keys[0]
    first, clip, last = (
        group.token_ids[span.start : span.start + span.length].tolist() for span in group.media
    )
    assert first == [image_id] * 6
    assert last == [image_id] * 4
    assert (clip[0], clip[-1]) == (video_id, video_id)
    total = np.isin(group.token_ids, [image_id, video_id]).sum()
    assert total == 6 + 4 + clip.count(video_id)


# ---------------------------------------------------------------- refused texts


@pytest.mark.parametrize("token", ["<|image_pad|>", "<|video_pad|>"])
@pytest.mark.parametrize("side", ["query", "document"])
def test_text_that_holds_a_placeholder_is_refused(token: str, side: str, model_of: ModelOf) -> None:
    texts = ("a", f"b {token} c") if side == "document" else (f"b {token} c", "a")
    with pytest.raises(InputError, match=rf"{side}.*{token[2:-2]}"):
        _encode(model_of("qwen3-vl"), pair(*texts))


def test_placeholder_of_vision_is_plain_text_for_a_text_model(model_of: ModelOf) -> None:
    (group,) = _encode(model_of("qwen3"), pair("a", "<|image_pad|>"))
    assert group.media == ()


def test_media_never_reach_a_text_encoder(model_of: ModelOf) -> None:
    with pytest.raises(UnsupportedModality, match="image"):
        model_of("qwen3").predict([("a", RED)])


# ---------------------------------------------------------------- truncation


def test_only_text_of_the_document_is_cut_and_the_end_of_the_prompt_stays(
    folder_of: FolderOf, model_of: ModelOf
) -> None:
    model = CrossEncoder(str(folder_of("qwen3-vl")), device="cpu", max_length=160)
    short, long = (
        _encode(m, pair({"text": "the query", "image": BLUE}, {"text": LONG, "image": RED}))[0]
        for m in (model, model_of("qwen3-vl"))
    )
    assert (short.num_tokens, short.num_truncated) == (160, long.num_tokens - 160)
    assert [span.length for span in short.media] == [span.length for span in long.media] == [6, 4]
    decode = model.tokenizer.decode
    text = decode(short.token_ids)
    assert "the query" in text
    assert text.endswith("<|vision_end|><|im_end|>\n<|im_start|>assistant\n")
    # What is kept is the beginning of the document.
    kept = text.split("<Document>:")[1].split("<|vision_start|>")[0]
    assert len(kept) > 20
    assert LONG.startswith(kept)


def test_times_that_a_family_writes_between_frames_are_never_cut(
    folder_of: FolderOf, model_of: ModelOf
) -> None:
    frames = {"array": CLIP, "video_metadata": {"fps": 1.0, "frames_indices": [0, 1, 2, 3]}}
    both = pair("the query", {"text": LONG, "video": frames})
    (long,) = _encode(model_of("qwen3-vl"), both)
    model = CrossEncoder(str(folder_of("qwen3-vl")), device="cpu", max_length=170)
    (short,) = _encode(model, both)
    assert (short.num_tokens, long.num_tokens > 300) == (170, True)
    text = model.tokenizer.decode(short.token_ids)
    assert "<0.5 seconds>" in text
    assert "<2.5 seconds>" in text
    assert short.media[0].length == long.media[0].length


def test_query_is_cut_only_when_nothing_of_the_document_is_left(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("qwen3")), device="cpu", max_length=160)
    (group,) = _encode(model, pair(LONG, "short document"))
    text = model.tokenizer.decode(group.token_ids)
    assert group.num_tokens == 160
    kept = text.split("<Query>: ")[1].split("\n<Document>:")[0]
    assert len(kept) > 20
    assert LONG.startswith(kept)
    # " s" is one token: it belongs to the frame, which ends in a blank.
    assert text.endswith("<Document>: s<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_media_longer_than_the_limit_are_refused(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("qwen3-vl")), device="cpu", max_length=60)
    with pytest.raises(InputError, match=r"media and the template take .* allows 60\. Raise max"):
        _encode(model, pair("a", RED))


def test_prompt_of_exactly_the_limit_is_not_cut(folder_of: FolderOf, model_of: ModelOf) -> None:
    (full,) = _encode(model_of("qwen3"), pair("a", "the city near the river"))
    model = CrossEncoder(str(folder_of("qwen3")), device="cpu", max_length=full.num_tokens)
    (group,) = _encode(model, pair("a", "the city near the river"))
    assert group.num_truncated == 0
    assert group.token_ids.tolist() == full.token_ids.tolist()


def test_segments_are_cut_one_token_at_a_time_from_the_longer_one(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("bert")), device="cpu", max_length=20)
    (group,) = _encode(model, pair("the city near the river", LONG))
    expected = model.tokenizer(
        "the city near the river", LONG, truncation="longest_first", max_length=20
    )
    assert group.token_ids.tolist() == expected["input_ids"]
    assert group.token_type_ids.tolist() == expected["token_type_ids"]
    assert group.num_truncated > 100


# ---------------------------------------------------------------- media features


def _image(loaded: LoadedPair) -> LoadedMedia:
    (media,) = [part for part in loaded.document.parts if isinstance(part, LoadedMedia)]
    return media


def test_same_key_gives_the_same_feature_object(model_of: ModelOf) -> None:
    preparer = MediaPreparer(model_of("qwen3-vl").processor, BudgetSpec())
    first = preparer.prepare(_image(pair("a", RED)))
    assert preparer.prepare(_image(pair("b", RED.copy()))) is first
    assert preparer.prepare(_image(pair("a", BLUE))) is not first


def test_feature_has_the_processors_tensors_and_tokens(model_of: ModelOf) -> None:
    feature = MediaPreparer(model_of("qwen3-vl").processor, BudgetSpec()).prepare(
        _image(pair("a", BLUE))
    )
    expected = model_of("qwen3-vl").processor.image_processor([BLUE], return_tensors="pt")
    assert feature.num_tokens == 6
    assert feature.expansion == "<|image_pad|>" * 6
    assert set(feature.tensors) == {"pixel_values", "image_grid_thw"}
    assert feature.tensors["pixel_values"].equal(expected["pixel_values"])
    assert feature.num_bytes > feature.tensors["pixel_values"].numel()


def test_pixel_budget_resizes_before_the_tower(model_of: ModelOf) -> None:
    budget = BudgetSpec(image=PixelBudget(min_pixels=16 * 1024, max_pixels=32 * 1024))
    feature = MediaPreparer(model_of("qwen3-vl").processor, budget).prepare(_image(pair("a", RED)))
    assert feature.num_tokens == 16
