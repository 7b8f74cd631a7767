"""Whether the tokens that a score is read from are there, and whether tokenizer and model agree."""

from __future__ import annotations

from typing import Any

from mmrerank.diagnosis.finding import Finding, NotChecked
from mmrerank.diagnosis.subject import Subject
from mmrerank.heads import LogitScore
from mmrerank.prompting import example_answer, order_of

__all__ = ["check_score_tokens", "check_vocabulary"]

_TOKENS = "score tokens"
_RETOKEN = (
    "name the family with --processor, or correct true_token_id and false_token_id in the "
    "checkpoint's LogitScore config.json"
)


def check_score_tokens(subject: Subject) -> Finding:
    """The true and the false token are single entries of the vocabulary, known and different."""
    score = next((module for module in subject.model if isinstance(module, LogitScore)), None)
    if score is None and subject.spec.head.kind == "permutation":
        return _check_answer(subject)
    if score is None:
        raise NotChecked("the score is read from no token")
    tokenizer = subject.model.tokenizer
    ids = {"true": score.true_token_id, "false": score.false_token_id}
    words = {name: _word(tokenizer, i) for name, i in ids.items() if i is not None}
    shown = ", ".join(f"{name} {ids[name]} {word!r}" for name, word in words.items())
    own = _own_ids(subject)
    for name, word in words.items():
        if ids[name] in own and word is not None:
            continue
        wrong = _what_is_wrong(tokenizer, ids[name], word)
        if wrong:
            return Finding(_TOKENS, "broken", f"{shown}: the {name} one {wrong}", remedy=_RETOKEN)
    if ids["true"] == ids["false"]:
        why = "both are one token, so every score is 0 before the activation"
        return Finding(_TOKENS, "broken", f"{shown}: {why}", remedy=_RETOKEN)
    return _beside_the_family(subject, words, shown)


def _check_answer(subject: Subject) -> Finding:
    """An order of documents can be written in the tokens that an answer may have."""
    said, tokenizer = subject.spec.listwise, subject.model.tokenizer
    assert said is not None, "checked by ProcessorSpec"
    answer = example_answer(said.max_documents, said)
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    told = f"{answer!r}: {len(ids)} tokens of the {said.max_new_tokens} that an answer may have"
    if order_of(tokenizer.decode(ids, skip_special_tokens=True), said.max_documents, said) is None:
        found = f"the tokenizer cannot write {answer!r}"
        return Finding(_TOKENS, "broken", found, remedy="fetch the tokenizer files again")
    if len(ids) > said.max_new_tokens:
        remedy = "raise max_new_tokens of a processor folder and name it with --processor"
        return Finding(_TOKENS, "broken", told, remedy=remedy)
    return Finding(_TOKENS, "ok", told)


def _own_ids(subject: Subject) -> set[int]:
    """Tokens that the family names by number: it was trained so, whatever they stand for."""
    head = subject.family.head if subject.family else None
    tokens = (head.true_token, head.false_token) if head else ()
    return {token for token in tokens if isinstance(token, int)}


def _word(tokenizer: Any, token_id: int) -> str | None:
    if not 0 <= token_id < len(tokenizer):
        return None
    word: str | None = tokenizer.convert_ids_to_tokens(token_id)
    return word


def _what_is_wrong(tokenizer: Any, token_id: int | None, word: str | None) -> str:
    """Why no score can be read from a token; "" where one can."""
    if word is None:
        return f"is no entry of the vocabulary ({len(tokenizer):,} entries)"
    if token_id == tokenizer.unk_token_id:
        return "is the unknown token, which stands for every missing word"
    if tokenizer.convert_tokens_to_ids(word) != token_id:
        return "is another entry when it is looked up by its text"
    return ""


def _beside_the_family(subject: Subject, words: dict[str, str | None], shown: str) -> Finding:
    """The checkpoint's own ids against the words that its family is known to answer with."""
    head = subject.family.head if subject.family else None
    if head is None or not isinstance(head.true_token, str):
        return Finding(_TOKENS, "ok", f"{shown}: single tokens")
    expected = [head.true_token, head.false_token]
    found = [words["true"], words.get("false")]
    if found == expected:
        return Finding(_TOKENS, "ok", f"{shown}: single tokens, those of {subject.spec.family}")
    answers = " or ".join(repr(word) for word in expected if word is not None)
    told = f"{shown}; {subject.spec.family} answers {answers}"
    if found == expected[::-1]:
        return Finding(_TOKENS, "broken", f"{told}: they are exchanged", remedy=_RETOKEN)
    cost = "right only if it was trained with these"
    return Finding(_TOKENS, "limited", told, cost, _RETOKEN)


def check_vocabulary(subject: Subject) -> Finding:
    """Every token has a row of its own in the model."""
    tokenizer = subject.model.tokenizer
    try:
        embeddings = subject.model.model.get_input_embeddings()
    except NotImplementedError as error:
        raise NotChecked("the vendor's code does not tell its table of embeddings") from error
    rows = int(embeddings.weight.shape[0])
    told = f"tokenizer {len(tokenizer):,}, model {rows:,} rows"
    if len(tokenizer) > rows:
        return Finding(
            "vocabulary",
            "broken",
            f"{told}: tokens behind the last row have no state",
            remedy="take the tokenizer files that were published with these weights, or save the "
            "model after resize_token_embeddings",
        )
    if 2 * len(tokenizer) < rows:
        return Finding(
            "vocabulary",
            "limited",
            told,
            "most rows are never used: the tokenizer may be another model's",
            "compare its files with those that were published with the weights",
        )
    return Finding("vocabulary", "ok", told)
