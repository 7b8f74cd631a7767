"""The engine that runs encoders on OpenVINO: states equal those of torch, whatever happens."""

from __future__ import annotations

import copy
import logging
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mmrerank.engine import OpenVINO, OpenVINOEngine, PaddedEngine, TokenBudget
from mmrerank.engine.bert_trace import trace_encoder
from mmrerank.engine.openvino import CompiledEncoder
from mmrerank.engine.weights import fingerprint
from mmrerank.errors import EngineError, Stopped
from mmrerank.heads import Head
from mmrerank.models.architectures import LAST_LAYER
from mmrerank.types import EncodedGroup
from tests.engine._architectures import ARCHITECTURES, FIRST_WORD, VOCAB_SIZE, model_of
from tests.engine._both_ways import ONE_BATCH, BothWays, largest_difference

TOLERANCE = 1e-5
KINDS = sorted(name for name, kind in LAST_LAYER.items() if kind == "bert")
# Blocks of 1 to 140 tokens; several prompts are equal, and two are alone in their length.
PROMPTS = [[4, 5, 0], [4, 5, 3], [4, 6], [4, 6, 2], [5, 1], [3], [2], [4], [0], [4, 6], [0]]
BUDGET = TokenBudget(200, 3)


@cache
def both_of(name: str) -> BothWays:
    return BothWays(ARCHITECTURES[name], model_of(name))


@cache
def engine_of(name: str) -> OpenVINOEngine:
    return make_engine(both_of(name))


def make_engine(both: BothWays, backend: OpenVINO | None = None) -> OpenVINOEngine:
    head = Head("position", 1, to_logits=lambda states: states)
    return OpenVINOEngine(both.engine(), both.model, head, backend or OpenVINO())


def groups_of(both: BothWays) -> list[EncodedGroup]:
    return [both.group(prompt) for prompt in PROMPTS]


def group_of(num_tokens: int, *, score_at: int = 0) -> EncodedGroup:
    ids = np.random.default_rng(num_tokens).integers(FIRST_WORD, VOCAB_SIZE, num_tokens)
    return EncodedGroup(ids.astype(np.int64), score_at=(score_at,), indices=(0,))


@pytest.fixture
def fresh() -> BothWays:
    """A model that the test may change."""
    return BothWays(ARCHITECTURES["bert"], copy.deepcopy(model_of("bert")))


# ------------------------------------------------------------ equal states


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("budget", [TokenBudget(), BUDGET, TokenBudget(max_pairs=1)])
def test_states_equal_those_of_torch(name: str, budget: TokenBudget) -> None:
    both = both_of(name)
    groups = groups_of(both)
    found = both.states(engine_of(name), groups, budget)
    assert found.dtype == torch.float32
    assert largest_difference(found, both.padded_states(groups)) <= TOLERANCE


@pytest.mark.parametrize("name", KINDS)
def test_one_token_and_512_in_batches_of_one_and_of_many(name: str) -> None:
    both = both_of(name)
    groups = [group_of(length) for length in (512, 1, 1, 2, 511, 7, 512)]
    expected = both.padded_states(groups)
    for chosen in ([1], [0], [1, 2], list(range(7))):
        for budget in (ONE_BATCH, TokenBudget()):
            found = both.states(engine_of(name), [groups[place] for place in chosen], budget)
            assert largest_difference(found, expected[chosen]) <= TOLERANCE


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_states_are_read_where_the_prompts_say(name: str) -> None:
    both = both_of(name)
    groups = [group_of(length, score_at=at) for length, at in ((9, 8), (30, 4), (30, 0), (12, 11))]
    found = both.states(engine_of(name), groups, ONE_BATCH)
    assert largest_difference(found, both.padded_states(groups)) <= TOLERANCE


def test_batches_come_longest_first_whichever_ends_first() -> None:
    both = both_of("bert")
    groups = [group_of(length) for length in (40, 300, 5, 60)]
    engine = engine_of("bert")
    for _ in range(3):
        batches = engine.run(groups, {}, budget=TokenBudget(max_pairs=1), device="cpu")
        assert [rows for rows, _ in batches] == [(1,), (3,), (0,), (2,)]
    found = both.states(engine, groups, TokenBudget(max_pairs=1))
    assert largest_difference(found, both.padded_states(groups)) <= TOLERANCE


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float16, 0.01)])
def test_half_precision_gives_states_of_its_dtype_near_the_exact_ones(
    fresh: BothWays, dtype: torch.dtype, tolerance: float
) -> None:
    groups = groups_of(fresh)
    expected = fresh.padded_states(groups)
    fresh.model.to(dtype)
    found = fresh.states(make_engine(fresh), groups, BUDGET)
    assert found.dtype == dtype
    assert largest_difference(found.float(), expected) <= tolerance


