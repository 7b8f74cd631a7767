"""The model under examination, and what the checks ask of it: ids, logits, prompts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmrerank.diagnosis import samples
from mmrerank.errors import MMRerankError
from mmrerank.types import Document, EncodedGroup, Image, LoadedDocument, LoadedPair, Pair, Text

if TYPE_CHECKING:
    from mmrerank.cross_encoder import CrossEncoder
    from mmrerank.pipeline import Pipeline
    from mmrerank.specs import ProcessorSpec, ResolvedSpec

__all__ = ["DOCUMENTS", "QUERIES", "Subject", "common_suffix", "text_pair"]

# The i-th document answers the i-th query; all end in other words, of other lengths.
QUERIES = (
    "What is the capital of France?",
    "how do plants make food",
    "fix a flat bicycle tyre",
)
DOCUMENTS = (
    "Paris is the capital and the largest city of France, on the river Seine.",
    "Plants make their food by photosynthesis: light, water and carbon dioxide become sugar",
    "Take the wheel off, find the hole in the tube, patch it and pump it up again",
)


@dataclass(frozen=True)
class Subject:
    """A loaded model. warned: what was logged while it was loaded. processor: as the user named
    it.
    """

    name: str
    model: CrossEncoder
    warned: tuple[logging.LogRecord, ...] = ()
    processor: str | None = None

    @property
    def spec(self) -> ResolvedSpec:
        """All decisions in force."""
        return self.model.spec

    @property
    def family(self) -> ProcessorSpec | None:
        """The folder that claims the model; None where that is a guess, or there is none."""
        from mmrerank.specs import find_processor

        if self.processor is None and self.spec.family not in known_families():
            return None
        spec = find_processor(self.processor or self.spec.family)
        return None if spec.guess else spec

    @property
    def instruction(self) -> str | None:
        """The instruction of a call that names none."""
        return self.model.prompts.get(self.model.default_prompt_name or "") or None

    @property
    def is_scored_at_the_end(self) -> bool:
        """Whether the score is read at the last token, as language models do."""
        return self.model.pipeline.head.at == "last"

    @property
    def writes_orders(self) -> bool:
        """Whether the model writes the order of documents down, so that no state is read."""
        return self.spec.head.kind == "permutation"

    @property
    def takes_text(self) -> bool:
        """Whether a document may be a text; the prompts of some families ask about pictures."""
        return "text" in (self.spec.document_modalities or self.spec.modalities)

    @property
    def takes_picture(self) -> bool:
        """Whether a document may be a picture."""
        return "image" in (self.spec.document_modalities or self.spec.modalities)

    def pair(self, query: str, document: str, *, with_picture: bool = False) -> Pair:
        """A pair as a call would hand it in; of a text that the model does not take, a picture."""
        parts: list[Text | Image] = [Text(document)] if document and self.takes_text else []
        if not self.takes_text:  # other documents are pictures of other sizes
            parts.append(Image(samples.jpeg_sample(num_squares=1 + len(document) % 6)))
        elif with_picture:
            parts.insert(0, Image(samples.jpeg_sample()))
        return Pair(0, Document((Text(query),)), Document(tuple(parts)), self.instruction)

    def encoded(self, pair: Pair) -> EncodedGroup:
        """One pair as the model reads it."""
        groups, _ = self.model.pipeline.encode([pair])
        return groups[0]

    def ids(self, query: str, document: str) -> np.ndarray:
        """Token ids (num_tokens,) of a pair of texts."""
        return self.encoded(self.pair(query, document)).token_ids

    def prompt(self, query: str, document: str) -> str:
        """The prompt as text."""
        return self.model.pipeline.encoder.prompt(text_pair(query, document, self.instruction))

    def logits(self, pairs: Sequence[Pair], pipeline: Pipeline | None = None) -> np.ndarray:
        """(num_pairs, num_labels) float32; raises what scoring raises, EngineError for NaN."""
        from mmrerank.types import DocumentError

        numbered = [Pair(i, p.query, p.document, p.instruction) for i, p in enumerate(pairs)]
        rows = []
        for result in (pipeline or self.model.pipeline).score(numbered):
            if isinstance(result, DocumentError):
                raise result.error
            rows.append(np.atleast_1d(result.logits))
        return np.stack(rows)

    def padded_pipeline(self) -> Pipeline:
        """The same model, its rows padded."""
        from mmrerank.pipeline import Pipeline

        model = self.model
        return Pipeline(
            model.transformer.backbone,
            list(model)[1:],
            self.spec,
            policy=model.media_policy,
            activation=model.activation_fn,
            may_pack=False,
        )

    def picture_pair(self, text: str) -> Pair | None:
        """A pair whose document is a picture, with the text where the model takes both at once.

        None where it takes neither.
        """
        for words in (text, ""):
            pair = self.pair(QUERIES[0], words, with_picture=True)
            try:
                self.encoded(pair)
            except MMRerankError:
                continue
            return pair
        return None


def known_families() -> frozenset[str]:
    """Names of the folders that come with the package."""
    from mmrerank.specs import list_processors

    return frozenset(spec.name for spec in list_processors())


def text_pair(query: str, document: str, instruction: str | None = None) -> LoadedPair:
    """A pair of texts, ready to be rendered."""
    sides = (LoadedDocument((Text(query),)), LoadedDocument((Text(document),)))
    return LoadedPair(0, *sides, instruction=instruction)


def common_suffix(rows: Sequence[np.ndarray]) -> np.ndarray:
    """The tokens that all rows end in."""
    shortest = min(len(row) for row in rows)
    tails = np.stack([row[len(row) - shortest :][::-1] for row in rows])  # last token first
    differs = (tails != tails[0]).any(axis=0)
    length = int(differs.argmax()) if differs.any() else shortest
    return rows[0][len(rows[0]) - length :]
