"""What is particular to an architecture of transformers: plain data, read at load.

Names are `config.model_type` of the text model, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mmrerank.heads import ClassifierParts

__all__ = [
    "CLASSIFIERS",
    "CLASS_FOR",
    "CONFIG_FOR",
    "COUNT_FROM_PADDING",
    "DECODER_SCALE",
    "LAST_LAYER",
    "MEDIA_TYPES",
    "MLPS",
    "NEVER_PACKED",
    "PACKED",
    "PACKED_WITH_MEDIA",
    "RESTATED",
    "MLPParts",
    "Restatement",
]

# model_type -> class to load where the automatic class would load more than a reranker needs.
CLASS_FOR: dict[str, str] = {
    # The whole model has a talker and a vocoder beside the thinker; scores are read from the
    # thinker alone.
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen3_omni_moe": "Qwen3OmniMoeThinkerForConditionalGeneration",
    "qwen3_omni_moe_thinker": "Qwen3OmniMoeThinkerForConditionalGeneration",
}

# model_type -> where the config of the part stands that such a class loads.
CONFIG_FOR: dict[str, str] = {
    "qwen2_5_omni": "thinker_config",
    "qwen3_omni_moe": "thinker_config",
}

# Packed and padded rows were shown to give equal states; any other architecture is tried both ways
# when it is loaded.
PACKED: frozenset[str] = frozenset(
    {"bert", "camembert", "distilbert", "electra", "modernbert", "roberta", "xlm-roberta"}
    | {"gemma", "gemma2", "gemma3_text", "gte", "llama", "mistral"}
    | {"qwen2", "qwen3", "qwen3_moe"}
    | {"qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text", "qwen3_vl_text"}
    | {"qwen3_omni_moe_text"}
)

# The same of the whole model (`config.model_type`), where it takes media: with towers of another
# kind the text model may be called in another way, with another mask for one.
PACKED_WITH_MEDIA: frozenset[str] = frozenset(
    {"qwen2_vl", "qwen2_5_vl", "qwen2_5_omni_thinker", "qwen3_omni_moe_thinker", "qwen3_vl"}
)

# What the forward calls the kinds of tokens (0 text, 1 image, …), by `config.model_type` of the
# whole model, where it is not mm_token_type_ids. Without them pictures would be read word by word.
MEDIA_TYPES: dict[str, str] = {"gemma3": "token_type_ids"}

# Attention of their own, which knows nothing of segments: not even tried.
NEVER_PACKED: frozenset[str] = frozenset({"deberta", "deberta-v2", "mpnet", "t5", "mt5"})

# Encoder-decoders. Before the output layer a decoder state is multiplied by d_model ** -0.5 where
# this field of the config is true; "" = never.
DECODER_SCALE: dict[str, str] = {
    "mt5": "",
    "t5": "scale_decoder_outputs",
    "t5gemma2": "",
    "umt5": "tie_word_embeddings",
}

# Position ids begin behind the padding id: padding_idx + 1.
COUNT_FROM_PADDING: frozenset[str] = frozenset({"roberta", "xlm-roberta", "camembert"})

# How a layer is put together, for computing the last one at scoring positions only.
LAST_LAYER: dict[str, Literal["decoder", "bert", "gte", "modernbert"]] = {
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
            "qwen3_omni_moe_text",
            "qwen3_vl_text",
        ),
        "decoder",
    ),
    **dict.fromkeys(("bert", "camembert", "electra", "roberta", "xlm-roberta"), "bert"),
    "gte": "gte",
    "modernbert": "modernbert",
}


@dataclass(frozen=True, slots=True)
class MLPParts:
    """Names of a module's parts: outer(act(inner(x))), or outer(act(gate(x)) * inner(x))."""

    inner: str
    act: str
    outer: str
    gate: str = ""


# By class name: MLPs that are no more than that, but for dropout in training.
MLPS: dict[str, MLPParts] = {
    **dict.fromkeys(
        (
            *("GemmaMLP", "GteMLP", "LlamaMLP", "MistralMLP"),
            *("Qwen2MLP", "Qwen2_5OmniMLP", "Qwen2_5_VLMLP"),
            *("Qwen3MLP", "Qwen3MoeMLP", "Qwen3OmniMoeThinkerTextMLP", "Qwen3VLTextMLP"),
        ),
        MLPParts("up_proj", "act_fn", "down_proj", gate="gate_proj"),
    ),
    **dict.fromkeys(
        ("Qwen3OmniMoeVisionMLP", "Qwen3VLVisionMLP"),
        MLPParts("linear_fc1", "act_fn", "linear_fc2"),
    ),
    "VisionMlp": MLPParts("fc1", "act", "fc2"),
}

