"""Packed rows give the states of padded ones; what is kept between calls is never out of date."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.engine import PackedEngine, PaddedEngine, TokenBudget
from mmrerank.inputs import parse_pairs
from mmrerank.types import Pair
from tests import checkpoints

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file .*additional_chat_templates:ResourceWarning"
)
ModelOf = Callable[..., CrossEncoder]
RNG = np.random.default_rng(0)
WORDS = [
    "the",
    "red",
    "planet",
    "shines",
    "above",
    "a",
    "village",
    "where",
    "rain",
    "falls",
    "on",
    "bread",
    "and",
    "trains",
    "stop",
]


def words(num: int) -> str:
    return " ".join(RNG.choice(WORDS, num))


QUERY = words(12)
TEXTS = [words(int(num)) for num in RNG.integers(1, 60, 14)]
PICTURES = [Image.fromarray(RNG.integers(0, 255, (40 + 9 * i, 64, 3), np.uint8)) for i in range(4)]
BUILDERS: dict[str, Callable[..., Any]] = {
    "bert": checkpoints.build_bert,
    "bert-nli": checkpoints.build_bert_nli,
    "electra": checkpoints.build_electra,
    "roberta": checkpoints.build_roberta,
    "xlm-roberta": checkpoints.build_xlm_roberta,
    "modernbert": checkpoints.build_modernbert,
    "modernbert-cls": partial(checkpoints.build_modernbert, classifier_pooling="cls"),
    "llama": checkpoints.build_llama,
    "qwen2": checkpoints.build_qwen2_chatml,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-seq-cls": checkpoints.build_qwen3_seq_cls,
    "qwen3-vl": checkpoints.build_qwen3_vl,
}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    root = tmp_path_factory.mktemp("packed")
    return cache(lambda name: str(BUILDERS[name](root / name)))


@pytest.fixture
def load(folder_of: Callable[[str], str]) -> ModelOf:
    """A model of its own for each test: tests change weights."""

    def load(name: str, **options: Any) -> CrossEncoder:
        if name == "tiny-omni":
            return CrossEncoder(device="cpu", **options)
        return CrossEncoder(folder_of(name), device="cpu", **options)

    return load


def documents_of(model: CrossEncoder) -> list[Any]:
    mixed = [*PICTURES, {"text": words(5), "image": PICTURES[0]}, PICTURES[1]]
    return TEXTS + (mixed if model.supports("image") else [])


def padded(model: CrossEncoder, pairs: list[Any]) -> np.ndarray:
    """The same scores with one row a prompt."""
    pipeline = model._make_pipeline(model._spec)
    pipeline._engine = PaddedEngine(pipeline.runner)
    results = pipeline.score(parse_pairs(pairs, takes_media=model.supports_media).pairs)
    return np.stack([result.value for result in results])  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [*BUILDERS, "tiny-omni"])
@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_packed_scores_equal_padded_ones(name: str, batch_size: int, load: ModelOf) -> None:
    model = load(name)
    assert isinstance(model.pipeline._engine, PackedEngine)
    pairs = [(query, document) for query in (QUERY, words(3)) for document in documents_of(model)]
    ours = model.predict(pairs, batch_size=batch_size)
    np.testing.assert_allclose(ours, padded(model, pairs), atol=1e-5)


def test_architecture_that_cannot_be_packed_runs_padded(tmp_path: Any) -> None:
    model = CrossEncoder(str(checkpoints.build_deberta_v2(tmp_path / "deberta")), device="cpu")
    assert isinstance(model.pipeline._engine, PaddedEngine)
    assert model.explain_plan([(QUERY, text) for text in TEXTS]).runner == "padded"


@pytest.mark.parametrize("name", ["qwen3", "qwen3-vl", "tiny-omni"])
def test_call_after_call_gives_the_scores_of_a_fresh_model(name: str, load: ModelOf) -> None:
    model, queries = load(name), [QUERY, words(6), QUERY + " again"]
    for query in queries:
        pairs = [(query, document) for document in documents_of(model)]
        expected = load(name, media_cache=0, prefix_cache=0, weight_cache=0).predict(pairs)
        np.testing.assert_allclose(model.predict(pairs), expected, atol=1e-5)
        lone = [model.predict(pair) for pair in pairs]
        np.testing.assert_allclose(lone, expected, atol=1e-5)


def test_second_lone_pair_computes_its_own_tokens_only(load: ModelOf) -> None:
    model = load("qwen3")
    model.predict((QUERY, TEXTS[0]))
    plan = model.explain_plan([(QUERY, TEXTS[1])])
    assert plan.num_cached > len(QUERY.split())
    assert plan.num_computed + plan.num_cached == plan.num_tokens


def test_prefix_cache_of_no_bytes_keeps_nothing(load: ModelOf) -> None:
    model = load("qwen3", prefix_cache=0)
    model.predict((QUERY, TEXTS[0]))
    assert model.explain_plan([(QUERY, TEXTS[1])]).num_cached == 0


def test_picture_of_an_earlier_call_is_not_run_again(load: ModelOf) -> None:
    model = load("qwen3-vl")
    model.predict([(QUERY, picture) for picture in PICTURES])
    plan = model.explain_plan([("another query", picture) for picture in PICTURES])
    assert (plan.num_media, plan.num_media_cached) == (4, 4)
    assert load("qwen3-vl").explain_plan([(QUERY, PICTURES[0])]).num_media_cached == 0


def test_plan_counts_tokens_once_that_prompts_begin_with(load: ModelOf) -> None:
    plan = load("qwen3").explain_plan([(QUERY, text) for text in TEXTS])
    assert plan.runner == "packed"
    assert plan.num_prompts == len(TEXTS)
    assert 0 < plan.num_computed < plan.num_tokens
    assert plan.num_saved == plan.num_tokens - plan.num_computed


def change_one_weight(model: CrossEncoder) -> None:
    with torch.no_grad():
        model.model.get_decoder().layers[0].mlp.down_proj.weight[0] += 1.0


def take_a_step(model: CrossEncoder) -> None:
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    features = model.preprocess([(QUERY, TEXTS[0])])
    features.pop("modality", None)
    features.pop("logits_to_keep", None)
    model.model(**features).logits.square().mean().backward()
    optimiser.step()
    model.eval()


def load_other_weights(model: CrossEncoder) -> None:
    state = {name: tensor * 1.5 for name, tensor in model.model.state_dict().items()}
    model.model.load_state_dict(state)


def put_another_tensor(model: CrossEncoder) -> None:
    parameter = model.model.get_decoder().layers[0].mlp.down_proj.weight
    parameter.data = parameter.data * 2


CHANGES = [change_one_weight, take_a_step, load_other_weights, put_another_tensor]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["qwen3", "qwen3-vl"])
def test_changed_weights_count_at_once(
    name: str, change: Callable[[CrossEncoder], None], load: ModelOf
) -> None:
    model = load(name)
    pairs = [(QUERY, document) for document in documents_of(model)]
    before = model.predict(pairs)
    change(model)
    fresh = copy.deepcopy(model)
    after = model.predict(pairs)
    np.testing.assert_allclose(after, fresh.predict(pairs), atol=1e-5)
    assert not np.allclose(after, before, atol=1e-4)


def test_weights_changed_in_the_middle_of_a_call_leave_nothing_behind(load: ModelOf) -> None:
    model = load("qwen3")
    engine: Any = model.pipeline._engine
    parsed = parse_pairs([(QUERY, text) for text in TEXTS]).pairs
    pairs = [pair for pair in parsed if isinstance(pair, Pair)]
    groups, features = model.pipeline.encode(pairs)
    batches = engine.run(groups, features, budget=TokenBudget(max_pairs=2), device="cpu")
    next(batches)
    change_one_weight(model)
    assert len(list(batches)) > 1
    assert engine._prefixes.num_bytes == 0


def test_half_precision_counts_at_once(load: ModelOf) -> None:
    model = load("qwen3-vl")
    pairs = [(QUERY, document) for document in documents_of(model)]
    model.predict(pairs)
    model.bfloat16()
    fresh = copy.deepcopy(model)
    np.testing.assert_allclose(model.predict(pairs), fresh.predict(pairs), atol=2e-2)


def test_model_in_training_keeps_nothing(load: ModelOf) -> None:
    model = load("qwen3-vl")
    model.predict([(QUERY, PICTURES[0])])
    model.train()
    engine: Any = model.pipeline._engine
    engine._forget_if_changed()
    assert engine._media.num_bytes == 0
    assert engine._prefixes.num_bytes == 0


def test_copies_and_pickles_score_the_same(load: ModelOf) -> None:
    model = load("qwen3-vl")
    pairs = [(QUERY, document) for document in documents_of(model)]
    expected = model.predict(pairs)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_allclose(other.predict(pairs), expected, atol=1e-5)


def test_attention_of_the_model_is_as_before_after_a_call(load: ModelOf) -> None:
    model = load("qwen3-vl")
    text_config = model.model.get_decoder().config
    before = text_config._attn_implementation
    model.predict((QUERY, TEXTS[0]))
    assert text_config._attn_implementation == before
    layers = model.model.get_decoder().layers
    assert "forward" not in vars(layers[-1])


def test_compiled_model_runs_padded(load: ModelOf) -> None:
    model = load("bert")
    model.compile(backend="eager")
    assert isinstance(model.pipeline._engine, PaddedEngine)
