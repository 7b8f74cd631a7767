"""Transformer: the first module of a CrossEncoder, as in sentence-transformers; the weights live
here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from mmrerank.errors import CheckpointError
from mmrerank.models import (
    OUTPUT_OF_TASK,
    Backbone,
    LoadOptions,
    base_of,
    decoder_start_id,
    fetch_checkpoint,
    load_backbone,
    pooled,
)
from mmrerank.specs import CheckpointFacts, read_facts

__all__ = ["Transformer"]


class Transformer(nn.Module):
    """A transformers model with its tokenizer and media processor.

    transformer_task: "feature-extraction", "sequence-classification", "text-generation",
    "any-to-any" or "seq2seq".
    The three kwargs go to the from_pretrained of the model, the processor and the config.
    """

    def __init__(
        self,
        model_name_or_path: str,
        *,
        transformer_task: str = "feature-extraction",
        model_kwargs: Mapping[str, Any] | None = None,
        processor_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        max_seq_length: int | None = None,
    ) -> None:
        super().__init__()
        if transformer_task not in OUTPUT_OF_TASK:
            raise CheckpointError(
                f"transformer_task={transformer_task!r}: allowed are {', '.join(OUTPUT_OF_TASK)}"
            )
        folder = fetch_checkpoint(model_name_or_path)
        base = base_of(folder, fetch_checkpoint)
        processing = dict(processor_kwargs or {})
        if max_seq_length is not None:
            processing.setdefault("model_max_length", max_seq_length)
        options = LoadOptions(
            model=model_kwargs or {}, processor=processing, config=config_kwargs or {}
        )
        files, weights = (base.files, base.weights) if base else (folder, None)
        self._adopt(
            load_backbone(files, transformer_task, options, name=model_name_or_path, base=base),
            read_facts(model_name_or_path, files, config_folder=weights),
        )

    @classmethod
    def from_backbone(cls, backbone: Backbone, facts: CheckpointFacts) -> Transformer:
        """Wrap what is loaded already."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made._adopt(backbone, facts)
        return made

    def _adopt(self, backbone: Backbone, facts: CheckpointFacts) -> None:
        self.model = backbone.model
        self.processor = backbone.processor
        self.tokenizer = backbone.tokenizer
        self.transformer_task = backbone.task
        self.facts = facts
        self._accepted = frozenset(inspect.signature(self.model.forward).parameters)

    @property
    def auto_model(self) -> Any:
        """The transformers model, under its older name."""
        return self.model

    @property
    def config(self) -> Any:
        """The transformers config."""
        return self.model.config

    @property
    def backbone(self) -> Backbone:
        """The parts as the engine wants them, read anew: a replaced tokenizer is seen."""
        return Backbone(self.model, self.processor, self.tokenizer, self.transformer_task)

    @property
    def module_output_name(self) -> str:
        """Key that `forward` writes."""
        return OUTPUT_OF_TASK[self.transformer_task][1]

    @property
    def max_seq_length(self) -> int:
        """The tokenizer's limit in tokens."""
        return int(self.tokenizer.model_max_length)

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.tokenizer.model_max_length = value

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """features: what `CrossEncoder.preprocess` gives; writes the model's output into it and
        returns it.
        """
        inputs = {
            name: value
            for name, value in features.items()
            if name in self._accepted and isinstance(value, Tensor)
        }
        if "logits_to_keep" in self._accepted and "logits_to_keep" in features:
            inputs["logits_to_keep"] = features["logits_to_keep"]
        if self.transformer_task == "seq2seq":
            if "decoder_input_ids" in inputs:
                return self._forward_two_parts(features, inputs)
            # One decoder step: the scores are read from its first word.
            ids = inputs["input_ids"]
            inputs["decoder_input_ids"] = ids.new_full((len(ids), 1), decoder_start_id(self.model))
        output = self.model(**inputs, return_dict=True)
        features[self.module_output_name] = output[OUTPUT_OF_TASK[self.transformer_task][0]]
        return features

    def _forward_two_parts(
        self, features: dict[str, Any], inputs: dict[str, Tensor]
    ) -> dict[str, Any]:
        """The encoder reads the document, its states are pooled, the decoder reads the query.

        Writes logits (rows, 1, vocab_size) at the last token of each row.
        """
        mask = inputs.pop("attention_mask")
        encoder = self.model.get_encoder()
        states = encoder(input_ids=inputs.pop("input_ids"), attention_mask=mask).last_hidden_state
        states, mask = pooled(states, mask, features["chunk_size"])
        last = inputs["decoder_attention_mask"].sum(dim=1) - 1
        # Logits of the whole vocabulary are large, and needed in a few columns alone.
        columns, column_of = torch.unique(last, return_inverse=True)
        output = self.model(
            **inputs,
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=mask,
            logits_to_keep=columns,
            use_cache=False,
        )
        rows = torch.arange(len(last), device=last.device)
        features[self.module_output_name] = output.logits[rows, column_of].unsqueeze(1)
        return features

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"task={self.transformer_task!r}, architecture={type(self.model).__name__!r}"
