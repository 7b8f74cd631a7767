"""T5 rerankers by their published recipes, with transformers alone.

Source: pygaggle, T5BatchTokenizer and MonoT5, which end in a log-softmax of two logits; for
over-long prompts pyterrier_t5: the document is cut and the words behind it are kept. RankT5:
lightning-ir, test of equality with the published checkpoints.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

__all__ = ["ids_of", "log_probability", "logit_of"]


def log_probability(
    folder: Path, query: str, document: str, *, true: str, false: str, max_tokens: int = 512
) -> float:
    """Log-softmax of the pair (false, true) at the first decoder step, of true."""
    tokenizer, model = _load(str(folder))
    ids = ids_of(tokenizer, query, document, " Relevant:", max_tokens)
    logits = _first_step(model, ids)[tokenizer.convert_tokens_to_ids([false, true])]
    return float(torch.log_softmax(logits, dim=0)[1])


def logit_of(
    folder: Path, query: str, document: str, *, token: str, max_tokens: int = 512
) -> float:
    """The logit of one token at the first decoder step; nothing follows the document."""
    tokenizer, model = _load(str(folder))
    logits = _first_step(model, ids_of(tokenizer, query, document, "", max_tokens))
    return float(logits[tokenizer.convert_tokens_to_ids(token)])


def ids_of(
    tokenizer: Tokenizer, query: str, document: str, behind: str, max_tokens: int
) -> list[int]:
    """The pieces by themselves, which is the same here: words are never joined to one token."""
    pieces = [f"Query: {query} Document:", document, behind]
    head, body, tail = (tokenizer(piece, add_special_tokens=False).input_ids for piece in pieces)
    end = [tokenizer.eos_token_id]
    return [*head, *body[: max_tokens - len(head) - len(tail) - 1], *tail, *end]


def _first_step(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """(vocab_size,) logits, as the model's own forward gives them."""
    inputs = torch.tensor([ids])
    start = torch.tensor([[0]])  # the padding token, which T5 decoders start from
    with torch.inference_mode():
        output = model(
            input_ids=inputs, attention_mask=torch.ones_like(inputs), decoder_input_ids=start
        )
    logits: torch.Tensor = output.logits[0, 0]
    return logits


@lru_cache(maxsize=8)
def _load(folder: str) -> tuple[Tokenizer, PreTrainedModel]:
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
    return AutoTokenizer.from_pretrained(folder), model.eval()
