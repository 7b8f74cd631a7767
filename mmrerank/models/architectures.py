"""What is particular to an architecture of transformers: plain data, read at load.

Names are `config.model_type` of the text model, unless said otherwise.
"""

from __future__ import annotations

from typing import Literal

from mmrerank.heads import ClassifierParts

__all__ = [
    "CLASSIFIERS",
    "CLASS_FOR",
    "COUNT_FROM_PADDING",
    "LAST_LAYER",
    "NEVER_PACKED",
    "PACKED",
]

# model_type -> class to load where the automatic class would load more than a reranker needs.
CLASS_FOR: dict[str, str] = {
    # The whole model has a talker and a vocoder beside the thinker; scores are read from the
    # thinker alone.
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
}

# Packed and padded rows were shown to give equal states; any other architecture is tried both ways
# when it is loaded.
PACKED: frozenset[str] = frozenset(
    {"bert", "electra", "modernbert", "roberta", "xlm-roberta"}
    | {"llama", "qwen2", "qwen3", "qwen2_5_omni_text", "qwen3_vl_text"}
)

# Attention of their own, which knows nothing of segments: not even tried.
NEVER_PACKED: frozenset[str] = frozenset({"deberta", "deberta-v2", "mpnet", "t5", "mt5"})

# Position ids begin behind the padding id: padding_idx + 1.
COUNT_FROM_PADDING: frozenset[str] = frozenset({"roberta", "xlm-roberta", "camembert"})

# How a layer is put together, for computing the last one at scoring positions only.
LAST_LAYER: dict[str, Literal["decoder", "bert", "modernbert"]] = {
    "llama": "decoder",
    "qwen2": "decoder",
    "qwen3": "decoder",
    "qwen2_5_omni_text": "decoder",
    "qwen3_vl_text": "decoder",
    "bert": "bert",
    "electra": "bert",
    "roberta": "bert",
    "xlm-roberta": "bert",
    "modernbert": "modernbert",
}


# By class name. A class that is not here runs whole, in padded rows.
CLASSIFIERS: dict[str, ClassifierParts] = {
    "BertForSequenceClassification": ClassifierParts(
        ("bert.pooler", "classifier"), "first", keeps_axis=True
    ),
    **dict.fromkeys(
        (
            "RobertaForSequenceClassification",
            "XLMRobertaForSequenceClassification",
            "ElectraForSequenceClassification",
        ),
        ClassifierParts(("classifier",), "first", keeps_axis=True),
    ),
    "ModernBertForSequenceClassification": ClassifierParts(
        ("head", "classifier"), "first", mean_if=("classifier_pooling", "mean")
    ),
    **dict.fromkeys(
        (
            "LlamaForSequenceClassification",
            "Qwen2ForSequenceClassification",
            "Qwen3ForSequenceClassification",
        ),
        ClassifierParts(("score",), "last"),
    ),
}
