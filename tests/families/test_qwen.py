"""Qwen3-Reranker in all its forms, and the chat models that must not be taken for one."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, SpecError
from tests import checkpoints
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import qwen3_reranker
from tests.recipes.qwen3_reranker import format_document, format_query

FolderOf = Callable[[str], Path]
ModelOf = Callable[[str], Any]
Scale = Literal["native", "logit", "probability"]
# As the vendor's other script has it.
OTHER_INSTRUCTION = "Given the user query, retrieval the relevant passages"
PLAIN = "Qwen3-Reranker-0.6B"
CLASSIFIER = "Qwen3-Reranker-0.6B-seq-cls"
BUILDERS: dict[str, Callable[[Path], Path]] = {
    PLAIN: partial(checkpoints.build_qwen3_plain, chat_template="chat-roles"),
    "st": checkpoints.build_qwen3,
    CLASSIFIER: partial(
        checkpoints.build_qwen3_seq_cls, chat_template="chat-roles", with_pad_token=False
    ),
    "seq-cls-st": partial(checkpoints.build_qwen3_seq_cls, with_st_files=True),
    "Qwen3-0.6B": checkpoints.build_qwen3_plain,
    "Qwen3-0.6B-chat-roles": partial(checkpoints.build_qwen3_plain, chat_template="chat-roles"),
}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("qwen3")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture(scope="module")
def ours_of(folder_of: FolderOf) -> ModelOf:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.fixture(scope="module")
def logits(folder_of: FolderOf) -> list[float]:
    """Of PAIRS, by the card; all forms below hold the same weights."""
    return [qwen3_reranker.score(folder_of(PLAIN), *pair) for pair in PAIRS]


# Where native scores are probabilities.
@pytest.mark.parametrize(
    ("form", "native_is_probability"),
    [(PLAIN, True), ("st", False), (CLASSIFIER, True), ("seq-cls-st", False)],
)
def test_each_form_scores_by_the_card_on_each_scale(
    form: str, native_is_probability: bool, folder_of: FolderOf, logits: list[float]
) -> None:
    probabilities = [sigmoid(logit) for logit in logits]
    native = probabilities if native_is_probability else logits
    expected: dict[Scale, list[float]] = {
        "native": native,
        "logit": logits,
        "probability": probabilities,
    }
    for scale, scores in expected.items():
        model = CrossEncoder(str(folder_of(form)), device="cpu", scale=scale)
        assert_same_scores(model.predict(PAIRS), scores)


@pytest.mark.parametrize("form", [PLAIN, CLASSIFIER])
def test_instruction_of_the_vendors_other_script_goes_where_the_card_has_its_own(
    form: str, folder_of: FolderOf, ours_of: ModelOf
) -> None:
    expected = qwen3_reranker.score(folder_of(PLAIN), *PAIRS[0], OTHER_INSTRUCTION)
    found = ours_of(form).predict(PAIRS[0], instruction=OTHER_INSTRUCTION)
    assert_same_scores(found, sigmoid(expected))


def test_classifiers_own_forward_gives_the_same_logits(
    folder_of: FolderOf, logits: list[float]
) -> None:
    folder = folder_of(CLASSIFIER)
    found = [qwen3_reranker.score_as_classifier(folder, *pair) for pair in PAIRS]
    assert_same_scores(found, logits)


def test_pairs_that_were_formatted_by_the_cards_functions_are_read_as_they_are(
    ours_of: ModelOf, logits: list[float]
) -> None:
    formatted = [(format_query(query), format_document(document)) for query, document in PAIRS]
    scores = ours_of(CLASSIFIER).predict(formatted)
    assert_same_scores(scores, [sigmoid(logit) for logit in logits])


@pytest.mark.parametrize("is_formatted", [False, True])
def test_long_document_of_a_classifier_loses_words_and_not_the_answers_turn(
    is_formatted: bool, folder_of: FolderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qwen3_reranker, "_MAX_TOKENS", 220)
    pair = (PAIRS[0][0], "The train to the mountains stops at every village. " * 20)
    given = (format_query(pair[0]), format_document(pair[1])) if is_formatted else pair
    folder = folder_of(CLASSIFIER)
    model = CrossEncoder(str(folder), device="cpu", max_length=220)
    score, detail = model.predict(given, return_details=True)
    assert detail.num_tokens == 220
    assert_same_scores(score, sigmoid(qwen3_reranker.score_as_classifier(folder, *pair)))


def test_classifier_without_a_pad_token_scores_batches(
    folder_of: FolderOf, ours_of: ModelOf, logits: list[float]
) -> None:
    config = json.loads((folder_of(CLASSIFIER) / "config.json").read_text())
    assert config.get("pad_token_id") is None
    scores = ours_of(CLASSIFIER).predict(PAIRS, batch_size=len(PAIRS))
    assert_same_scores(scores, [sigmoid(logit) for logit in logits])


def test_peer_gives_the_same_scores_to_both_forms_with_its_files(
    folder_of: FolderOf, logits: list[float]
) -> None:
    for form in ("st", "seq-cls-st"):
        assert_same_scores(Peer(str(folder_of(form)), device="cpu").predict(PAIRS), logits)


@pytest.mark.parametrize("form", [PLAIN, "st", CLASSIFIER, "seq-cls-st"])
def test_saved_folder_scores_equally_here_and_in_the_peer(
    form: str, ours_of: ModelOf, tmp_path: Path
) -> None:
    model = ours_of(form)
    model.save_pretrained(tmp_path)
    expected = model.predict(PAIRS)
    assert_same_scores(CrossEncoder(str(tmp_path), device="cpu").predict(PAIRS), expected)
    assert_same_scores(Peer(str(tmp_path), device="cpu").predict(PAIRS), expected)


def test_chat_model_becomes_a_guess_that_is_announced(
    folder_of: FolderOf, caplog: pytest.LogCaptureFixture
) -> None:
    folder = str(folder_of("Qwen3-0.6B"))
    with caplog.at_level(logging.WARNING, logger="mmrerank"):
        model = CrossEncoder(folder, device="cpu")
    assert "the processor 'causal-lm' is a guess" in caplog.text
    assert "processor=" in caplog.text
    assert_same_scores(model.predict(PAIRS), Peer(folder, device="cpu").predict(PAIRS))


def test_chat_model_whose_template_knows_no_pairs_is_refused(folder_of: FolderOf) -> None:
    model = CrossEncoder(str(folder_of("Qwen3-0.6B-chat-roles")), device="cpu")
    with pytest.raises(SpecError, match=r"cannot carry a 'query'/'document' pair.*processor="):
        model.predict(PAIRS)


def test_reranker_is_known_by_the_words_of_its_template(tmp_path: Path) -> None:
    """A copy under another name, with the template that the published one has by now."""
    folder = checkpoints.build_qwen3(tmp_path / "copy")
    for file in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (folder / file).unlink()
    model = CrossEncoder(str(folder), device="cpu", scale="logit")
    assert model.describe()["family"] == "qwen3-reranker"
    expected = [qwen3_reranker.score(folder, *pair) for pair in PAIRS]
    assert_same_scores(model.predict(PAIRS), expected)


def test_answers_that_the_vocabulary_lacks_are_refused(tmp_path: Path) -> None:
    folder = checkpoints.build_llama_without_yes_no(tmp_path)
    with pytest.raises(CheckpointError, match=r"no single token 'yes'.*processor="):
        CrossEncoder(str(folder), device="cpu")


def test_unknown_token_does_not_stand_in_for_both_answers(tmp_path: Path) -> None:
    """The peer takes the id of the unknown token for each, so that every score is 0.5."""
    folder = checkpoints.build_llama_without_yes_no(tmp_path)
    settings = folder / "tokenizer_config.json"
    settings.write_text(
        json.dumps({**json.loads(settings.read_text()), "unk_token": "<|endoftext|>"})
    )
    with pytest.raises(CheckpointError, match="no single token 'yes'"):
        CrossEncoder(str(folder), device="cpu")


def test_answers_are_entries_of_the_vocabulary_to_the_letter(tmp_path: Path) -> None:
    """No `Yes`, no space in front: as the peer looks them up."""
    folder = checkpoints.build_qwen2_chatml(tmp_path)
    model = CrossEncoder(str(folder), device="cpu", processor="causal-lm")
    yes, no = model.tokenizer.convert_tokens_to_ids(["yes", "no"])
    assert (model[1].true_token_id, model[1].false_token_id) == (yes, no)
    assert_same_scores(model.predict(PAIRS), Peer(str(folder), device="cpu").predict(PAIRS))
