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
    "PACKED_WITH_MEDIA",
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
    {"bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"}
    | {"gemma", "gemma2", "gemma3_text", "llama", "mistral", "qwen2", "qwen3", "qwen3_moe"}
    | {"qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text", "qwen3_vl_text"}
)

# The same of the whole model (`config.model_type`), where it takes media: with towers of another
# kind the text model may be called in another way, with another mask for one.
PACKED_WITH_MEDIA: frozenset[str] = frozenset(
    {"qwen2_vl", "qwen2_5_vl", "qwen2_5_omni_thinker", "qwen3_vl"}
)

# Attention of their own, which knows nothing of segments: not even tried.
NEVER_PACKED: frozenset[str] = frozenset({"deberta", "deberta-v2", "mpnet", "t5", "mt5"})

# Position ids begin behind the padding id: padding_idx + 1.
COUNT_FROM_PADDING: frozenset[str] = frozenset({"roberta", "xlm-roberta", "camembert"})

# How a layer is put together, for computing the last one at scoring positions only.
LAST_LAYER: dict[str, Literal["decoder", "bert", "modernbert"]] = {
    **dict.fromkeys(
        (
            "gemma",
            "llama",
            "mistral",
            "qwen2",
            "qwen2_5_omni_text",
            "qwen2_5_vl_text",
            "qwen2_vl_text",
            "qwen3",
            "qwen3_moe",
            "qwen3_vl_text",
        ),
        "decoder",
    ),
    **dict.fromkeys(("bert", "camembert", "electra", "roberta", "xlm-roberta"), "bert"),
    "modernbert": "modernbert",
}


# By class name. A class that is not here runs whole, in padded rows.
CLASSIFIERS: dict[str, ClassifierParts] = {
    "BertForSequenceClassification": ClassifierParts(
        ("bert.pooler", "dropout", "classifier"), "first", keeps_axis=True
    ),
    **dict.fromkeys(
        (
            "CamembertForSequenceClassification",
            "RobertaForSequenceClassification",
            "XLMRobertaForSequenceClassification",
            "ElectraForSequenceClassification",
        ),
        ClassifierParts(("classifier",), "first", keeps_axis=True),
    ),
    "ModernBertForSequenceClassification": ClassifierParts(
        ("head", "drop", "classifier"), "first", mean_if=("classifier_pooling", "mean")
    ),
    **dict.fromkeys(
        (
            "GemmaForSequenceClassification",
            "LlamaForSequenceClassification",
            "MistralForSequenceClassification",
            "Qwen2ForSequenceClassification",
            "Qwen3ForSequenceClassification",
        ),
        ClassifierParts(("score",), "last"),
    ),
}
