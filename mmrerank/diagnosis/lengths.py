"""Over-long documents: what is cut, what stays, and whether the limit suits the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from mmrerank.diagnosis.finding import Finding, NotChecked
from mmrerank.diagnosis.subject import DOCUMENTS, QUERIES, Subject, common_suffix
from mmrerank.errors import MMRerankError, shorten
from mmrerank.models.architectures import COUNT_FROM_PADDING

__all__ = ["check_limit", "check_longest", "check_truncation"]

# Tokenizers write "no limit" as a huge number.
_NO_LIMIT = 10**9
# Longer documents take a while to be read token by token.
_MOST_TOKENS = 200_000
# Longer prompts are not run: on a processor that takes minutes with a large model.
_MOST_TOKENS_TO_RUN = 1_024
_SHORTEST_USEFUL = 64


def check_truncation(subject: Subject) -> Finding:
    """An over-long document loses text of its own; the end of the prompt and media stay."""
    limit = subject.model.max_seq_length
    if not subject.takes_text:
        raise NotChecked("documents are pictures, which are never cut")
    if limit >= _NO_LIMIT:
        raise NotChecked("nothing limits the length")
    if limit > _MOST_TOKENS:
        raise NotChecked(f"a document of {limit:,} tokens is too long to try")
    pairs = zip(QUERIES, DOCUMENTS, strict=True)
    short = [subject.ids(query, document) for query, document in pairs]
    tail = common_suffix(short)
    long = subject.encoded(subject.pair(QUERIES[0], _words(limit)))
    # Some families count the two texts alone, without what stands around them.
    frame = 0 if subject.spec.truncation.suffix_counts else len(subject.ids(QUERIES[0], "word"))
    allowed = limit + frame
    if long.num_tokens > allowed:
        found = f"{long.num_tokens:,} tokens, although {allowed:,} are allowed"
        return Finding("over-long document", "broken", found)
    if len(tail) and not np.array_equal(long.token_ids[-len(tail) :], tail):
        found = f"the last {len(tail)} tokens of the prompt are cut off"
        return Finding("over-long document", "broken", found)
    is_read_last = subject.is_scored_at_the_end and subject.spec.listwise is None
    if is_read_last and long.score_at[-1] != long.num_tokens - 1:
        return Finding("over-long document", "broken", "the score is read in mid-prompt")
    kept = f"{long.num_truncated:,} tokens cut of {long.num_tokens + long.num_truncated:,}"
    media = _picture_beside(subject, limit) if subject.takes_picture else Finding("", "ok")
    told = f"{kept}; the last {len(tail)} stay{media.found}"
    return Finding("over-long document", media.state, told, media.cost)


def _picture_beside(subject: Subject, limit: int) -> Finding:
    """A picture beside an over-long text has as many tokens as it has alone."""
    try:
        pairs = [subject.pair(QUERIES[0], text, with_picture=True) for text in ("", _words(limit))]
        alone, beside = ([s.length for s in subject.encoded(pair).media] for pair in pairs)
    except MMRerankError as error:
        return Finding("", "ok", f"; a picture with text was not tried: {shorten(str(error))}")
    if alone != beside:
        found = f"; but a picture of {sum(alone)} tokens is cut to {sum(beside)}"
        return Finding("", "broken", found, "pictures are read in part")
    return Finding("", "ok", f", a picture of {sum(alone)} tokens stays whole")


def _words(num_tokens: int) -> str:
    """A document of more tokens than that."""
    return " ".join(["word"] * (num_tokens + 64))


def check_limit(subject: Subject) -> Finding:
    """The longest prompt suits the positions that the model has."""
    name, limit = "max_length", subject.model.max_seq_length
    model = subject.model.model
    positions, are_learned = _positions(model)
    if positions is None:
        shown = "no limit" if limit >= _NO_LIMIT else f"{limit:,} tokens"
        return Finding(name, "ok", f"{shown}; the model's positions are not bounded")
    told = f"{positions:,} positions"
    if limit >= _NO_LIMIT and not are_learned:
        remedy = f"pass max_length={positions}, or write model_max_length to tokenizer_config.json"
        cost = "nothing is cut, so very long documents score oddly or fill the memory"
        return Finding(name, "limited", f"none; the model has {told}", cost, remedy)
    if limit > positions:
        remedy = f"pass max_length={positions} or less"
        found = f"{limit:,} tokens; the model has {told}"
        if are_learned:
            return Finding(name, "broken", found, "longer documents fail", remedy)
        return Finding(name, "limited", found, "it was not trained on such long ones", remedy)
    if limit < _SHORTEST_USEFUL:
        remedy = f"pass a larger max_length, up to {positions}"
        return Finding(name, "limited", f"{limit} of {told}", "most documents are cut", remedy)
    return Finding(name, "ok", f"{limit:,} of {told}")


def _positions(model: Any) -> tuple[int | None, bool]:
    """Positions that a text may use, and whether each has weights of its own."""
    config = model.config.get_text_config()
    number = config.to_dict().get("max_position_embeddings")
    are_learned = any(
        name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
        for name, module in model.named_modules()
    )
    if number is None or int(number) <= 0:
        return None, are_learned
    reserved = config.pad_token_id + 1 if config.model_type in COUNT_FROM_PADDING else 0
    return int(number) - reserved, are_learned


def check_longest(subject: Subject) -> str:
    """A prompt as long as may be is scored; raises what the model raises."""
    limit = subject.model.max_seq_length
    if not subject.takes_text:
        raise NotChecked("documents are pictures")
    if limit > _MOST_TOKENS_TO_RUN:
        raise NotChecked(f"a prompt of {limit:,} tokens takes a while")
    (logits,) = subject.logits([subject.pair(QUERIES[0], _words(limit))])
    return f"scored: {', '.join(f'{value:.3f}' for value in logits)}"
