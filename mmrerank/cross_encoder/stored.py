"""What a CrossEncoder is beside scoring: copies, processes, and its form on disk and on the hub."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mmrerank.cross_encoder import cards
from mmrerank.cross_encoder.adapting import Adapting
from mmrerank.cross_encoder.arguments import checked_arguments
from mmrerank.cross_encoder.calibrating import Calibrating
from mmrerank.cross_encoder.calls import Call
from mmrerank.cross_encoder.packing import Packing
from mmrerank.heads import activation_name
from mmrerank.models import save_model
from mmrerank.training.calibration import write_calibration
from mmrerank.types import DocumentError, Score

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Stored"]

logger = logging.getLogger(__name__)


class Stored(Adapting, Calibrating, Packing):
    """Copies, pools of processes, saving and uploading; all but scoring."""

    model_type: str

    if TYPE_CHECKING:  # CrossEncoder's; the workers of a pool call it

        def score_call(self, call: Call) -> list[Score | DocumentError]: ...

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles leave the pipeline behind: its caches and locks are made anew."""
        return {**self.__dict__, "_pipeline": None}

    @checked_arguments
    def start_multi_process_pool(self, target_devices: list[str] | None = None) -> dict[str, Any]:
        """Start one process a device (None: every GPU, else four on the CPU); give the result to
        `predict`.
        """
        from mmrerank.cross_encoder import pools

        return pools.start(self, target_devices)

    @staticmethod
    @checked_arguments
    def stop_multi_process_pool(pool: dict[str, Any]) -> None:
        """End the processes of a pool."""
        from mmrerank.cross_encoder import pools

        pools.stop(pool)

    @checked_arguments
    def save_pretrained(
        self,
        path: str | Path | None,
        model_name: str | None = None,
        create_model_card: bool = True,
        train_datasets: list[str] | None = None,
        safe_serialization: bool = True,
    ) -> None:
        """Write a folder that this class and sentence-transformers 6.2 load with equal scores.

        The weights are torch's whatever the backend; OpenVINO's form of them is not written.
        path: None writes nothing, as in the peer.
        """
        if path is None:
            logger.warning("save_pretrained(None): no folder is named, so nothing was saved")
            return
        folder = Path(path)
        calibration = self.calibration  # read before anything is written, maybe over it
        config: dict[str, Any] = {
            "__version__": cards.versions(),
            "activation_fn": activation_name(self.activation_fn),
            "default_prompt_name": self.default_prompt_name,
            "model_type": self.model_type,
            "prompts": self.prompts,
        }
        if self.keep_in_fp32_modules:
            config["keep_in_fp32_modules"] = self.keep_in_fp32_modules
        card = None
        if create_model_card:
            card = cards.model_card(self, model_name or folder.name, train_datasets or [])
        save_model(
            folder,
            self.transformer.backbone,
            list(self)[1:],
            self._spec,
            config,
            card=card,
            safe_serialization=safe_serialization,
        )
        write_calibration(folder, calibration)

    @classmethod
    def merge(
        cls,
        models: Sequence[str | Path | Self],
        method: str = "linear",
        *,
        base_model: str | Path | Self | None = None,
        parameters: dict[str, Any] | None = None,
        dtype: str | torch.dtype | None = torch.float32,
        out_dtype: str | torch.dtype | None = None,
        device: str | torch.device = "cpu",
        batch_options: Any = None,
        **load_kwargs: Any,
    ) -> Self:
        """One model of the weights of several: their mean, or another method of mergekit.

        models: models, folders or hub ids, alike but for their weights; settings and prompts are
        the first one's. parameters: of the method, as {"weight": [0.6, 0.4]}. base_model: what the
        others are differences to, for methods that want one. load_kwargs: for those that are named.
        Raises InputError where the models differ, MissingExtra where mergekit is needed.
        """
        from mmrerank.cross_encoder import merging
        from mmrerank.training.merging import MergeOptions

        options = MergeOptions(
            method, parameters or {}, dtype, out_dtype, batch_options=batch_options
        )
        return merging.merge(cls, models, base_model, options, device, **load_kwargs)

    def save(self, path: str | Path | None, *args: Any, **kwargs: Any) -> None:
        """The same as save_pretrained."""
        self.save_pretrained(path, *args, **kwargs)

    @checked_arguments
    def push_to_hub(
        self,
        repo_id: str,
        token: str | None = None,
        private: bool | None = None,
        safe_serialization: bool = True,
        commit_message: str | None = None,
        local_model_path: str | None = None,
        exist_ok: bool = False,
        replace_model_card: bool = False,
        train_datasets: list[str] | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload the model to the hub; local_model_path uploads that folder instead. Returns the
        commit's URL.
        """
        from mmrerank.cross_encoder import hub

        upload = hub.Upload(
            repo_id,
            token,
            private,
            commit_message,
            exist_ok,
            replace_model_card,
            revision,
            create_pr,
        )
        return hub.push(
            self,
            upload,
            local_model_path,
            safe_serialization=safe_serialization,
            train_datasets=train_datasets,
        )