def test_no_prompts_give_no_batches() -> None:
    assert list(engine_of("bert").run([], {}, budget=TokenBudget(), device="cpu")) == []


# ------------------------------------------------------------ the model stays as it was


@pytest.mark.parametrize("name", KINDS)
def test_trace_leaves_the_model_as_it_was(name: str) -> None:
    model = copy.deepcopy(model_of(name))
    model.train()
    model.encoder.layer[0].eval()
    modes = [module.training for module in model.modules()]
    forwards = [type(module).forward for module in model.modules()]
    before, attention = fingerprint(model_of(name)), model.config._attn_implementation
    trace_encoder(model)
    trace_encoder(model_of(name))
    assert [module.training for module in model.modules()] == modes
    assert [type(module).forward for module in model.modules()] == forwards
    assert not any("forward" in vars(module) for module in model.modules())
    assert model.config._attn_implementation == attention
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert fingerprint(model_of(name)) == before


# ------------------------------------------------------------ weights that change


def _in_place(model: Any) -> None:
    with torch.no_grad():
        model.encoder.layer[0].output.dense.weight.mul_(1.5)


def _loaded(model: Any) -> None:
    state = {name: tensor * 0.9 for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)


def _replaced(model: Any) -> None:
    model.encoder.layer[1].intermediate.dense = torch.nn.Linear(32, 48)


@pytest.mark.parametrize("change", [_in_place, _loaded, _replaced])
def test_changed_weights_are_compiled_anew(fresh: BothWays, change: Any) -> None:
    engine = make_engine(fresh)
    groups = groups_of(fresh)
    before = fresh.states(engine, groups, BUDGET)
    change(fresh.model)
    found = fresh.states(engine, groups, BUDGET)
    assert largest_difference(found, fresh.padded_states(groups)) <= TOLERANCE
    assert largest_difference(found, before) > 1e-2


def test_batches_at_work_outlive_the_weights_that_they_read(fresh: BothWays) -> None:
    engine = make_engine(fresh)
    groups = [group_of(200) for _ in range(12)]
    expected = fresh.states(engine, groups, TokenBudget(max_pairs=1))
    batches = engine.run(groups, {}, budget=TokenBudget(max_pairs=1), device="cpu")
    first = next(batches)[1]
    for parameter in fresh.model.parameters():
        parameter.data = torch.full_like(parameter, torch.nan)
    found = torch.cat([first, *(states for _, states in batches)])
    assert largest_difference(found, expected) <= TOLERANCE


def test_change_of_dtype_and_back_is_followed(fresh: BothWays) -> None:
    engine = make_engine(fresh)
    groups = groups_of(fresh)
    exact = fresh.states(engine, groups, BUDGET)
    fresh.model.bfloat16()
    assert fresh.states(engine, groups, BUDGET).dtype == torch.bfloat16
    fresh.model.float()  # weights rounded to bfloat16, arithmetic in float32
    found = fresh.states(engine, groups, BUDGET)
    assert largest_difference(found, fresh.padded_states(groups)) <= TOLERANCE
    assert largest_difference(found, exact) > 1e-4


def test_nothing_is_compiled_twice_for_the_same_weights(
    fresh: BothWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[int] = []
    compile_once = OpenVINO._compile

    def counted(self: OpenVINO, model: Any) -> CompiledEncoder:
        compiled.append(0)
        return compile_once(self, model)

    monkeypatch.setattr(OpenVINO, "_compile", counted)
    backend = OpenVINO()
    engines = [make_engine(fresh, backend) for _ in range(2)]
    groups = groups_of(fresh)
    expected = fresh.padded_states(groups)
    assert compiled == []
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(fresh.states, engines[number % 2], groups, BUDGET) for number in range(8)
        ]
    for call in calls:
        assert largest_difference(call.result(), expected) <= TOLERANCE
    assert compiled == [0]


