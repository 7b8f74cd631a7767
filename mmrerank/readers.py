"""InputExample: one labelled pair, as `fit` and `from_input_examples` take it."""

from __future__ import annotations

from typing import Any

__all__ = ["InputExample"]


class InputExample:
    """A pair and its label.

    guid: the caller's name for it. texts: the query and the document, of any kind that a model
    takes. label: a class or a score.
    """

    def __init__(
        self, guid: str = "", texts: list[Any] | None = None, label: int | float = 0
    ) -> None:
        self.guid = guid
        self.texts = texts
        self.label = label

    def __str__(self) -> str:
        texts = "; ".join(str(text) for text in self.texts or ())
        return f"<InputExample> label: {self.label}, texts: {texts}"
