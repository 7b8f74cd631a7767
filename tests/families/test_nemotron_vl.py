"""llama-nemotron-rerank-vl: an architecture in Python files of its own, run only with trust."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError, UnsupportedModality
from mmrerank.inputs import parse_document
from mmrerank.types import Pair
from tests.checkpoints._save import write_json
from tests.checkpoints.nemotron_vl import build_nemotron_vl
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.families._pictures import picture
from tests.recipes import nemotron_vl

_QUERY = "Which animal is it?"
_TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"
_TEXT = "A cat looks out of the window."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nemotron_vl(tmp_path_factory.mktemp("nemotron") / "llama-nemotron-rerank-vl")


@pytest.fixture(scope="module")
def model(folder: Path) -> CrossEncoder:
    return _load(folder)


def _load(folder: Path, **options: Any) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu", trust_remote_code=True, **options)


def _wide() -> Image.Image:
    """Another number of tiles than a picture of `picture` has."""
    return picture("cat", 96).resize((300, 40))


def _documents() -> list[Any]:
    image = picture("cat")
    return [_TEXT, image, {"text": _TEXT, "image": image}, _wide(), "A train."]


def _as_vendor(documents: list[Any]) -> list[tuple[str, str, Any]]:
    rows: list[tuple[str, str, Any]] = []
    for document in documents:
        if isinstance(document, str):
            rows.append((_QUERY, document, ""))
        elif isinstance(document, dict):
            rows.append((_QUERY, document["text"], document["image"]))
        else:
            rows.append((_QUERY, "", document))
    return rows


def _with_query(documents: list[Any]) -> list[tuple[str, Any]]:
    return [(_QUERY, document) for document in documents]


def test_without_trust_the_error_names_the_argument(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'nemotron-rerank-vl' .* trust_remote_code=True"):
        CrossEncoder(str(folder), device="cpu")


def test_with_trust_texts_score_as_the_vendors_prompt_says(
    folder: Path, model: CrossEncoder
) -> None:
    expected = [nemotron_vl.score(folder, *pair) for pair in PAIRS]
    assert len({round(score, 2) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model.predict(PAIRS), expected)


def test_texts_and_pictures_score_as_by_the_vendors_processor_and_model(
    folder: Path, model: CrossEncoder
) -> None:
    expected = nemotron_vl.scores_by_vendor(folder, _as_vendor(_documents()))
    assert len({round(score, 2) for score in expected}) == 5, "the weights tell nothing apart"
    assert_same_scores(model.predict(_with_query(_documents())), expected)


def test_the_order_of_pairs_and_what_is_beside_a_pair_change_no_score(model: CrossEncoder) -> None:
    documents = _documents()
    together = model.predict(_with_query(documents))
    turned = model.predict(_with_query(documents[::-1]))
    alone = [model.predict([pair])[0] for pair in _with_query(documents)]
    assert_same_scores(turned[::-1], together)
    assert_same_scores(alone, together)


def test_a_picture_stands_in_front_wherever_the_document_has_it(model: CrossEncoder) -> None:
    image = picture("cat")
    parts = [{"type": "text", "text": _TEXT}, {"type": "image", "image": image}]
    behind, in_front = model.predict(
        [(_QUERY, {"content": parts}), (_QUERY, {"content": parts[::-1]})]
    )
    assert behind == pytest.approx(in_front, abs=1e-6)


def test_each_distinct_picture_is_prepared_once(model: CrossEncoder) -> None:
    image = picture("cat")
    pairs = [
        Pair(place, parse_document(query), parse_document(image))
        for place, query in enumerate(["one", "two"])
    ]
    groups, features = model.pipeline.encode(pairs)
    _, again = model.pipeline.encode(pairs[:1])
    assert len(groups) == 2
    ((key, feature),) = features.items()
    assert again[key] is feature


def test_the_tiles_are_those_of_the_card_and_the_caller_may_change_them(folder: Path) -> None:
    image = _wide()
    fewer = _load(folder, processor_kwargs={"max_input_tiles": 1})
    expected = nemotron_vl.scores_by_vendor(folder, [(_QUERY, "", image)], max_input_tiles=1)
    assert_same_scores(fewer.predict([(_QUERY, image)]), expected)


def test_of_an_over_long_document_text_is_cut_and_the_picture_is_whole(
    folder: Path, model: CrossEncoder
) -> None:
    document = {"text": f"{_TEXT} " * 40, "image": picture("cat")}
    pair = Pair(0, parse_document(_QUERY), parse_document(document))
    (full,), _ = model.pipeline.encode([pair])
    short = full.num_tokens - 200
    (cut,), _ = _load(folder, max_length=short).pipeline.encode([pair])
    assert (cut.num_tokens, cut.num_truncated) == (short, 200)
    assert cut.media == full.media
    assert cut.token_ids.tolist() == full.token_ids[:short].tolist()


def test_the_vendor_cuts_the_same_text_of_an_over_long_document(folder: Path) -> None:
    text, image = f"{_TEXT} " * 40, picture("cat")
    expected = nemotron_vl.scores_by_vendor(folder, [(_QUERY, text, image)], rerank_max_length=150)
    ours = _load(folder, max_length=150).predict([(_QUERY, {"text": text, "image": image})])
    assert_same_scores(ours, expected)


def test_words_of_the_frame_stay_when_no_text_of_the_document_is_left(folder: Path) -> None:
    pair = Pair(0, parse_document("train " * 60), parse_document({"text": "a", "image": _wide()}))
    model = _load(folder, max_length=70)
    (group,), _ = model.pipeline.encode([pair])
    read = model.tokenizer.decode(group.token_ids)
    assert read.endswith(" \n \n passage:")
    assert "</img> question:train train" in read


def test_a_picture_that_does_not_fit_is_an_error(folder: Path) -> None:
    with pytest.raises(InputError, match="Raise max_length"):
        _load(folder, max_length=16).predict([(_QUERY, _wide())])


def test_pictures_in_a_query_are_refused(model: CrossEncoder) -> None:
    with pytest.raises(UnsupportedModality, match=r"\(query\) holds image"):
        model.predict([(picture("cat"), "a cat")])


def test_a_document_of_two_pictures_is_refused_by_its_name(model: CrossEncoder) -> None:
    two = {"image": [picture("cat"), _wide()]}
    with pytest.raises(InputError, match=r"inputs\[1\].*one a document"):
        model.predict([(_QUERY, "a"), (_QUERY, two)])


def test_files_of_the_peer_and_a_chat_template_do_not_change_the_prompt(
    folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "llama-nemotron-rerank-vl"))
    names = {"method": "forward", "method_output_name": "logits"}
    message = {"message": {**names, "format": "structured"}}
    files: dict[str, Any] = {
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": _TRANSFORMER}],
        "sentence_bert_config.json": {
            "transformer_task": "sequence-classification",
            "modality_config": {"text": names, "image": names, **message},
            "module_output_name": "scores",
        },
        "config_sentence_transformers.json": {
            "activation_fn": "torch.nn.modules.linear.Identity",
            "model_type": "CrossEncoder",
        },
    }
    for name, content in files.items():
        write_json(other / name, content)
    (other / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}{% endfor %}")
    expected = nemotron_vl.scores_by_vendor(folder, _as_vendor(_documents()))
    assert_same_scores(_load(other).predict(_with_query(_documents())), expected)


@pytest.fixture(scope="module")
def cooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twice the published temperature: a copy that has lost it scores otherwise."""
    root = tmp_path_factory.mktemp("cooled")
    return build_nemotron_vl(root / "llama-nemotron-rerank-vl", temperature=2.0)


