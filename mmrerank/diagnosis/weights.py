"""Whether the weights are those of a trained model: none random, none without a number."""

from __future__ import annotations

from mmrerank.diagnosis.finding import Finding
from mmrerank.diagnosis.subject import Subject

__all__ = ["check_finite", "check_trained"]


def check_trained(subject: Subject) -> Finding:
    """No weight was made up while loading."""
    # Layers without weights are refused when a model is loaded; a classifier may be new.
    made_up = [
        name for record in subject.warned for name in record.__dict__.get("random_weights", ())
    ]
    if made_up:
        return Finding(
            "trained weights",
            "broken",
            f"random numbers: {', '.join(made_up[:4])}; the checkpoint has no trained classifier",
            remedy="take a checkpoint that was trained as a reranker, name its family with "
            "--processor, or train this one first (`mmrerank train`)",
        )
    return Finding("trained weights", "ok", "all come from the checkpoint")


def check_finite(subject: Subject) -> Finding:
    """No parameter holds NaN or an infinite number."""
    import torch

    bad = [
        name.removeprefix("0.model.")  # the place in a CrossEncoder
        for name, weight in subject.model.named_parameters()
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all())
    ]
    count = sum(weight.numel() for weight in subject.model.parameters())
    if bad:
        return Finding(
            "numbers",
            "broken",
            f"NaN or infinite: {', '.join(bad[:3])}{' …' if len(bad) > 3 else ''}",
            remedy="fetch the weights again; if they are stored so, they went wrong in training or "
            "conversion: go back to an earlier checkpoint",
        )
    return Finding("numbers", "ok", f"{count:,} parameters, all finite")
