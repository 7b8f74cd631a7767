"""Special tokens that a tokenizer puts around each prompt, written into a saved template."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

from mmrerank.models.load import Backbone
from mmrerank.specs import ResolvedSpec, TemplateSpec

__all__ = ["with_written_tokens"]

logger = logging.getLogger(__name__)

# Beginnings of prompts. None has a blank in front: prompts of the families begin with words.
_PROBES = ("question: a", "<Document> a", "\n\nA b")
# Between a special token and the prompt. SentencePiece makes a blank of the beginning of a text
# by itself, but not behind a special token that is written into it.
_GLUES = ("", " ")


def with_written_tokens(spec: ResolvedSpec, backbone: Backbone) -> ResolvedSpec:
    """The spec as other libraries need it on disk: they add no special tokens to a rendered prompt,
    so the template itself has to write them.

    Left as it is where that would give other tokens, with a warning.
    """
    template = spec.template
    is_bare = backbone.processor is backbone.tokenizer
    if template.kind != "chat" or not template.special_tokens or not is_bare:
        return spec
    if backbone.task == "seq2seq":  # no other library reads that form
        return spec
    before, after = _around(backbone.tokenizer)
    for glue in _GLUES:
        if _gives_same_tokens(backbone.tokenizer, before + glue, after):
            return replace(spec, template=_written(template, before + glue, after))
    logger.warning(
        "%s: its tokenizer puts %r in front of a prompt and %r behind it. No template gives the "
        "same tokens, so other libraries score the saved folder otherwise.",
        spec.name,
        before,
        after,
    )
    return spec


def _around(tokenizer: Any) -> tuple[str, str]:
    """What the tokenizer adds in front of a text and behind it."""
    plain = tokenizer(_PROBES[0], add_special_tokens=False)["input_ids"]
    whole = tokenizer(_PROBES[0])["input_ids"]
    num_added = len(whole) - len(plain)
    start = next((n for n in range(num_added + 1) if whole[n : n + len(plain)] == plain), num_added)
    behind = whole[start + len(plain) :]
    return _text(tokenizer, whole[:start]), _text(tokenizer, behind)


def _text(tokenizer: Any, ids: list[int]) -> str:
    return "".join(tokenizer.convert_ids_to_tokens(ids))


def _gives_same_tokens(tokenizer: Any, before: str, after: str) -> bool:
    return all(
        tokenizer(f"{before}{probe}{after}", add_special_tokens=False)["input_ids"]
        == tokenizer(probe)["input_ids"]
        for probe in _PROBES
    )


def _written(template: TemplateSpec, before: str, after: str) -> TemplateSpec:
    text = template.text
    if before:
        text = f"{{{{ {json.dumps(before)} }}}}{text}"
    if after:  # one line end at the end of a template is not rendered; before an expression it is
        text = f"{text.removesuffix(chr(10))}{{{{ {json.dumps(after)} }}}}"
    return replace(template, text=text, special_tokens=None)
