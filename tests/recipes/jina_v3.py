"""jina-reranker-v3 by its vendor's script, with transformers alone.

Source: modeling.py of jinaai/jina-reranker-v3: format_docs_prompts_func, forward and rerank. Limits
are arguments, so that short texts reach them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, Qwen3Model

__all__ = ["prompt_of", "rerank"]

_SYSTEM = (
    "You are a search relevance expert who can determine a ranking of the passages based on how "
    "relevant they are to the query. If the query is a question, how relevant a passage is depends "
    "on how well it answers the question. If not, try to analyze the intent of the query and "
    "assess how well each passage satisfies the intent. If an instruction is provided, you should "
    "follow the instruction when determining the ranking."
)
_QUERY, _DOCUMENT = "<|rerank_token|>", "<|embed_token|>"


def rerank(
    folder: Path,
    query: str,
    documents: Sequence[str],
    *,
    instruction: str | None = None,
    max_query: int = 512,
    max_document: int = 2048,
    block_size: int = 125,
    max_length: int = 131072,
) -> np.ndarray:
    """Scores of the documents in the order given, (num_documents,) float32."""
    tokenizer, model, projector = _load(str(folder))
    query, num_query = _cut(tokenizer, query, max_query)
    blocks: list[list[str]] = [[]]
    left = max_length - 2 * num_query
    for document in documents:
        text, length = _cut(tokenizer, document, max_document)
        blocks[-1].append(text)
        left -= length
        if len(blocks[-1]) >= block_size or left <= max_document:
            blocks.append([])
            left = max_length - 2 * num_query
    queries, found, weights = [], [], []
    for block in filter(None, blocks):
        ids = tokenizer(prompt_of(query, block, instruction), return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            states = model(input_ids=ids).last_hidden_state[0]
        own = projector(states[ids[0] == tokenizer.convert_tokens_to_ids(_DOCUMENT)])
        asked = projector(states[ids[0] == tokenizer.convert_tokens_to_ids(_QUERY)])
        assert (own.shape[0], asked.shape[0]) == (len(block), 1)
        queries.append(asked[0])
        found.append(own)
        weights.append(((1 + _cosines(asked[0], own)) / 2).max())
    merged = np.average(np.stack(queries), axis=0, weights=np.array(weights))
    return _cosines(merged, np.concatenate(found))


def prompt_of(query: str, documents: Sequence[str], instruction: str | None = None) -> str:
    """The prompt of one block."""
    query, *documents = (
        text.replace(_QUERY, "").replace(_DOCUMENT, "") for text in (query, *documents)
    )
    user = (
        f"I will provide you with {len(documents)} passages, each indicated by a numerical "
        f"identifier. Rank the passages based on their relevance to query: {query}\n"
    )
    if instruction:
        user += f"<instruct>\n{instruction}\n</instruct>\n"
    user += "\n".join(
        f'<passage id="{number}">\n{document}{_DOCUMENT}\n</passage>'
        for number, document in enumerate(documents)
    )
    user += f"\n<query>\n{query}{_QUERY}\n</query>"
    return (
        f"<|im_start|>system\n{_SYSTEM}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def _cut(tokenizer: Any, text: str, limit: int) -> tuple[str, int]:
    ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
    return (tokenizer.decode(ids) if len(ids) >= limit else text), len(ids)


def _cosines(query: np.ndarray, documents: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(query) * np.linalg.norm(documents, axis=1)
    cosines: np.ndarray = documents @ query / lengths
    return cosines


@lru_cache(maxsize=4)
def _load(folder: str) -> tuple[Any, Any, Any]:
    weights = load_file(Path(folder) / "model.safetensors")
    first, second = (weights[f"projector.{number}.weight"].float() for number in (0, 2))

    def projector(states: torch.Tensor) -> np.ndarray:
        vectors: np.ndarray = (torch.relu(states @ first.T) @ second.T).numpy()
        return vectors

    model = Qwen3Model.from_pretrained(folder, dtype=torch.float32)
    return AutoTokenizer.from_pretrained(folder), model.eval(), projector
