"""Published scores of a family: does this checkpoint give them?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mmrerank.diagnosis.finding import Finding, NotChecked
from mmrerank.diagnosis.subject import Subject
from mmrerank.errors import MediaError
from mmrerank.specs import processor_folders
from mmrerank.specs.golden import GoldenCase, read_golden

__all__ = ["check_golden"]

_REMEDY = (
    "compare template, score tokens and scale above with the model card's; name the family with "
    "--processor where the checkpoint's files are wrong"
)
# Half precision moves a logit by so much of its size.
_HALF = 2e-2


def check_golden(subject: Subject) -> Finding:
    """The family's golden pairs, where these are the weights that they were published for."""
    cases = _cases(subject)
    if not cases:
        raise NotChecked(f"no scores of {subject.spec.family} are on record")
    own = [case for case in cases if is_of(subject.name, case.model)]
    if not own:
        models = ", ".join(dict.fromkeys(case.model for case in cases))
        raise NotChecked(f"these are other weights than those on record ({models})")
    worst = max((_difference(subject, case) for case in own), key=lambda found: found[0])
    excess, told = worst
    count = sum(len(case.scores) for case in own)
    if excess > 1:
        return Finding("golden pairs", "broken", told, remedy=_REMEDY)
    return Finding("golden pairs", "ok", f"{count} scores as published; {told}")


def is_of(name: str, model: str) -> bool:
    """Whether a name is that hub id, or a folder or cache entry of its last part."""
    parts = name.replace("\\", "/").rstrip("/").split("/")
    in_cache = "models--" + model.replace("/", "--")
    wanted = {model.rsplit("/", 1)[-1].lower(), in_cache.lower()}
    return parts[-1].lower() in wanted or in_cache.lower() in (part.lower() for part in parts)


def _cases(subject: Subject) -> tuple[GoldenCase, ...]:
    if subject.processor is not None and Path(subject.processor).is_dir():
        return read_golden(Path(subject.processor))
    folders = [folder for folder in processor_folders() if folder.name == subject.spec.family]
    return read_golden(folders[0]) if folders else ()


def _difference(subject: Subject, case: GoldenCase) -> tuple[float, str]:
    """(difference in tolerances, in words)."""
    inputs = [(case.query, document) for document in case.documents]
    try:
        logits = subject.model.predict(
            inputs, activation_fn=torch.nn.Identity(), convert_to_tensor=True
        )
    except MediaError as error:
        raise NotChecked(f"a picture of the published pairs cannot be had: {error}") from error
    found = _on_scale(subject, logits.float().cpu(), case).numpy()
    published = np.asarray(case.scores, dtype=np.float32)
    tolerance = case.tolerance
    if subject.model.dtype.itemsize < 4:
        tolerance = max(tolerance, _HALF * max(1.0, float(np.abs(published).max())))
    difference = float(np.abs(found - published).max())
    shown, wanted = (
        ", ".join(f"{v:.4f}" for v in values.ravel()[:6]) for values in (found, published)
    )
    return difference / tolerance, f"{case.model}: {shown}; published {wanted} (±{tolerance:.0e})"


def _on_scale(subject: Subject, logits: torch.Tensor, case: GoldenCase) -> torch.Tensor:
    """Logits (documents,) or (documents, labels) on the scale of the published scores."""
    if case.scale != "probability":
        return logits
    if subject.family is not None:
        # The family's bias and divisor belong to its probabilities, in force or not.
        own, now = subject.family.head, subject.spec.head
        logits = (logits * now.divide - now.bias + own.bias) / own.divide
    return logits.sigmoid() if logits.ndim == 1 else logits.softmax(dim=-1)
