"""Which head a checkpoint has, and on what scale it scores."""

from __future__ import annotations

from dataclasses import replace

from mmrerank.errors import InputError
from mmrerank.specs.decider import CHECKPOINT, USER, Decider
from mmrerank.specs.facts import CheckpointFacts
from mmrerank.specs.folders import list_processors
from mmrerank.specs.nearest import not_recognised
from mmrerank.specs.schema import HeadSpec

__all__ = ["decide_head"]


def decide_head(decider: Decider) -> HeadSpec:
    facts, folder = decider.facts, decider.folder
    head = _st_head(facts) if decider.has_st_form else None
    if decider.user.head is not None:
        head = decider.user.head
        decider.sources["head"] = f"{USER}: modules"
    elif head is not None:
        decider.sources["head"] = f"{CHECKPOINT}: modules.json"
    elif folder is not None:
        head = folder.head
        decider.sources["head"] = decider.folder_source
    else:
        raise not_recognised(facts, list_processors())
    activation, source = _decide_activation(decider, head)
    decider.sources["activation"] = source
    return _scaled(decider, _cut_off(decider, replace(head, activation=activation)))


def _cut_off(decider: Decider, head: HeadSpec) -> HeadSpec:
    layer = decider.user.cutoff_layer
    if layer is None:
        return head
    if head.kind != "layer":
        raise InputError(
            f"cutoff_layer={layer}: {decider.facts.name} scores at its last layer only (head "
            f"{head.kind!r}). Leave cutoff_layer out."
        )
    return replace(head, layer=layer)


def _scaled(decider: Decider, head: HeadSpec) -> HeadSpec:
    """The head with the activation that gives the scale that the caller asked for.

    The vendor's own bias and divisor belong to its probabilities, also where the checkpoint's ST
    files leave them out.
    """
    scale, folder = decider.user.scale, decider.folder
    if scale == "native":
        return head
    own = folder.head if folder is not None and folder.head.kind == head.kind else head
    if scale not in own.scales:
        raise InputError(
            f"scale={scale!r}: the scores of {decider.facts.name} are defined as "
            f"{' or '.join(own.scales)} only. Use scale='native'."
        )
    decider.sources["activation"] = f"{USER}: scale={scale!r}"
    if scale == "logit":
        return replace(head, activation="identity")
    return replace(head, activation="probability", bias=own.bias, divide=own.divide)


def _st_head(facts: CheckpointFacts) -> HeadSpec | None:
    logit_score = facts.st.head("LogitScore")
    if logit_score is not None and "true_token_id" in logit_score.config:
        return HeadSpec(
            kind="logit-score",
            true_token=logit_score.config["true_token_id"],
            false_token=logit_score.config.get("false_token_id"),
        )
    if facts.st.head("Dense") is not None or facts.st.head("Pooling") is not None:
        return HeadSpec(kind="chain")
    if facts.st.transformer.get("transformer_task") == "sequence-classification":
        return HeadSpec(kind="builtin")
    return None


def _decide_activation(decider: Decider, head: HeadSpec) -> tuple[str, str]:
    """Order of the peer: config_sentence_transformers.json, then the two older places in
    config.json.
    """
    facts = decider.facts
    if decider.user.processor is None and not decider.restates_code:
        for value, file in (
            (facts.st.model.get("activation_fn"), "config_sentence_transformers.json"),
            ((facts.config.get("sentence_transformers") or {}).get("activation_fn"), "config.json"),
            (facts.config.get("sbert_ce_default_activation_function"), "config.json"),
        ):
            if value:
                return str(value), f"{CHECKPOINT}: {file}"
    if head.activation:
        return head.activation, decider.sources["head"]
    return "", "default: sigmoid for one label, else identity"
