"""A generative listwise reranker: windows of a list, answers, orders, by its vendor's script."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.diagnosis import diagnose_model
from mmrerank.errors import InputError, SpecError, UnsupportedModality
from mmrerank.inputs import parse_pairs
from mmrerank.pipeline.sliding import window_places
from mmrerank.specs import HeadSpec, ListwiseSpec, find_processor
from mmrerank.types import Pair, Score
from tests.checkpoints.lighton_lw import FIXED_ANSWER, build_lighton_rerank_lw
from tests.families._permutations import answer_in_permutations
from tests.recipes.lighton_lw import THOUGHT, Reranker

QUERY = "Which planet is known as the red planet?"
TEXTS = [
    "Mars is red, as iron on its ground rusts.",
    "Bread and butter is what many have for breakfast.",
    "",
    "Venus comes nearest to the earth.\n\nIt is not red.",
    "The train to the mountains stops at every village. " * 3,
    "§ 4 – 火星是红色的",
    "Mars is red, as iron on its ground rusts.",
    "Rivers run to the sea.",
    "A bicycle has two wheels.",
]


def _picture(number: int) -> Image.Image:
    steps = np.linspace(0, 255, 96 + 32 * (number % 3), dtype=np.uint8)
    wide = np.stack([np.roll(steps, 9 * number + shift) for shift in (0, 20, 40)], axis=-1)
    return Image.fromarray(np.broadcast_to(wide, (64, *wide.shape)).copy())


PICTURES = [_picture(number) for number in range(9)]
MIXED = [text if number % 3 else PICTURES[number] for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_lighton_rerank_lw(tmp_path_factory.mktemp("lw") / "LightOn-rerank-LW-0.8B")


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 4B whose weights write one permutation by themselves."""
    folder = tmp_path_factory.mktemp("fixed") / "LightOn-rerank-LW-4B"
    return build_lighton_rerank_lw(folder, thinks=True, is_fixed=True)


@pytest.fixture(scope="module")
def fixed_model(fixed: Path) -> CrossEncoder:
    return CrossEncoder(str(fixed), device="cpu")


@pytest.fixture(scope="module")
def raw_model(folder: Path) -> CrossEncoder:
    """Random weights, which write nonsense."""
    return CrossEncoder(str(folder), device="cpu")


@pytest.fixture(scope="module")
def num_prompts() -> list[int]:
    """Of each batch of `model`, one after the other."""
    return []


@pytest.fixture(scope="module")
def model(folder: Path, num_prompts: list[int]) -> CrossEncoder:
    made = CrossEncoder(str(folder), device="cpu")
    answer_in_permutations(made.transformer.model, made.tokenizer, num_prompts)
    return made


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Reranker:
    made = Reranker(folder)
    answer_in_permutations(made.model, made.processor.tokenizer)
    return made


def _pairs(inputs: list[tuple[Any, Any]]) -> list[Pair]:
    return [pair for pair in parse_pairs(inputs).pairs if isinstance(pair, Pair)]


def _prompt(model: CrossEncoder, query: str, documents: list[Any]) -> str:
    """The ids of a window, as text; each picture as one placeholder."""
    ((group,), _) = model.pipeline.encode(_pairs([(query, document) for document in documents]))
    ids = group.token_ids.tolist()
    for span in reversed(group.media):
        del ids[span.start + 1 : span.start + span.length]
    return str(model.tokenizer.decode(ids))


def _in_order(ranking: list[dict[str, Any]]) -> list[float]:
    return [entry["score"] for entry in sorted(ranking, key=lambda entry: entry["corpus_id"])]


# ------------------------------------------------------------ by the vendor's script


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("documents", [TEXTS, PICTURES, MIXED], ids=["texts", "pictures", "mixed"])
def test_rank_orders_by_the_vendors_script(
    model: CrossEncoder, recipe: Reranker, documents: list[Any], count: int
) -> None:
    ours = _in_order(model.rank(QUERY, documents[:count]))
    assert ours == recipe.scores(QUERY, documents[:count])
    assert sorted(ours) == list(range(1, count + 1))


def test_answers_depend_on_the_documents(model: CrossEncoder) -> None:
    for documents, least in ((TEXTS, 3), (PICTURES, 2)):
        windows = [documents[at : at + 4] for at in range(6)]
        assert len({tuple(_in_order(model.rank(QUERY, own))) for own in windows}) >= least