@pytest.fixture(scope="module")
def saved(cooled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "my-model"
    _load(cooled).save_pretrained(folder)
    return folder


def test_saved_folder_scores_texts_and_pictures_equally_here_and_in_the_peer(
    cooled: Path, saved: Path
) -> None:
    pairs = _with_query(_documents())
    expected = _load(cooled).predict(pairs)
    assert_same_scores(_load(saved).predict(pairs), expected)
    peer = Peer(str(saved), device="cpu", trust_remote_code=True)
    assert_same_scores(peer.predict(pairs), expected)


def test_saved_folder_has_the_vendors_files_and_is_refused_without_trust(
    cooled: Path, saved: Path
) -> None:
    code = {path.name: path.read_text() for path in cooled.glob("*.py")}
    assert {path.name: path.read_text() for path in saved.glob("*.py")} == code
    with pytest.raises(CheckpointError, match=r"'nemotron-rerank-vl' .* trust_remote_code=True"):
        CrossEncoder(str(saved), device="cpu")


def test_a_temperature_that_the_peer_cannot_save_is_kept(saved: Path, tmp_path: Path) -> None:
    """transformers refuses fields that are named like a setting of text generation."""
    peer = Peer(str(saved), device="cpu", trust_remote_code=True)
    with pytest.raises(ValueError, match=r"generation parameters .*\s.*'temperature': 2.0"):
        peer.save_pretrained(str(tmp_path / "theirs"))
    assert json.loads((saved / "config.json").read_text())["temperature"] == 2.0


def test_the_word_of_a_picture_in_a_text_is_refused(model: CrossEncoder) -> None:
    with pytest.raises(InputError, match="<IMG_CONTEXT>"):
        model.predict([(_QUERY, "a <IMG_CONTEXT> b")])


def test_the_place_of_a_picture_is_taken_out_of_texts_as_the_vendor_does(
    folder: Path, model: CrossEncoder
) -> None:
    text = "a cat <image> at night"
    expected = nemotron_vl.scores_by_vendor(folder, [(_QUERY, text, "")])
    assert_same_scores(model.predict([(_QUERY, text)]), expected)


def test_another_prompt_of_the_vendors_processor_gives_a_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "llama-nemotron-rerank-vl"))
    settings = json.loads((other / "processor_config.json").read_text())
    (other / "processor_config.json").write_text(json.dumps({**settings, "prompt_template": None}))
    with caplog.at_level(logging.WARNING):
        _load(other).predict([(_QUERY, _TEXT)])
    assert "is another one than ours" in caplog.text


def test_the_vendors_own_prompt_gives_no_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _load(folder).predict([(_QUERY, _TEXT)])
    assert "another one than ours" not in caplog.text


def test_a_processor_without_the_method_is_named(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "llama-nemotron-rerank-vl"))
    code = other / "processing_llama_nemotron_vl.py"
    code.write_text(code.read_text().replace("process_queries_documents_crossencoder", "process"))
    with pytest.raises(CheckpointError, match="has no method 'process_queries"):
        _load(other).predict([(_QUERY, _TEXT)])
