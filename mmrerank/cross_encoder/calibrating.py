"""Scores as probabilities: fitted on labelled pairs, kept with the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from mmrerank.cross_encoder.settings import Settings
from mmrerank.errors import InputError
from mmrerank.heads import Activation
from mmrerank.training.calibration import Calibration, Method, fit_calibration, read_calibration

__all__ = ["Calibrating"]


class Calibrating(Settings):
    """Fits, keeps and applies a calibration."""

    if TYPE_CHECKING:  # CrossEncoder's

        def predict(self, inputs: Any, **options: Any) -> Any: ...

    @property
    def calibration(self) -> Calibration | None:
        """What `calibrate` found, or the checkpoint's calibration.json holds; None without.

        Set it to None after training: it belongs to the weights that it was fitted on.
        """
        known = self.__dict__
        if "_calibration" not in known:
            known["_calibration"] = read_calibration(self.transformer.facts.folder)
        found: Calibration | None = known["_calibration"]
        return found

    @calibration.setter
    def calibration(self, value: Calibration | None) -> None:
        self.__dict__["_calibration"] = value

    def calibrate(
        self,
        pairs: Sequence[Any],
        labels: Sequence[Any],
        method: Method = "isotonic",
        *,
        num_folds: int = 5,
        **options: Any,
    ) -> Calibration:
        """Fit probabilities on labelled pairs and keep them; `save_pretrained` stores them.

        labels: 0 or 1 a pair. method: "isotonic" (any rising curve; wants many pairs) or "platt"
        (one sigmoid). num_folds: parts for the error on held-out pairs. options: of `predict`.
        Returns the calibration, with the expected calibration error before and after.
        Raises InputError for a model of several labels, else as `fit_calibration`.
        """
        if self.num_labels != 1:
            raise InputError(
                f"calibrate() is for models of one label; this one has {self.num_labels}"
            )
        if len(pairs) != len(labels):
            raise InputError(f"{len(pairs)} pairs with {len(labels)} labels: one a pair is needed")
        logits = self.predict(pairs, activation_fn=torch.nn.Identity(), **options)
        self.calibration = fit_calibration(logits, labels, method, num_folds=num_folds)
        return self.calibration

    def activation_for(self, chosen: Activation | None, calibrated: bool) -> Activation:
        """What turns logits into the scores of a call.

        Raises InputError where both are asked for, or the model was never calibrated.
        """
        if not calibrated:
            return chosen or self.activation_fn
        if chosen is not None:
            raise InputError("calibrated=True is an activation by itself; leave out activation_fn.")
        if self.calibration is None:
            raise InputError(
                "calibrated=True: this model has no calibration. Call calibrate(pairs, labels), "
                "or load a folder with calibration.json."
            )
        return self.calibration