def test_copies_and_pickles_leave_the_compiled_encoder_behind() -> None:
    both = both_of("bert")
    backend = OpenVINO({"NUM_STREAMS": 1})
    both.states(make_engine(both, backend), groups_of(both), BUDGET)
    for other in (copy.deepcopy(backend), pickle.loads(pickle.dumps(backend))):
        assert (backend._compiled is None, other._compiled is None) == (False, True)
        found = both.states(make_engine(both, other), groups_of(both), BUDGET)
        assert largest_difference(found, both.padded_states(groups_of(both))) <= TOLERANCE
        assert other.num_streams == 1


# ------------------------------------------------------------ what torch runs instead


class _Recording:
    """An engine that does nothing; remembers what it was asked."""

    def __init__(self) -> None:
        self.devices: list[str] = []

    def run(self, groups: Any, features: Any, *, device: Any, **_: Any) -> Iterator[Any]:
        self.devices.append(str(device))
        return iter([((0,), torch.zeros(1, 32))])


def test_on_another_device_torch_runs_the_model_and_a_warning_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both, recording = both_of("bert"), _Recording()
    head = Head("position", 1, to_logits=lambda states: states)
    engine: Any = OpenVINOEngine(recording, both.model, head, OpenVINO())  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "mmrerank.engine.run_openvino"):
        for _ in range(2):
            batches = list(engine.run([group_of(4)], {}, budget=BUDGET, device="cuda:1"))
            assert len(batches) == 1
    assert recording.devices == ["cuda:1", "cuda:1"]
    (record,) = caplog.records
    assert "torch runs the model, for it is on cuda:1" in record.getMessage()