@pytest.mark.parametrize("documents", [TEXTS[:4], PICTURES[:3], MIXED[:4], TEXTS[:1]])
def test_prompt_is_the_vendors_byte_for_byte(
    model: CrossEncoder, recipe: Reranker, documents: list[Any]
) -> None:
    assert _prompt(model, QUERY, documents) == recipe.prompt(QUERY, documents)


def test_token_ids_are_those_of_the_vendors_processor(
    model: CrossEncoder, recipe: Reranker
) -> None:
    prompt = recipe.prompt(QUERY, MIXED[:4])
    pictures = [document for document in MIXED[:4] if not isinstance(document, str)]
    ids = recipe.processor(text=[prompt], images=pictures)["input_ids"][0]
    ((group,), _) = model.pipeline.encode(_pairs([(QUERY, document) for document in MIXED[:4]]))
    assert group.token_ids.tolist() == list(ids)


def test_largest_model_thinks_an_empty_thought(fixed_model: CrossEncoder, fixed: Path) -> None:
    assert fixed_model.spec.family == "lighton-rerank-lw-4b"
    recipe = Reranker(fixed, thought=THOUGHT)
    for documents in (TEXTS[:4], MIXED[:4]):
        prompt = _prompt(fixed_model, QUERY, documents)
        assert prompt == recipe.prompt(QUERY, documents)
        assert prompt.endswith(THOUGHT)


