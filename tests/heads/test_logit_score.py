"""LogitScore reads two rows of the output layer and gives what the whole vocabulary would."""

from __future__ import annotations

import pytest
import torch

from mmrerank.errors import CheckpointError
from mmrerank.heads import LogitScore, make_logit_score
from mmrerank.specs import HeadSpec
from tests.checkpoints.tokenizers import make_bert_tokenizer, make_qwen_tokenizer

STATES = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)) * 4


def _output_layer(*, bias: bool) -> torch.nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return torch.nn.Linear(16, 40, bias=bias)


@pytest.mark.parametrize("bias", [False, True])
def test_score_equals_the_difference_of_the_full_logits(bias: bool) -> None:
    layer = _output_layer(bias=bias)
    logits = layer(STATES)
    scores = LogitScore(7, 3).score(STATES, layer)
    assert scores.shape == (5, 1)
    torch.testing.assert_close(scores[:, 0], logits[:, 7] - logits[:, 3])


@pytest.mark.parametrize("bias", [False, True])
def test_score_without_false_token_is_the_logit_itself(bias: bool) -> None:
    layer = _output_layer(bias=bias)
    torch.testing.assert_close(LogitScore(7).score(STATES, layer)[:, 0], layer(STATES)[:, 7])


def test_softcap_is_applied_to_each_logit_before_the_difference() -> None:
    layer = _output_layer(bias=False)
    capped = 2.0 * torch.tanh(layer(STATES) / 2.0)
    scores = LogitScore(7, 3).score(STATES, layer, softcap=2.0)
    torch.testing.assert_close(scores[:, 0], capped[:, 7] - capped[:, 3])


def test_score_of_half_precision_states_is_computed_in_float32() -> None:
    """bf16 logits move in steps of 1/16 and make ties: the sum itself must be float32."""
    layer, states = _output_layer(bias=True).bfloat16(), STATES.bfloat16()
    exact = torch.nn.functional.linear(states.float(), layer.weight.float(), layer.bias.float())
    scores = LogitScore(7, 3).score(states, layer)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores[:, 0], exact[:, 7] - exact[:, 3], rtol=1e-5, atol=1e-5)


def test_rows_are_read_from_the_live_weight() -> None:
    layer, head = _output_layer(bias=False), LogitScore(7, 3)
    before = head.score(STATES, layer)
    with torch.no_grad():
        layer.weight.mul_(2.0)
    torch.testing.assert_close(head.score(STATES, layer), before * 2.0)


def test_forward_reads_the_last_position_of_the_full_logits() -> None:
    logits = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(2))
    features = LogitScore(7, 3)({"causal_logits": logits})
    torch.testing.assert_close(features["scores"], (logits[:, -1, 7] - logits[:, -1, 3])[:, None])


def test_forward_reads_the_output_that_its_config_names() -> None:
    logits = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(2))
    head = LogitScore(7, None, module_input_name="other_logits")
    torch.testing.assert_close(head({"other_logits": logits})["scores"], logits[:, -1, 7][:, None])


def test_config_is_the_peers() -> None:
    assert LogitScore(7, 3).get_config_dict() == {
        "true_token_id": 7,
        "false_token_id": 3,
        "module_input_name": "causal_logits",
    }


def test_tokens_are_looked_up_in_the_vocabulary() -> None:
    tokenizer = make_qwen_tokenizer()
    head = make_logit_score(HeadSpec("logit-score", "yes", "no"), tokenizer, "tiny")
    assert tokenizer.convert_ids_to_tokens(head.true_token_id) == "yes"
    assert tokenizer.convert_tokens_to_ids("no") == head.false_token_id


def test_ids_are_taken_as_they_are() -> None:
    head = make_logit_score(HeadSpec("logit-score", 5, None), make_qwen_tokenizer(), "tiny")
    assert (head.true_token_id, head.false_token_id) == (5, None)


def test_missing_token_is_refused_with_the_remedy() -> None:
    spec = HeadSpec("logit-score", "Certainly", "no")
    with pytest.raises(CheckpointError, match=r"no single token 'Certainly'.*processor="):
        make_logit_score(spec, make_qwen_tokenizer(), "tiny")


def test_token_that_would_become_the_unknown_one_is_refused() -> None:
    """The peer answers 0.5 for every pair here, without a word."""
    with pytest.raises(CheckpointError, match="no single token 'Certainly'"):
        make_logit_score(HeadSpec("logit-score", "Certainly"), make_bert_tokenizer(), "tiny")
