"""Language models as rerankers: their scores are those of the published recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.checkpoints import llm_rerankers
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import bge_llm, contextual, mxbai, true_false, zerank

INSTRUCTION = "Find what a baker would read."


@dataclass(frozen=True)
class Case:
    """A checkpoint's builder, the family that must know it by its name, and the recipe."""

    build: Callable[[Path], Path]
    family: str
    recipe: Callable[..., float]
    has_instruction: bool = True


CASES = {
    "bge-reranker-v2-gemma": Case(
        llm_rerankers.build_bge_gemma, "bge-reranker-gemma", bge_llm.score_gemma
    ),
    "mxbai-rerank-base-v2": Case(llm_rerankers.build_mxbai, "mxbai-rerank-v2", mxbai.score),
    "zerank-1-small": Case(
        llm_rerankers.build_zerank, "zerank-1", zerank.probability, has_instruction=False
    ),
    "zerank-2": Case(llm_rerankers.build_zerank, "zerank-2", zerank.probability),
    "ctxl-rerank-v2-instruct-multilingual-1b": Case(
        llm_rerankers.build_contextual, "contextual-rerank-v2", contextual.score
    ),
    "ctxl-rerank-v2-instruct-multilingual-6b": Case(
        partial(llm_rerankers.build_contextual, architecture="mistral"),
        "contextual-rerank-v2",
        contextual.score,
    ),
    "FollowIR-7B": Case(llm_rerankers.build_followir, "followir", true_false.score_followir),
}
# The peer renders and tokenises a prompt whole.
OTHERWISE_IN_PEER = {"mxbai-rerank-base-v2": "its pieces join otherwise than the whole"}

FolderOf = Callable[[str], Path]
ModelOf = Callable[[str], CrossEncoder]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("llm")
    return cache(lambda name: CASES[name].build(root / name))


@pytest.fixture(scope="module")
def model_of(folder_of: FolderOf) -> ModelOf:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_the_published_recipe(
    name: str, folder_of: FolderOf, model_of: ModelOf
) -> None:
    expected = [CASES[name].recipe(folder_of(name), *pair) for pair in PAIRS]
    assert len({round(score, 3) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model_of(name).predict(PAIRS), expected)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.has_instruction])
def test_instruction_stands_where_the_recipe_has_it(
    name: str, folder_of: FolderOf, model_of: ModelOf
) -> None:
    expected = [CASES[name].recipe(folder_of(name), *pair, INSTRUCTION) for pair in PAIRS]
    assert_same_scores(model_of(name).predict(PAIRS, prompt=INSTRUCTION), expected)


@pytest.mark.parametrize("name", CASES)
def test_family_is_known_by_the_name_of_the_repository(name: str, model_of: ModelOf) -> None:
    facts = model_of(name).describe()
    assert facts["family"] == CASES[name].family
    assert facts["sources"]["head"] == f"processor: {CASES[name].family}"


@pytest.mark.parametrize("name", CASES)
def test_saved_folder_scores_equally_wherever_it_lies(
    name: str, model_of: ModelOf, tmp_path: Path
) -> None:
    model_of(name).save_pretrained(tmp_path / "saved")
    again = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    for prompt in (None, INSTRUCTION):
        expected = model_of(name).predict(PAIRS, prompt=prompt)
        assert_same_scores(again.predict(PAIRS, prompt=prompt), expected)


@pytest.mark.parametrize("name", [name for name in CASES if name not in OTHERWISE_IN_PEER])
def test_saved_folder_scores_equally_in_the_peer(
    name: str, model_of: ModelOf, tmp_path: Path
) -> None:
    model_of(name).save_pretrained(tmp_path / "saved")
    theirs = Peer(str(tmp_path / "saved"), device="cpu").predict(PAIRS)
    assert_same_scores(theirs, model_of(name).predict(PAIRS))


def test_pieces_of_a_prompt_are_tokenised_by_themselves(
    model_of: ModelOf,
) -> None:
    """With this vocabulary two line ends together are one token."""
    name = "mxbai-rerank-base-v2"
    ids = model_of(name).preprocess([("Which word?\n", "rye?")])["input_ids"][0].tolist()
    tokenizer = model_of(name).tokenizer
    whole = tokenizer(tokenizer.decode(ids), add_special_tokens=False)["input_ids"]
    assert len(ids) > len(whole)


def test_llama_of_any_name_scores_as_mteb_asks_it_when_its_processor_is_named(
    tmp_path: Path,
) -> None:
    folder = llm_rerankers.build_rank_llama(tmp_path / "some-llama")
    model = CrossEncoder(str(folder), device="cpu", processor="rank-llama")
    for instruction in (None, INSTRUCTION):
        expected = [true_false.score_llama(folder, *pair, instruction) for pair in PAIRS]
        assert_same_scores(model.predict(PAIRS, prompt=instruction), expected)


def test_zerank_takes_blanks_off_both_sides(folder_of: FolderOf, model_of: ModelOf) -> None:
    bare, padded = ("Which bread?", "Rye."), ("\n Which bread? ", " Rye.\n\n")
    scores = model_of("zerank-1-small").predict([bare, padded])
    assert scores[0] == scores[1]
    assert_same_scores(scores[1], zerank.probability(folder_of("zerank-1-small"), *padded))


@pytest.mark.parametrize("num_words", [20, 45, 70, 400])
@pytest.mark.parametrize("asked", ["Which bread?", "Which bread is baked in the morning? " * 12])
def test_long_sides_are_cut_as_the_vendor_cuts_them(
    asked: str, num_words: int, folder_of: FolderOf
) -> None:
    """Both sides have limits of their own, and the sentence at the end counts twice for none."""
    folder = folder_of("bge-reranker-v2-gemma")
    model = CrossEncoder(str(folder), device="cpu", max_length=64)
    document = "rye " * num_words
    ids = bge_llm.prompt_ids(folder, asked, document, bge_llm.PROMPT, max_length=64)
    assert model.preprocess([(asked, document)])["input_ids"][0].tolist() == ids
