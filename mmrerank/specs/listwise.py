"""What a processor folder says of models that read several documents in one prompt."""

from __future__ import annotations

from dataclasses import dataclass

from mmrerank.errors import SpecError

__all__ = ["LISTWISE_HEADS", "ListwiseSpec"]

LISTWISE_HEADS = ("cosine", "permutation")


@dataclass(frozen=True, slots=True)
class ListwiseSpec:
    """Several documents in one prompt, whose scores depend on each other.

    max_documents, max_tokens: of one prompt (a block, or a window).
    A head of kind "cosine" needs document_token, query_token: the words of the vocabulary whose
    states stand for a document and for the query.
    A head of kind "permutation" needs stride: how many documents a window moves towards the front;
    max_new_tokens: of an answer; label: how an answer calls a document, with {number} counted from
    1; separator: what stands between two labels, white space around it left aside.
    """

    max_documents: int
    document_token: str = ""
    query_token: str = ""
    max_tokens: int | None = None
    stride: int = 0
    max_new_tokens: int = 0
    label: str = ""
    separator: str = ""

    def check(self, head_kind: str) -> None:
        """Raise SpecError unless there is what this kind of head needs."""
        if head_kind == "cosine" and not (self.document_token and self.query_token):
            raise SpecError('a head of kind "cosine" needs document_token and query_token')
        if head_kind != "permutation":
            return
        if not 1 <= self.stride < self.max_documents:
            raise SpecError(
                f"stride={self.stride}, max_documents={self.max_documents}: windows of a head of "
                'kind "permutation" overlap, so they need 1 <= stride < max_documents'
            )
        if self.max_new_tokens < 1 or "{number}" not in self.label or not self.separator.strip():
            raise SpecError(
                'a head of kind "permutation" needs max_new_tokens, label = "… {number} …" and '
                "separator"
            )
