"""A classifier that is taken apart says what the checkpoint's own forward says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf

from mmrerank.heads.classify import Classifier, mean_of_tokens
from mmrerank.models.architectures import CLASSIFIERS
from tests.checkpoints._save import make_model
from tests.engine._architectures import DECODER, FIRST_WORD, VOCAB_SIZE, model_of

ENCODERS = {
    "BertForSequenceClassification": "bert",
    "CamembertForSequenceClassification": "camembert",
    "ElectraForSequenceClassification": "electra",
    "GteForSequenceClassification": "gte",
    "ModernBertForSequenceClassification": "modernbert",
    "RobertaForSequenceClassification": "roberta",
    "XLMRobertaForSequenceClassification": "xlm-roberta",
}
DECODERS = {
    "GemmaForSequenceClassification": hf.GemmaConfig,
    "LlamaForSequenceClassification": hf.LlamaConfig,
    "MistralForSequenceClassification": hf.MistralConfig,
    "Qwen2ForSequenceClassification": hf.Qwen2Config,
    "Qwen3ForSequenceClassification": hf.Qwen3Config,
}


def build(name: str) -> Any:
    config = DECODERS[name](**DECODER) if name in DECODERS else model_of(ENCODERS[name]).config
    config.num_labels = 3
    construct = getattr(hf, name)
    return make_model(lambda: construct(config), seed=0, matrix_gain=8.0)


def test_every_listed_class_is_tested_here() -> None:
    assert {*ENCODERS, *DECODERS} == set(CLASSIFIERS)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_parts_give_the_logits_of_the_whole(name: str) -> None:
    model, parts = build(name), CLASSIFIERS[name]
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(FIRST_WORD, VOCAB_SIZE, (4, 20), generator=chance)
    lengths = torch.tensor([20, 7, 13, 1])
    mask = (torch.arange(20)[None] < lengths[:, None]).long()
    ids = ids.masked_fill(mask == 0, model.config.pad_token_id)
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=mask).logits
        hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        if parts.takes_mean(model.config):
            states = mean_of_tokens(hidden, mask)
        else:
            at = torch.zeros_like(lengths) if parts.reads == "first" else lengths - 1
            states = hidden[torch.arange(4), at]
        found = Classifier(model, parts.steps, keeps_axis=parts.keeps_axis)(states)
    assert expected.std(dim=0).min() > 1e-2
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
