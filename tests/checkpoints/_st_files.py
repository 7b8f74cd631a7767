"""The json files sentence-transformers 6.2 puts beside a causal reranker's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ._save import write_json

__all__ = ["write_logit_score_files"]

_TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"
_LOGIT_SCORE = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"
_IDENTITY = "torch.nn.modules.linear.Identity"


def write_logit_score_files(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    task: str,
    modalities: list[str],
    message_format: str,
    prompts: dict[str, str],
    processing_kwargs: dict[str, Any] | None = None,
    answers: tuple[str, str] = ("yes", "no"),
    activation: str = _IDENTITY,
) -> None:
    """modules.json and what it names, for Transformer + LogitScore(yes, no); raw scores unless
    `activation` says otherwise.
    """
    names = {"method": "forward", "method_output_name": "logits"}
    modality_config: dict[str, Any] = {modality: dict(names) for modality in modalities}
    modality_config["message"] = {**names, "format": message_format}
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": _TRANSFORMER},
            {"idx": 1, "name": "1", "path": "1_LogitScore", "type": _LOGIT_SCORE},
        ],
    )
    write_json(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": task,
            "modality_config": modality_config,
            "module_output_name": "causal_logits",
            **({"processing_kwargs": processing_kwargs} if processing_kwargs else {}),
            "unpad_inputs": False,
        },
    )
    write_json(
        folder / "1_LogitScore" / "config.json",
        {
            "true_token_id": tokenizer.convert_tokens_to_ids(answers[0]),
            "false_token_id": tokenizer.convert_tokens_to_ids(answers[1]),
            "module_input_name": "causal_logits",
        },
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {
                "pytorch": "2.9.0",
                "sentence_transformers": "5.4.0",
                "transformers": "5.5.0",
            },
            "activation_fn": activation,
            "default_prompt_name": next(iter(prompts), None),
            "model_type": "CrossEncoder",
            "prompts": prompts,
        },
    )
