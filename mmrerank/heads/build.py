"""HeadSpec to Head: what the head reads from the model, and how that becomes logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn

from mmrerank.errors import CheckpointError
from mmrerank.heads.chain import Dense, LayerNorm, Pooling
from mmrerank.heads.classify import Classifier, mean_of_tokens
from mmrerank.heads.cosine import CosineHead
from mmrerank.heads.logit_score import LogitScore
from mmrerank.heads.scaling import scalings_of
from mmrerank.specs import HeadSpec

__all__ = ["ClassifierParts", "Head", "build_head", "make_logit_score"]

Reads: TypeAlias = Literal["position", "tokens", "logits", "answer"]


@dataclass(frozen=True)
class Head:
    """The last stage before the activation. It owns no weights; they live in the model and its
    modules.

    reads: "position" the state at each scoring position, "tokens" all states of a pair through
    `pool`,
    "logits" what the checkpoint's own classifier says, "answer" what the model writes behind the
    prompt; then `to_logits` has nothing to do.
    pool: (rows, tokens, hidden_size), (rows, tokens) mask -> (rows, dim). to_logits: (rows, dim) ->
    (rows, num_labels).
    at: which token of a prompt a "position" is.
    list_logits: of listwise models, for which `to_logits` gives vectors alone: the vectors of the
    blocks of one list -> (num_documents, num_labels).
    """

    reads: Reads
    num_labels: int
    to_logits: Callable[[Tensor], Tensor]
    pool: Callable[[Tensor, Tensor], Tensor] | None = None
    at: Literal["first", "last"] = "first"
    list_logits: Callable[[Sequence[Tensor]], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class ClassifierParts:
    """A checkpoint's own classifier, taken apart.

    steps: submodules in order, as dotted names. reads: the token whose state goes in. keeps_axis:
    the first step wants (pairs, 1, hidden_size) and takes token 0 itself.
    mean_if: a config field and the value with which the mean of all tokens goes in instead.
    """

    steps: tuple[str, ...]
    reads: Literal["first", "last"]
    keeps_axis: bool = False
    mean_if: tuple[str, str] | None = None

    def takes_mean(self, config: Any) -> bool:
        """Whether a checkpoint with this config classifies the mean of its tokens."""
        return self.mean_if is not None and getattr(config, self.mean_if[0]) == self.mean_if[1]


def build_head(
    spec: HeadSpec,
    modules: Sequence[nn.Module],
    model: nn.Module,
    classifier: ClassifierParts | None = None,
) -> Head:
    """The head for a loaded model.

    modules: what follows the transformer in the checkpoint, in order; model: the transformers
    model; classifier: the parts of its own one, where they are known.
    Raises CheckpointError when the modules do not end in scores.
    """
    config: Any = model.config
    if spec.kind == "builtin":
        num_labels = int(config.num_labels)
        if classifier is None:
            return Head(reads="logits", num_labels=num_labels, to_logits=lambda logits: logits)
        apply = Classifier(model, classifier.steps, keeps_axis=classifier.keeps_axis)
        if classifier.takes_mean(config):
            return Head("tokens", num_labels, to_logits=apply, pool=mean_of_tokens)
        return Head("position", num_labels, to_logits=apply, at=classifier.reads)
    if spec.kind == "logit-score":
        return _logit_score_head(modules, model)
    if spec.kind == "cosine":
        return _cosine_head(modules)
    if spec.kind == "permutation":
        return Head("answer", num_labels=1, to_logits=lambda logits: logits, at="last")
    return _chain_head(modules)


def make_logit_score(spec: HeadSpec, tokenizer: Any, model_name: str) -> LogitScore:
    """The module for a head of kind "logit-score"; its tokens are looked up in the vocabulary.

    Raises CheckpointError when a token is no single vocabulary entry.
    """
    assert spec.true_token is not None, "checked by HeadSpec"
    true_id = _token_id(spec.true_token, tokenizer, model_name)
    false_id = (
        None if spec.false_token is None else _token_id(spec.false_token, tokenizer, model_name)
    )
    return LogitScore(true_id, false_id)


def _token_id(token: str | int, tokenizer: Any, model_name: str) -> int:
    if isinstance(token, int):
        return token
    found = tokenizer.convert_tokens_to_ids(token)
    # A tokenizer with an unknown token answers that one for every missing word: all scores would be
    # equal.
    if found is None or (found == tokenizer.unk_token_id and token != tokenizer.unk_token):
        raise CheckpointError(
            f"{model_name}: the tokenizer has no single token {token!r}, which the score is read "
            "from. "
            "Name the family with processor=..., or give modules=[Transformer(...), "
            "LogitScore(...)]."
        )
    return int(found)


def _logit_score_head(modules: Sequence[nn.Module], model: Any) -> Head:
    module = next(module for module in modules if isinstance(module, LogitScore))
    steps = scalings_of(modules)
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    def to_logits(states: Tensor) -> Tensor:
        logits = module.score(states, model.get_output_embeddings(), softcap=softcap)
        for step in steps:
            logits = step.step(logits)
        return logits

    return Head(reads="position", num_labels=1, to_logits=to_logits, at="last")


def _cosine_head(modules: Sequence[nn.Module]) -> Head:
    module = next(module for module in modules if isinstance(module, CosineHead))
    return Head(
        reads="position",
        num_labels=module.num_labels,
        to_logits=module.vectors,
        at="last",
        list_logits=module.list_logits,
    )


def _chain_head(modules: Sequence[nn.Module]) -> Head:
    pooling = next((module for module in modules if isinstance(module, Pooling)), None)
    steps = [module for module in modules if isinstance(module, (Dense, LayerNorm))]
    last = next((module for module in reversed(steps) if isinstance(module, Dense)), None)
    if (
        pooling is None
        or last is None
        or steps[-1] is not last
        or last.module_output_name != "scores"
    ):
        kinds = ", ".join(type(module).__name__ for module in modules) or "none"
        raise CheckpointError(
            f"the modules after the transformer ({kinds}) do not end in scores: needed are "
            "Pooling, then Dense and "
            'LayerNorm, the last one a Dense with module_output_name="scores"'
        )

    def to_logits(states: Tensor) -> Tensor:
        for step in steps:
            states = step.step(states)
        return states

    if pooling.modes == ("lasttoken",):  # no other state is needed, so none is computed
        return Head("position", last.out_features, to_logits, at="last")
    return Head(
        reads="tokens", num_labels=last.out_features, to_logits=to_logits, pool=pooling.pool
    )
