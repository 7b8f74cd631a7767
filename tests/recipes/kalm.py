"""KaLM-Reranker-V1 by its published recipe, one pair at a time, with transformers alone.

Source: model card of KaLM-Embedding/KaLM-Reranker-V1-Large (prompts, limits, pooling, default
instruction).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, T5Gemma2ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

__all__ = ["DEFAULT_INSTRUCTION", "margin"]

DEFAULT_INSTRUCTION = "Given a query, retrieve documents that answer the query."
_SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)


def margin(
    folder: Path,
    query: str,
    document: str,
    *,
    instruction: str = DEFAULT_INSTRUCTION,
    chunk_size: int | None = 4,
    max_document_tokens: int = 1024,
    max_query_tokens: int = 512,
) -> float:
    """Logit of yes minus that of no at the decoder's last token."""
    tokenizer, model = _load(str(folder))
    encoder_ids = _ids(tokenizer, f"<Document>: {document}")[:max_document_tokens]
    query_ids = _ids(tokenizer, query)[:max_query_tokens]
    cut = tokenizer.decode(query_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    decoder_ids = _ids(
        tokenizer,
        f"<bos><start_of_turn>user\n{_SYSTEM}\n\n<Instruct>: {instruction}\n"
        f"<Query>: {cut}<end_of_turn>\n<start_of_turn>model\n\n\n\n",
    )
    with torch.inference_mode():
        states = model.get_encoder()(input_ids=torch.tensor([encoder_ids])).last_hidden_state
        if chunk_size is not None:
            chunks = states[0].split(chunk_size)
            states = torch.stack([chunk.mean(dim=0) for chunk in chunks])[None]
        output = model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            decoder_input_ids=torch.tensor([decoder_ids]),
        )
    yes, no = (_ids(tokenizer, word)[-1] for word in ("yes", "no"))
    logits = output.logits[0, -1]
    return float(logits[yes] - logits[no])


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


@lru_cache(maxsize=4)
def _load(folder: str) -> tuple[Any, Any]:
    model = T5Gemma2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return AutoTokenizer.from_pretrained(folder), model.eval()