# By class name. A class that is not here runs whole, in padded rows.
CLASSIFIERS: dict[str, ClassifierParts] = {
    "BertForSequenceClassification": ClassifierParts(
        ("bert.pooler", "dropout", "classifier"), "first", keeps_axis=True
    ),
    "GteForSequenceClassification": ClassifierParts(
        ("gte.pooler", "dropout", "classifier"), "first", keeps_axis=True
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


@dataclass(frozen=True, slots=True)
class Restatement:
    """An architecture of a vendor's own code that computes what one of transformers' computes.

    config: the class of that one's config. fields: those that are called otherwise there, computed
    from the vendor's config.json. left_out: fields of the vendor's that it does not have. holds:
    whether it does so with the settings of a config.json; others need the vendor's code. cls: the
    class to load where the vendor's weights have names that transformers does not know. renamed:
    those, one after the other; split: weights that stand for several, rows below each other.
    """

    config: str
    fields: Callable[[Mapping[str, Any]], dict[str, Any]]
    left_out: tuple[str, ...] = ()
    holds: Callable[[Mapping[str, Any]], bool] = lambda said: True
    cls: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _gemma2_fields(said: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _granite_fields(said: Mapping[str, Any]) -> dict[str, Any]:
    """Llama with multipliers: of the embeddings, and of what each half of a layer adds."""
    return {
        "embedding_multiplier": float(said["scale_emb"]),
        "residual_multiplier": said["scale_depth"] / said["num_hidden_layers"] ** 0.5,
        "attention_multiplier": (said["hidden_size"] / said["num_attention_heads"]) ** -0.5,
    }


def _gte_fields(said: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary positions stretched as the vendor's "ntk" does at any length: theta times the factor,
    and all frequencies divided by factor ** (2 / head_dim), which transformers calls linear.
    """
    theta, scaling = float(said.get("rope_theta", 10_000.0)), said.get("rope_scaling")
    if not scaling:
        return {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
    factor, head_dim = float(scaling["factor"]), said["hidden_size"] // said["num_attention_heads"]
    stretched = {"rope_theta": theta * factor, "factor": factor ** (2 / head_dim)}
    return {"rope_parameters": {"rope_type": "linear", **stretched}}


def _is_published_gte(said: Mapping[str, Any]) -> bool:
    """Other settings of the vendor's class are computed otherwise: norms, scales, positions.

    What transformers 5 writes in the place of rope_scaling has another form.
    """
    scaling = said.get("rope_scaling") or {"type": "ntk"}
    return (
        (bool(said.get("rope_scaling")) or "rope_parameters" not in said)
        and said.get("layer_norm_type") == "layer_norm"
        and said.get("position_embedding_type") == "rope"
        and said.get("pack_qkv") is True
        and not said.get("logn_attention_scale")
        and scaling.get("type") == "ntk"
        and scaling.get("mixed_b") is None
    )


# What the constructor of XLMRobertaFlashConfig takes for what config.json leaves out.
_FLASH_DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def _flash_fields(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said.get(name, default) for name, default in _FLASH_DEFAULTS.items()}


def _is_published_flash(said: Mapping[str, Any]) -> bool:
    """An XLM-RoBERTa of the vendor's files, which says so in `auto_map` alone; with learned
    positions, and with one set of weights for all tasks.
    """
    named = str((said.get("auto_map") or {}).get("AutoModelForSequenceClassification"))
    return (
        named.endswith("modeling_xlm_roberta.XLMRobertaForSequenceClassification")
        and said.get("position_embedding_type", "absolute") == "absolute"
        and not said.get("lora_adaptations")
    )


# By the first of `architectures`: model types of vendors are not unique. Read from the modeling
# files gemma_model.py and modeling_minicpm_reranker.py of the BGE rerankers, modeling.py of
# Alibaba-NLP/new-impl and modeling_xlm_roberta.py, block.py, mha.py, mlp.py and embedding.py of
# jina-reranker-v2; what stands behind the last layer is in processors/.
RESTATED: dict[str, Restatement] = {
    "CostWiseGemmaForCausalLM": Restatement(
        "Gemma2Config",
        _gemma2_fields,
        left_out=(
            *("cache_implementation", "hidden_act", "sliding_window_size"),
            *("layer_sep", "layer_wise", "start_layer"),
        ),
    ),
    "LayerWiseMiniCPMForCausalLM": Restatement(
        "GraniteConfig",
        _granite_fields,
        left_out=(
            *("dim_model_base", "head_multi", "head_type", "pretraining_tp"),
            *("scale_depth", "scale_emb", "start_layer"),
        ),
    ),
    "NewForSequenceClassification": Restatement(
        "GteConfig",
        _gte_fields,
        left_out=(
            *("layer_norm_type", "logn_attention_clip1", "logn_attention_scale", "pack_qkv"),
            *("position_embedding_type", "rope_scaling", "rope_theta"),
            *("unpad_inputs", "use_memory_efficient_attention"),  # how it is computed, not what
        ),
        holds=_is_published_gte,
    ),
    "XLMRobertaForSequenceClassification": Restatement(
        "XLMRobertaConfig",
        _flash_fields,
        left_out=(
            *("emb_pooler", "load_trained_adapters", "lora_adaptations", "lora_alpha"),
            *("lora_dropout_p", "lora_main_params_trainable", "lora_rank", "use_flash_attn"),
            *("matryoshka_dimensions", "position_embedding_type", "truncate_dim"),
        ),
        holds=_is_published_flash,
        cls="XLMRobertaForSequenceClassification",
        renamed=(
            ("emb_ln.", "embeddings.LayerNorm."),
            ("encoder.layers.", "encoder.layer."),
            ("mixer.Wqkv.", "attention.self.Wqkv."),
            ("mixer.out_proj.", "attention.output.dense."),
            ("norm1.", "attention.output.LayerNorm."),
            ("mlp.fc1.", "intermediate.dense."),
            ("mlp.fc2.", "output.dense."),
            ("norm2.", "output.LayerNorm."),
        ),
        split={"Wqkv": ("query", "key", "value")},
    ),
}
