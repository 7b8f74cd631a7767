"""LightOn-rerank-LW as its vendor evaluates it, with transformers alone: one window at a time.

Source: mteb, models/model_implementations/lighton_rerank_models.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from transformers import AutoProcessor, Qwen3_5ForConditionalGeneration

__all__ = ["THOUGHT", "Reranker"]

THOUGHT = "<think>\n\n</think>\n\n"


class Reranker:
    """A checkpoint and how it ranks. thought: written behind the turn of the 4B."""

    def __init__(self, folder: Path, *, thought: str = "") -> None:
        self.model: Any = Qwen3_5ForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32
        ).eval()
        self.processor: Any = AutoProcessor.from_pretrained(folder)
        self.thought = thought
        self.answers: list[str] = []

    def scores(self, query: str, documents: Sequence[str | Image]) -> list[float]:
        """num_documents - place, in the order given."""
        order = list(range(len(documents)))
        end = len(order)
        while end > 1:
            start = max(end - 4, 0)
            shown = order[start:end]
            found = self._asked(query, [documents[place] for place in shown])
            order[start:end] = [shown[place] for place in found]
            # Two places further on; the last window is that of the first four.
            end = 0 if start == 0 else max(end - 2, min(4, len(order)))
        return [float(len(order) - order.index(place)) for place in range(len(order))]

    def prompt(self, query: str, documents: Sequence[str | Image]) -> str:
        """The prompt of a window."""
        if any(isinstance(document, Image) for document in documents):
            return self._prompt_with_pictures(query, documents)
        lines = "\n".join(f"[{number}]: {text}" for number, text in enumerate(documents, start=1))
        asked = (
            f"Query: {query}\n\nRank these passages from most to least relevant:\n{lines}\n\n"
            "Ranking:"
        )
        turn = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
        return turn + self.thought

    def _prompt_with_pictures(self, query: str, documents: Sequence[str | Image]) -> str:
        said = f"Query: {query}\n\nRank these documents from most to least relevant:\n"
        content: list[dict[str, Any]] = [{"type": "text", "text": said}]
        for number, document in enumerate(documents, start=1):
            if isinstance(document, str):
                content.append({"type": "text", "text": f"[{number}]: {document}\n"})
                continue
            content.append({"type": "text", "text": f"[{number}]: "})
            content.append({"type": "image", "image": document})
            content.append({"type": "text", "text": "\n"})
        content.append({"type": "text", "text": "\nRanking:"})
        text: str = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return text if not self.thought or text.endswith(self.thought) else text + self.thought

    def _asked(self, query: str, documents: Sequence[str | Image]) -> list[int]:
        pictures = [document for document in documents if isinstance(document, Image)]
        media = {"images": pictures} if pictures else {"truncation": True, "max_length": 2048}
        inputs = self.processor(text=[self.prompt(query, documents)], return_tensors="pt", **media)
        with torch.inference_mode():
            written = self.model.generate(
                **inputs,
                max_new_tokens=30,
                do_sample=False,
                pad_token_id=self.processor.tokenizer.eos_token_id,
            )
        new = written[0, inputs["input_ids"].shape[1] :]
        self.answers.append(self.processor.decode(new, skip_special_tokens=True))
        numbers = r"\s*>\s*".join([r"\[(\d+)\]"] * len(documents))
        match = re.search(numbers, self.answers[-1])
        places = [int(number) - 1 for number in match.groups()] if match else []
        whole = list(range(len(documents)))
        return places if sorted(places) == whole else whole
