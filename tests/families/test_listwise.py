"""Listwise rerankers: the documents of a query are scored together, by their vendor's script."""

from __future__ import annotations

import itertools
import json
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError, SpecError, UnsupportedModality
from mmrerank.inputs import parse_pairs
from mmrerank.pipeline import CallOptions, Pipeline, Window
from mmrerank.specs import HeadSpec, find_processor
from mmrerank.specs.folders import processor_folders
from mmrerank.types import DocumentError, Pair, Score
from tests.checkpoints.jina_v3 import build_jina_v3, build_jina_v35
from tests.recipes import jina_v3

BUILDERS = {"jina-reranker-v3": build_jina_v3, "jina-reranker-v3.5": build_jina_v35}
QUERY = "Which planet is known as the red planet?"
DOCUMENTS = [
    "Mars is red, as iron on its ground rusts.",
    "Bread and butter is what many have for breakfast.",
    "",
    "Venus comes nearest to the earth.\n\nIt is not red.",
    "The train to the mountains stops at every village. " * 3,
    "§ 4 – 火星是红色的",
    "Mars is red, as iron on its ground rusts.",
]
# Limits that short texts reach, with the names that the recipe has for them.
SMALL = {"max_query": 6, "max_document": 12, "block_size": 3, "max_length": 60}


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BUILDERS[request.param](tmp_path_factory.mktemp("listwise") / request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu")


@pytest.fixture(scope="module")
def v3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_jina_v3(tmp_path_factory.mktemp("v3") / "some-copy")


@pytest.fixture(scope="module")
def small(v3: Path, tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    """The family with the limits of SMALL."""
    family = tmp_path_factory.mktemp("small") / "small"
    (own,) = (path for path in processor_folders() if path.name == "jina-reranker-v3")
    shutil.copytree(own, family)
    text = (family / "processor.toml").read_text(encoding="utf-8")
    for key, name in (
        ("max_documents", "block_size"),
        ("max_tokens", "max_length"),
        ("max_query_tokens", "max_query"),
        ("max_document_tokens", "max_document"),
    ):
        text, count = re.subn(rf"(?m)^{key} = \d+", f"{key} = {SMALL[name]}", text)
        assert count == 1
    (family / "processor.toml").write_text(text, encoding="utf-8")
    return CrossEncoder(str(v3), processor=str(family), device="cpu")


def _in_order(ranking: list[dict[str, Any]]) -> list[float]:
    return [entry["score"] for entry in sorted(ranking, key=lambda entry: entry["corpus_id"])]


def _assert_equal(ours: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(expected), rtol=0, atol=1e-5)


def _pairs(inputs: list[tuple[str, Any]]) -> list[Pair | DocumentError]:
    return list(parse_pairs(inputs).pairs)


# ------------------------------------------------------------ by the vendor's script


def test_rank_scores_by_the_vendors_script(folder: Path, model: CrossEncoder) -> None:
    expected = jina_v3.rerank(folder, QUERY, DOCUMENTS)
    assert np.ptp(expected) > 0.02
    _assert_equal(_in_order(model.rank(QUERY, DOCUMENTS)), expected)


def test_predict_scores_pairs_of_one_query_as_a_list(folder: Path, model: CrossEncoder) -> None:
    ours = model.predict([(QUERY, document) for document in DOCUMENTS])
    _assert_equal(ours, jina_v3.rerank(folder, QUERY, DOCUMENTS))


def test_instruction_stands_where_the_vendor_puts_it(folder: Path, model: CrossEncoder) -> None:
    expected = jina_v3.rerank(folder, QUERY, DOCUMENTS, instruction="Take stars too.")
    _assert_equal(_in_order(model.rank(QUERY, DOCUMENTS, instruction="Take stars too.")), expected)


def test_prompt_is_the_vendors_byte_for_byte(model: CrossEncoder) -> None:
    for instruction in (None, "Take stars too."):
        pairs = [(QUERY, document) for document in DOCUMENTS]
        given = [Pair(p.index, p.query, p.document, instruction) for p in _plain(pairs)]
        ((group,), _) = model.pipeline.encode(given)
        prompt = model.tokenizer.decode(group.token_ids)
        assert prompt == jina_v3.prompt_of(QUERY, DOCUMENTS, instruction)


def _plain(inputs: list[tuple[str, Any]]) -> list[Pair]:
    return [pair for pair in _pairs(inputs) if isinstance(pair, Pair)]


@pytest.mark.parametrize("mark", ["<|embed_token|>", "<|rerank_token|>"])
def test_marks_in_the_users_texts_are_taken_out(
    folder: Path, model: CrossEncoder, mark: str
) -> None:
    documents = ["Mars" + mark, mark, "Venus"]
    expected = jina_v3.rerank(folder, "red" + mark, ["Mars", "", "Venus"])
    _assert_equal(_in_order(model.rank("red" + mark, documents)), expected)


def test_mark_that_is_joined_by_taking_out_another_does_no_harm(model: CrossEncoder) -> None:
    hidden = "<|embed_<|embed_token|>token|>"
    scores = _in_order(model.rank("red", ["Mars", hidden, "Venus"], instruction=hidden))
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_long_query_and_documents_are_cut_by_the_vendors_limits(v3: Path) -> None:
    model = CrossEncoder(str(v3), device="cpu")
    documents = ["Mars. " * 2048, "Venus."]
    query = "Which planet? " * 512
    expected = jina_v3.rerank(v3, query, documents)
    scores, details = model.predict([(query, d) for d in documents], return_details=True)
    _assert_equal(scores, expected)
    length = len(model.tokenizer(documents[0])["input_ids"])
    assert [detail.num_truncated for detail in details] == [length - 2048, 0]


def test_newer_version_takes_longer_queries_and_documents() -> None:
    rule = find_processor("jina-reranker-v3.5").truncation
    assert (rule.max_query_tokens, rule.max_document_tokens) == (1024, 8192)


@pytest.mark.slow
def test_list_of_more_documents_than_a_block_holds_shares_one_query_vector(
    folder: Path, model: CrossEncoder
) -> None:
    documents = [f"Mars has {number} names." for number in range(130)]
    expected = jina_v3.rerank(folder, "names", documents)
    apart = np.concatenate(
        [jina_v3.rerank(folder, "names", part) for part in (documents[:125], documents[125:])]
    )
    assert np.abs(expected - apart).max() > 1e-3
    _assert_equal(_in_order(model.rank("names", documents)), expected)


def test_blocks_are_closed_by_length_as_the_vendor_does(v3: Path, small: CrossEncoder) -> None:
    for query in ("Mars", QUERY):
        expected = jina_v3.rerank(v3, query, DOCUMENTS, **SMALL)  # type: ignore[arg-type]
        _assert_equal(_in_order(small.rank(query, DOCUMENTS)), expected)
    groups, _ = small.pipeline.encode(_plain([(QUERY, document) for document in DOCUMENTS]))
    assert [len(group.indices) for group in groups] == [3, 3, 1]


# ------------------------------------------------------------ what is one list


def test_each_run_of_one_query_is_a_list_of_its_own(folder: Path, model: CrossEncoder) -> None:
    pairs = [(query, text) for query in ("Mars", "breakfast", "Mars") for text in DOCUMENTS[:3]]
    expected = [
        jina_v3.rerank(folder, query, DOCUMENTS[:3]) for query in ("Mars", "breakfast", "Mars")
    ]
    _assert_equal(model.predict(pairs), np.concatenate(expected))


def test_another_instruction_begins_another_list(folder: Path, model: CrossEncoder) -> None:
    instructions = ["one", "one", "two"]
    ours = model.predict([(QUERY, d) for d in DOCUMENTS[:3]], instruction=instructions)
    expected = [
        *jina_v3.rerank(folder, QUERY, DOCUMENTS[:2], instruction="one"),
        *jina_v3.rerank(folder, QUERY, DOCUMENTS[2:3], instruction="two"),
    ]
    _assert_equal(ours, expected)


def test_score_depends_on_the_other_documents(model: CrossEncoder) -> None:
    alone = float(model.predict((QUERY, DOCUMENTS[-1])))
    assert abs(alone - _in_order(model.rank(QUERY, DOCUMENTS))[-1]) > 1e-3


def test_single_pair_gives_a_scalar(folder: Path, model: CrossEncoder) -> None:
    score = model.predict((QUERY, DOCUMENTS[0]))
    assert score.shape == ()
    _assert_equal(score, jina_v3.rerank(folder, QUERY, DOCUMENTS[:1])[0])


def test_no_documents_give_no_scores(model: CrossEncoder) -> None:
    assert model.rank(QUERY, []) == []
    assert len(model.predict([])) == 0


# ------------------------------------------------------------ windows, streams, errors

MIXED = [
    *((QUERY, document) for document in DOCUMENTS),
    ("breakfast", DOCUMENTS[1]),
    *((QUERY, document) for document in DOCUMENTS[:4]),
]


@pytest.mark.parametrize("max_pairs", [1, 2, 5, 64])
def test_scores_do_not_depend_on_the_window(small: CrossEncoder, max_pairs: int) -> None:
    whole = small.predict(MIXED)
    options = CallOptions(window=Window(max_pairs=max_pairs))
    results = small.pipeline.score(_pairs(MIXED), options)
    assert [result.index for result in results] == list(range(len(MIXED)))
    _assert_equal([result.value for result in results if isinstance(result, Score)], whole)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_scores_do_not_depend_on_the_batch_size(small: CrossEncoder, batch_size: int) -> None:
    _assert_equal(small.predict(MIXED, batch_size=batch_size), small.predict(MIXED))


def test_stream_of_a_generator_scores_as_predict(small: CrossEncoder) -> None:
    def generated() -> Iterator[tuple[str, str]]:
        yield from MIXED

    results = list(small.score_stream(generated()))
    _assert_equal([r.value for r in results if isinstance(r, Score)], small.predict(MIXED))


def test_endless_stream_gives_results(small: CrossEncoder) -> None:
    texts = [pair.document for pair in _plain([(QUERY, "Mars."), (QUERY, "Venus.")])]
    endless = (Pair(number, texts[number // 2 % 2], texts[0]) for number in itertools.count())
    options = CallOptions(window=Window(max_pairs=4))
    results = small.pipeline.score_stream(endless, options)
    first = [result.index for result in itertools.islice(results, 5)]
    assert first == [0, 1, 2, 3, 4]


def test_bad_document_leaves_the_scores_of_its_list_as_without_it(small: CrossEncoder) -> None:
    bad = "half a character \ud800"
    documents = [*DOCUMENTS[:2], bad, *DOCUMENTS[2:], bad]
    ranking = small.rank(QUERY, documents, on_error="record")
    scores = _in_order(ranking)
    assert np.isnan([scores[2], scores[-1]]).all()
    _assert_equal(scores[:2] + scores[3:-1], _in_order(small.rank(QUERY, DOCUMENTS)))
    assert "surrogate" in ranking[-1]["error"]


def test_bad_document_is_raised_by_name(model: CrossEncoder) -> None:
    with pytest.raises(InputError, match=r"documents\[1\].*lone surrogate"):
        model.rank(QUERY, ["Mars", "\ud800"])


def test_list_of_bad_documents_alone_gives_errors_alone(model: CrossEncoder) -> None:
    scores = model.predict([(QUERY, "\ud800"), (QUERY, "\udfff")], on_error="record")
    assert np.isnan(scores).all()


def test_picture_is_refused_in_words(model: CrossEncoder) -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    with pytest.raises(UnsupportedModality, match=r"documents\[0\].* holds image"):
        model.rank(QUERY, [picture])


def test_tokens_of_the_details_add_up_to_the_prompts(model: CrossEncoder) -> None:
    ((group,), _) = model.pipeline.encode(_plain([(QUERY, d) for d in DOCUMENTS]))
    assert model.rank(QUERY, DOCUMENTS).usage.num_tokens == group.num_tokens


def test_packed_scores_equal_padded_ones(model: CrossEncoder) -> None:
    padded = Pipeline(model.transformer.backbone, list(model)[1:], model.spec, may_pack=False)
    packed = [r.value for r in model.pipeline.score(_pairs(MIXED)) if isinstance(r, Score)]
    results = [r.value for r in padded.score(_pairs(MIXED)) if isinstance(r, Score)]
    _assert_equal(packed, results)


def test_second_call_with_cached_beginnings_scores_the_same(model: CrossEncoder) -> None:
    first = model.predict(MIXED)
    _assert_equal(model.predict(MIXED), first)
    _assert_equal(_in_order(model.rank(QUERY, DOCUMENTS)), first[: len(DOCUMENTS)])


def test_half_precision_scores_are_near(folder: Path, model: CrossEncoder) -> None:
    half = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": "bfloat16"})
    scores = half.predict(MIXED)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, model.predict(MIXED), atol=0.2)


@pytest.mark.slow
def test_pool_keeps_lists_whole(v3: Path) -> None:
    model = CrossEncoder(str(v3), device="cpu")
    expected = model.predict(MIXED)
    _assert_equal(model.predict(MIXED, device=["cpu", "cpu"], chunk_size=2), expected)


def test_folder_needs_listwise_for_cosines_and_for_nothing_else() -> None:
    spec = find_processor("jina-reranker-v3")
    with pytest.raises(SpecError, match=r"needs \[listwise\]"):
        replace(spec, listwise=None)
    with pytest.raises(SpecError, match="no other head reads such a prompt"):
        replace(spec, head=HeadSpec("builtin"))


# ------------------------------------------------------------ max_length


@pytest.mark.parametrize("max_length", [420, 500, 900])
def test_no_block_is_longer_than_the_callers_max_length(v3: Path, max_length: int) -> None:
    model = CrossEncoder(str(v3), device="cpu", max_length=max_length)
    documents = ["Mars is red. " * repeats for repeats in (1, 5, 200, 2, 7, 30, 1, 1)]
    pairs = [(QUERY * 3, document) for document in documents]
    given = [Pair(p.index, p.query, p.document, "Take stars too.") for p in _plain(pairs)]
    groups, _ = model.pipeline.encode(given)
    lengths = [group.num_tokens for group in groups]
    assert max(lengths) <= max_length
    assert max(lengths) > 0.8 * max_length
    assert [index for group in groups for index in group.indices] == list(range(len(documents)))


def test_max_length_without_room_for_a_document_is_refused(v3: Path) -> None:
    model = CrossEncoder(str(v3), device="cpu", max_length=100)
    with pytest.raises(InputError, match=r"max_length=100: the template of .* alone takes \d+"):
        model.rank(QUERY, DOCUMENTS)


def test_instruction_without_room_for_a_document_is_refused_by_name(v3: Path) -> None:
    model = CrossEncoder(str(v3), device="cpu", max_length=400)
    with pytest.raises(InputError, match=r"query: the instruction .* leaves no room"):
        model.rank(QUERY, DOCUMENTS, instruction="Take stars too. " * 40)


# ------------------------------------------------------------ loading and saving


def test_family_is_recognised_by_its_config_under_any_name(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "a-copy")
    model = CrossEncoder(str(copy), device="cpu", trust_remote_code=True)
    assert model.spec.family == folder.name


def test_description_says_that_scores_depend_on_each_other(model: CrossEncoder) -> None:
    facts = model.describe()
    assert facts["listwise"]["max_documents"] == 125
    assert "depend on the other documents" in facts["listwise"]["scores"]
    assert facts["scale"] == "similarity"


def test_probabilities_are_not_defined(v3: Path) -> None:
    with pytest.raises(InputError, match="defined as similarity only"):
        CrossEncoder(str(v3), device="cpu", scale="probability")


def test_checkpoint_without_projector_is_refused(v3: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(v3, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    del weights["projector.2.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack projector\.2\.weight"):
        CrossEncoder(str(copy), device="cpu")


def test_tokenizer_without_the_marks_is_refused(v3: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(v3, tmp_path / "copy")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (copy / name).read_text(encoding="utf-8")
        (copy / name).write_text(text.replace("embed_token|>", "other_token|>"), encoding="utf-8")
    model = CrossEncoder(str(copy), device="cpu")
    with pytest.raises(CheckpointError, match=r"no token '<\|embed_token\|>'"):
        model.rank(QUERY, DOCUMENTS)


def test_template_that_loses_documents_is_refused(v3: Path) -> None:
    text = find_processor("jina-reranker-v3").template.text
    model = CrossEncoder(
        str(v3), device="cpu", processor_kwargs={"chat_template": text.replace("length", "first")}
    )
    assert np.isfinite(_in_order(model.rank(QUERY, DOCUMENTS))).all()
    broken = text.replace("<|embed_token|>", "")
    model = CrossEncoder(str(v3), device="cpu", processor_kwargs={"chat_template": broken})
    with pytest.raises(SpecError, match="marks 0 of 7 documents"):
        model.rank(QUERY, DOCUMENTS)


def test_training_and_module_form_are_refused(model: CrossEncoder) -> None:
    with pytest.raises(InputError, match="cannot be trained pair by pair"):
        model.preprocess_for_training([(QUERY, DOCUMENTS[0])])
    with pytest.raises(InputError, match="cannot be prepared pair by pair"):
        model.preprocess([(QUERY, DOCUMENTS[0])])


def test_saved_model_scores_the_same(
    model: CrossEncoder, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mmrerank"):
        model.save_pretrained(tmp_path / "saved")
    assert "sentence-transformers 6.2 has no form for listwise models" in caplog.text
    saved = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    assert saved.spec.family == folder.name
    _assert_equal(saved.predict(MIXED), model.predict(MIXED))


def test_saved_model_has_the_published_form(
    model: CrossEncoder, folder: Path, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "saved")
    names = []
    for path in (folder, tmp_path / "saved"):
        with safe_open(path / "model.safetensors", framework="pt") as file:
            names.append(set(file.keys()))
    assert names[0] == names[1]
    config = json.loads((tmp_path / "saved" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["JinaForRanking"]
    ours = _in_order(model.rank(QUERY, DOCUMENTS))
    _assert_equal(ours, jina_v3.rerank(tmp_path / "saved", QUERY, DOCUMENTS))


def test_prompts_and_activation_survive_saving(v3: Path, tmp_path: Path) -> None:
    model = CrossEncoder(
        str(v3),
        device="cpu",
        prompts={"stars": "Take stars too."},
        default_prompt_name="stars",
        activation_fn=torch.nn.Sigmoid(),
    )
    model.save_pretrained(tmp_path / "saved")
    saved = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    _assert_equal(saved.predict(MIXED), model.predict(MIXED))
    assert saved.default_prompt_name == "stars"