def test_in_train_mode_torch_runs_the_model(
    fresh: BothWays, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine(fresh)
    fresh.model.train()
    with caplog.at_level(logging.WARNING, "mmrerank.engine.run_openvino"):
        fresh.states(engine, groups_of(fresh), BUDGET)
    assert engine._backend._compiled is None
    assert "train mode" in caplog.text
    assert engine.explain(groups_of(fresh), {}, BUDGET, "cpu").runner == "packed"


# ------------------------------------------------------------ plans, stops, errors


def test_plan_says_what_is_run() -> None:
    both = both_of("bert")
    groups = groups_of(both)
    engine = engine_of("bert")
    report = engine.explain(groups, {}, BUDGET, "cpu")
    batches = list(engine.run(groups, {}, budget=BUDGET, device="cpu"))
    lengths = [group.num_tokens for group in groups]
    assert (report.runner, report.num_prompts) == ("openvino", len(PROMPTS))
    assert report.num_tokens == sum(lengths)
    assert report.num_batches == len(batches)
    assert report.num_computed == sum(
        len(rows) * max(lengths[row] for row in rows) for rows, _ in batches
    )
    assert all(len(rows) <= 3 for rows, _ in batches)


def test_stop_gives_out_what_was_started_and_later_calls_work() -> None:
    engine = engine_of("bert")
    groups = [group_of(length) for length in (40, 30, 20, 10)]
    answers = iter([False, False, True])
    batches = engine.run(
        groups,
        {},
        budget=TokenBudget(max_pairs=1),
        device="cpu",
        should_stop=lambda: next(answers),
    )
    assert [next(batches)[0], next(batches)[0]] == [(0,), (1,)]
    with pytest.raises(Stopped, match="should_stop"):
        next(batches)
    assert next(answers, "asked three times") == "asked three times"
    both = both_of("bert")
    found = both.states(engine, groups, TokenBudget())
    assert largest_difference(found, both.padded_states(groups)) <= TOLERANCE


def test_caller_that_leaves_early_leaves_nothing_at_work() -> None:
    engine = engine_of("bert")
    groups = [group_of(length) for length in range(200, 300, 10)]
    batches = engine.run(groups, {}, budget=TokenBudget(max_pairs=1), device="cpu")
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    both = both_of("bert")
    found = both.states(engine, groups, TokenBudget())
    assert largest_difference(found, both.padded_states(groups)) <= TOLERANCE


@pytest.mark.parametrize("step", ["start", "finish"])
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("Check 'x' failed:\nstd::bad_alloc")], ids=["py", "ov"]
)
def test_out_of_memory_in_any_batch_changes_nothing_in_the_result(
    step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = both_of("bert")
    groups = groups_of(both)
    expected = both.padded_states(groups)
    own = getattr(CompiledEncoder, step)
    for number in range(1, 5):
        engine = make_engine(both, engine_of("bert")._backend)
        calls: list[int] = []

        def fails_once(
            self: Any, argument: Any, calls: list[int] = calls, number: int = number
        ) -> Any:
            calls.append(0)
            if len(calls) == number:
                raise error
            return own(self, argument)

        monkeypatch.setattr(CompiledEncoder, step, fails_once)
        assert largest_difference(both.states(engine, groups, BUDGET), expected) <= TOLERANCE
        assert len(calls) > number, "it went on"


def test_prompt_that_never_fits_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    both = both_of("bert")

    def fails(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(CompiledEncoder, "finish", fails)
    engine = make_engine(both, engine_of("bert")._backend)
    with pytest.raises(EngineError, match="one prompt of 7 tokens does not fit"):
        both.states(engine, [group_of(7)], BUDGET)


def test_failure_of_openvino_is_an_error_of_ours_with_its_reason() -> None:
    class Request:
        def wait(self) -> None:
            raise RuntimeError("Exception from src/inference/x.cpp:1:\nShapes do not match.\n")

    encoder = engine_of("bert")._backend._compiled[1]  # type: ignore[index]
    with pytest.raises(EngineError, match=r"could not run a batch: 'Shapes do not match\.'"):
        encoder.finish(Request())


def test_refused_option_of_openvino_is_named() -> None:
    both = both_of("bert")
    engine = make_engine(both, OpenVINO({"NUM_STREAMS": "many"}))
    with pytest.raises(EngineError, match=r"NUM_STREAMS.*Check ov_config"):
        both.states(engine, [group_of(7)], BUDGET)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (group_of(700), "700 tokens is too long for a model with positions for 600"),
        (
            EncodedGroup(np.array([VOCAB_SIZE]), score_at=(0,), indices=(0,)),
            "token id 96, the model has embeddings for 96",
        ),
        (
            EncodedGroup(np.array([20]), score_at=(0,), indices=(0,), token_type_ids=np.array([2])),
            "token type 2, the model has embeddings for 2",
        ),
    ],
)
def test_what_is_in_no_table_of_the_model_is_refused(group: EncodedGroup, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        list(engine_of("bert").run([group], {}, budget=TokenBudget(), device="cpu"))


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("qwen3", "position", "this is a model of type 'qwen3'"),
        ("modernbert", "position", "this is a model of type 'modernbert'"),
        ("bert", "tokens", "this is a model of type 'bert' read by tokens"),
        ("bert", "logits", "this is a model of type 'bert' read by logits"),
    ],
)
def test_other_models_are_refused_with_what_is_taken(name: str, head: Any, words: str) -> None:
    both = both_of(name)
    engine = PaddedEngine(both.padded)
    with pytest.raises(EngineError, match=words) as caught:
        OpenVINOEngine(engine, both.model, Head(head, 1, lambda states: states), OpenVINO())
    assert "bert, camembert, electra, roberta, xlm-roberta" in str(caught.value)
    assert "backend='torch'" in str(caught.value)


def test_streams_are_torchs_threads_unless_the_user_says() -> None:
    threads = torch.get_num_threads()
    assert threads == 2
    assert OpenVINO().num_streams == 2
    assert OpenVINO({"NUM_STREAMS": 3}).num_streams == 3
    assert OpenVINO({"PERFORMANCE_HINT": "LATENCY"}).num_streams == 1
    both = both_of("bert")
    backend = OpenVINO({"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    found = both.states(make_engine(both, backend), groups_of(both), BUDGET)
    assert largest_difference(found, both.padded_states(groups_of(both))) <= TOLERANCE


def test_threads_that_score_at_once_get_their_own_states() -> None:
    both = both_of("roberta")
    engine = engine_of("roberta")
    calls = [[group_of(length + shift) for length in (5, 80, 33)] for shift in range(6)]
    expected = [both.padded_states(groups) for groups in calls]
    start = threading.Barrier(len(calls))

    def score(groups: list[EncodedGroup]) -> torch.Tensor:
        start.wait()
        return both.states(engine, groups, TokenBudget(max_pairs=1))

    with ThreadPoolExecutor(len(calls)) as pool:
        for found, wanted in zip(pool.map(score, calls), expected, strict=True):
            assert largest_difference(found, wanted) <= TOLERANCE