def test_weights_that_write_an_order_by_themselves_are_read(
    fixed_model: CrossEncoder, fixed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Reranker(fixed, thought=THOUGHT)
    with caplog.at_level(logging.WARNING, "mmrerank"):
        for documents in (TEXTS[:2], TEXTS[:3], TEXTS[:7], MIXED[:5]):
            ours = _in_order(fixed_model.rank(QUERY, documents))
            assert ours == recipe.scores(QUERY, documents)
            assert ours != sorted(ours, reverse=True)
    assert set(recipe.answers) == {FIXED_ANSWER}
    assert not caplog.text


@pytest.mark.parametrize(
    ("count", "places"),
    [
        (0, []),
        (1, []),
        (2, [(0, 2)]),
        (4, [(0, 4)]),
        (5, [(1, 5), (0, 4)]),
        (6, [(2, 6), (0, 4)]),
        (9, [(5, 9), (3, 7), (1, 5), (0, 4)]),
    ],
)
def test_windows_go_from_the_end_to_the_front(count: int, places: list[tuple[int, int]]) -> None:
    assert window_places(count, 4, 2) == places


# ------------------------------------------------------------ what else is in the call

LISTS = [
    *((QUERY, document) for document in TEXTS[:5]),
    ("breakfast", TEXTS[0]),
    *(("rivers", document) for document in MIXED[:4]),
    *((QUERY, document) for document in TEXTS[:2]),
    *(("wheels", document) for document in TEXTS[4:]),
]
ENDS = [0, 5, 6, 10, 12, 17]


@pytest.fixture(scope="module")
def alone(model: CrossEncoder) -> list[float]:
    """Scores of LISTS, each list in a call of its own."""
    parts = itertools.pairwise(ENDS)
    return [float(score) for a, b in parts for score in model.predict(LISTS[a:b])]


def test_lists_of_one_call_have_the_scores_of_each_alone(
    model: CrossEncoder, alone: list[float]
) -> None:
    assert model.predict(LISTS).tolist() == alone


def test_windows_of_several_lists_are_answered_together(
    model: CrossEncoder, num_prompts: list[int]
) -> None:
    num_prompts.clear()
    model.predict(LISTS)
    assert max(num_prompts) > 1
    assert sum(num_prompts) == 2 + 0 + 1 + 1 + 2


@pytest.mark.parametrize("batch_size", [1, 3])
def test_scores_do_not_depend_on_the_batch_size(
    model: CrossEncoder, alone: list[float], num_prompts: list[int], batch_size: int
) -> None:
    num_prompts.clear()
    assert model.predict(LISTS, batch_size=batch_size).tolist() == alone
    assert max(num_prompts) <= batch_size


def test_stream_gives_the_scores_of_predict(model: CrossEncoder, alone: list[float]) -> None:
    def generated() -> Iterator[tuple[str, Any]]:
        yield from LISTS

    results = list(model.score_stream(generated()))
    assert [float(r.value) for r in results if isinstance(r, Score)] == alone
    assert [result.index for result in results] == list(range(len(LISTS)))


def test_batch_that_does_not_fit_is_halved(
    model: CrossEncoder, alone: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = model.transformer.model.generate

    def generate(**inputs: Any) -> Any:
        if len(inputs["input_ids"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return own(**inputs)

    monkeypatch.setattr(model.transformer.model, "generate", generate)
    # A line of its own, for what it learns of the memory it keeps.
    results = model._make_pipeline(model.spec).score(_pairs(LISTS))
    assert [float(r.value) for r in results if isinstance(r, Score)] == alone


def test_top_k_and_documents_come_as_from_any_model(model: CrossEncoder) -> None:
    ranking = model.rank(QUERY, TEXTS[:5], top_k=2, return_documents=True)
    assert [entry["score"] for entry in ranking] == [5.0, 4.0]
    assert ranking[0]["text"] in TEXTS


def test_usage_counts_the_tokens_of_all_windows(model: CrossEncoder) -> None:
    ((group,), _) = model.pipeline.encode(_pairs([(QUERY, text) for text in TEXTS[:4]]))
    assert model.rank(QUERY, TEXTS[:4]).usage.num_tokens == group.num_tokens
    assert model.rank(QUERY, TEXTS[:6]).usage.num_tokens > group.num_tokens


# ------------------------------------------------------------ answers that are none


def test_answer_that_is_no_permutation_leaves_the_order_and_is_told_once(
    raw_model: CrossEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mmrerank"):
        scores = raw_model.predict(LISTS)
    assert scores.tolist() == [
        float(b - k) for a, b in itertools.pairwise(ENDS) for k in range(a, b)
    ]
    (record,) = caplog.records
    assert "6 of 6 windows were answered with no permutation" in record.getMessage()


# ------------------------------------------------------------ errors


def test_bad_documents_stay_out_of_windows(model: CrossEncoder) -> None:
    bad = "half a character \ud800"
    documents = [bad, *TEXTS[:3], bad, "no-such-file.png", *TEXTS[3:6], bad]
    pairs = [(QUERY, document) for document in documents]
    scores = model.predict(pairs, on_error="record")
    failed = [place for place, score in enumerate(scores) if np.isnan(score)]
    assert failed == [0, 4, 5, 9]
    good = [score for score in scores.tolist() if not np.isnan(score)]
    assert good == _in_order(model.rank(QUERY, TEXTS[:6]))


def test_text_and_picture_in_one_document_are_refused_by_name(model: CrossEncoder) -> None:
    both = {"text": TEXTS[0], "image": PICTURES[0]}
    with pytest.raises(InputError, match=r"documents\[1\]: .*2 parts \(text, image\).*one picture"):
        model.rank(QUERY, [TEXTS[1], both])


def test_picture_as_query_is_refused(model: CrossEncoder) -> None:
    with pytest.raises(UnsupportedModality, match="query holds image"):
        model.rank(PICTURES[0], TEXTS[:2])


def test_placeholder_in_the_query_is_raised_as_the_querys(model: CrossEncoder) -> None:
    with pytest.raises(InputError, match=r"^query: .*stands for a medium"):
        model.rank("red <|image_pad|>", TEXTS[:2], on_error="record")


def test_training_module_form_and_plan_are_refused(model: CrossEncoder) -> None:
    with pytest.raises(InputError, match="cannot be trained pair by pair"):
        model.preprocess_for_training([(QUERY, TEXTS[0])])
    with pytest.raises(InputError, match="cannot be prepared pair by pair"):
        model.preprocess([(QUERY, TEXTS[0])])
    with pytest.raises(InputError, match="next prompt depends on that answer"):
        model.explain_plan([(QUERY, TEXTS[0])])


def test_other_scales_are_not_defined(folder: Path) -> None:
    with pytest.raises(InputError, match="defined as rank only"):
        CrossEncoder(str(folder), device="cpu", scale="probability")


def test_instruction_has_no_place_and_that_is_said(
    raw_model: CrossEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mmrerank"):
        raw_model.rank(QUERY, TEXTS[:2], instruction="Take stars too.")
    assert "no place for an instruction" in caplog.text


def test_template_that_loses_a_document_is_refused(folder: Path) -> None:
    text = find_processor("lighton-rerank-lw").template.text
    losing = text.replace(
        "for document in documents -%}\n    {{-", "for document in documents[:3] -%}\n    {{-"
    )
    assert losing != text
    model = CrossEncoder(str(folder), device="cpu", processor_kwargs={"chat_template": losing})
    with pytest.raises(SpecError, match="shows 3 of 4 documents"):
        model.rank(QUERY, TEXTS[:4])


# ------------------------------------------------------------ max_length


@pytest.mark.parametrize("count", [2, 4])
def test_over_long_documents_share_what_a_window_has_room_for(
    folder: Path, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = CrossEncoder(str(folder), device="cpu", max_length=160)
    documents = ["Mars is red. " * 60, "Venus.", "The train to the mountains. " * 70, "Bread."]
    ((group,), _) = model.pipeline.encode(_pairs([(QUERY, d) for d in documents[:count]]))
    assert group.num_tokens == 160
    prompt = model.tokenizer.decode(group.token_ids)
    assert "[2]: Venus.\n" in prompt
    assert prompt.endswith("\nRanking:<|im_end|>\n<|im_start|>assistant\n")
    with caplog.at_level(logging.WARNING, "mmrerank"):
        ranking = model.rank(QUERY, documents[:count])
    assert f"{count // 2} of {count} documents were longer" in caplog.text
    assert ranking.usage.num_truncated == count // 2


def test_windows_with_a_picture_are_not_cut_at_the_limit_of_texts(model: CrossEncoder) -> None:
    documents = ["Mars is red. " * 900, PICTURES[0]]
    ((group,), _) = model.pipeline.encode(_pairs([(QUERY, d) for d in documents]))
    assert (group.num_truncated, group.num_tokens > 2048) == (0, True)
    ((group,), _) = model.pipeline.encode(_pairs([(QUERY, d) for d in documents[:1]]))
    assert group.num_tokens == 2048


def test_max_length_without_room_is_refused(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", max_length=40)
    with pytest.raises(InputError, match=r"max_length=40: the template of .* alone takes \d+"):
        model.rank(QUERY, TEXTS[:2])


def test_picture_too_large_for_a_window_is_refused_by_name(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", max_length=160)
    large = Image.new("RGB", (256, 256))
    with pytest.raises(InputError, match=r"documents\[0\]: the picture takes \d+ tokens"):
        model.rank(QUERY, [large, "Mars"])


# ------------------------------------------------------------ saving, doctor, folders


def test_saved_model_ranks_the_same_under_any_name(
    fixed_model: CrossEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mmrerank"):
        fixed_model.save_pretrained(tmp_path / "saved")
    assert "sentence-transformers 6.2 has no form for listwise models" in caplog.text
    saved = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    assert saved.spec.family == "lighton-rerank-lw-4b"
    assert _prompt(saved, QUERY, MIXED[:4]) == _prompt(fixed_model, QUERY, MIXED[:4])
    assert saved.predict(LISTS).tolist() == fixed_model.predict(LISTS).tolist()
    recipe = Reranker(tmp_path / "saved", thought=THOUGHT)
    assert recipe.scores(QUERY, TEXTS[:5]) == _in_order(fixed_model.rank(QUERY, TEXTS[:5]))


def test_description_tells_windows_and_scale(fixed_model: CrossEncoder) -> None:
    facts = fixed_model.describe()
    assert facts["scale"] == "rank"
    assert facts["listwise"]["max_documents"] == 4
    assert facts["prompt_example"].endswith(
        "\n\nRanking:<|im_end|>\n<|im_start|>assistant\n" + THOUGHT
    )


def test_doctor_finds_a_model_that_answers_healthy(fixed: Path) -> None:
    report = diagnose_model(str(fixed), device="cpu")
    assert [f.component for f in report.findings if f.state in ("broken", "limited")] == []
    found = {finding.component: finding.found for finding in report.findings}
    assert "tokens of the 30" in found["score tokens"]
    assert "3 of 3 windows answered" in found["scores"]
    assert "is answered" in found["with a picture"]


def test_doctor_says_of_a_model_that_writes_nonsense_that_it_is_broken(folder: Path) -> None:
    report = diagnose_model(str(folder), device="cpu")
    broken = {
        finding.component: finding.found for finding in report.findings if finding.state == "broken"
    }
    assert set(broken) == {"scores"}
    assert "0 of 3 windows answered" in broken["scores"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"stride": 4}, "need 1 <= stride < max_documents"),
        ({"label": "[1]"}, "needs max_new_tokens, label"),
        ({"separator": " "}, "needs max_new_tokens, label"),
        ({"max_new_tokens": 0}, "needs max_new_tokens, label"),
    ],
)
def test_folder_is_checked(said: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "stride": 2,
        "max_new_tokens": 9,
        "label": "[{number}]",
        "separator": ">",
    }
    ListwiseSpec(max_documents=4, **good).check("permutation")
    with pytest.raises(SpecError, match=message):
        ListwiseSpec(max_documents=4, **good | said).check("permutation")
    assert HeadSpec("permutation", scales=("rank",)).kind == "permutation"
