"""What a CrossEncoder is and which settings are in force: all but scoring and saving."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from mmrerank.cross_encoder import cards
from mmrerank.cross_encoder.arguments import checked_arguments, read_argument
from mmrerank.cross_encoder.precision import compute_in_fp32
from mmrerank.cross_encoder.transformer import Transformer
from mmrerank.engine import EngineCaches, OpenVINO
from mmrerank.errors import EngineError, InputError, shorten
from mmrerank.heads import Activation, activation_by_name
from mmrerank.media import MediaPolicy
from mmrerank.pipeline import Pipeline
from mmrerank.specs import ResolvedSpec
from mmrerank.types import MODALITIES

__all__ = ["Settings"]

logger = logging.getLogger(__name__)


class Settings(nn.Sequential):
    """Modules in the peer's order, a Transformer first, and the spec that they run under.

    The parameters live here once; the Pipeline borrows them and is made anew when a setting
    changes.
    """

    trust_remote_code: bool
    prompts: dict[str, str]
    default_prompt_name: str | None
    keep_in_fp32_modules: list[str]
    _spec: ResolvedSpec
    _pipeline: Pipeline | None
    _tokenizer_limit: int
    _caches: EngineCaches
    _openvino: OpenVINO | None
    _is_compiled: bool = False

    @property
    def media_policy(self) -> MediaPolicy:
        """What may be opened."""
        policy: MediaPolicy = self.__dict__["_media_policy"]
        return policy

    @media_policy.setter
    def media_policy(self, value: MediaPolicy | None) -> None:
        given = read_argument("media_policy", value)
        self.__dict__["_media_policy"] = given or MediaPolicy.from_environment()
        self._changed()

    @property
    def transformer(self) -> Transformer:
        """The first module."""
        first = self[0]
        assert isinstance(first, Transformer), "checked when the model was built"
        return first

    @property
    def spec(self) -> ResolvedSpec:
        """All decisions in force, each with where it came from."""
        return self._spec

    @property
    def pipeline(self) -> Pipeline:
        """The data line for the settings in force."""
        limit = self.transformer.max_seq_length
        if self._pipeline is not None and limit != self._tokenizer_limit:
            # Set on the tokenizer itself, as scripts for the peer do.
            self.max_seq_length = limit
        if self._pipeline is None:
            self._pipeline, self._tokenizer_limit = self._make_pipeline(self._spec), limit
        return self._pipeline

    def _make_pipeline(self, spec: ResolvedSpec) -> Pipeline:
        return Pipeline(
            self.transformer.backbone,
            list(self)[1:],
            spec,
            policy=self.media_policy,
            activation=self.activation_fn,
            caches=self._caches,
            may_pack=not self._is_compiled,
            openvino=self._openvino,
        )

    # ------------------------------------------------------------ what it takes

    @property
    def modalities(self) -> list[str]:
        """What a query or document may hold; "message" where the model reads chat messages."""
        return [
            *self._spec.modalities,
            *(["message"] if self._spec.template.kind == "chat" else []),
        ]

    def supports(self, modality: str | tuple[str, ...]) -> bool:
        """Whether the model takes that modality, or that mix of them in one document."""
        return not self.why_not(modality)

    def why_not(self, modality: str | tuple[str, ...]) -> str:
        """The reason why `supports` says no, in a sentence; "" when it says yes."""
        wanted = tuple(modality) if isinstance(modality, (tuple, list)) else (modality,)
        for name in wanted:
            if not isinstance(name, str) or name not in (*MODALITIES, "message"):
                known = f"{', '.join(MODALITIES)} and message"
                return f"{shorten(name)} is no modality; there are {known}."
            if name not in self.modalities:
                return f"{self._spec.name} takes {', '.join(self.modalities)}, not {name}."
        if len(set(wanted)) > 1 and "message" not in self.modalities:
            return f"{self._spec.name} reads no chat messages, so a document is of one modality."
        return ""

    @property
    def supports_media(self) -> bool:
        """Whether anything but text is taken."""
        return self._spec.modalities != ("text",)

    def describe(self) -> dict[str, Any]:
        """What is in force and where each decision came from, as plain values for a page or a
        terminal.
        """
        return cards.describe(self)

    # ------------------------------------------------------------ settings

    def _changed(self) -> None:
        """A setting changed: the next call builds its data line anew."""
        self._pipeline = None

    @property
    def activation_fn(self) -> Activation:
        """Applied to the logits."""
        activation: Activation = self.__dict__["_activation_fn"]
        return activation

    @activation_fn.setter
    def activation_fn(self, value: Activation | None) -> None:
        # None leaves the logits as they are, as in the peer.
        given = read_argument("activation_fn", value)
        self.__dict__["_activation_fn"] = nn.Identity() if given is None else given
        self._changed()

    def __setattr__(self, name: str, value: Any) -> None:
        # An activation is often a module; in the registry it would change state_dict and the saved
        # form.
        if name == "activation_fn":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def default_activation_function(self) -> Activation:
        """Old name of activation_fn."""
        _deprecated("default_activation_function", "activation_fn")
        return self.activation_fn

    @property
    def max_seq_length(self) -> int:
        """Most tokens of one prompt."""
        return self._spec.truncation.max_length or int(self.transformer.max_seq_length)

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        value = read_argument("max_seq_length", value)
        truncation = replace(self._spec.truncation, max_length=value)
        self._spec = replace(self._spec, truncation=truncation)
        self.transformer.max_seq_length = value
        self._changed()

    @property
    def max_length(self) -> int:
        """Old name of max_seq_length."""
        _deprecated("max_length", "max_seq_length")
        return self.max_seq_length

    @max_length.setter
    def max_length(self, value: int) -> None:
        _deprecated("max_length", "max_seq_length")
        self.max_seq_length = value

    def get_max_seq_length(self) -> int:
        """The same as max_seq_length."""
        return self.max_seq_length

    @property
    def tokenizer(self) -> Any:
        """The tokenizer."""
        return self.transformer.tokenizer

    @tokenizer.setter
    def tokenizer(self, value: Any) -> None:
        value = read_argument("tokenizer", value)
        transformer = self.transformer
        if transformer.processor is transformer.tokenizer:
            transformer.processor = value
        else:
            transformer.processor.tokenizer = value
        transformer.tokenizer = value
        self._changed()

    @property
    def processor(self) -> Any:
        """The media processor; for a text model the tokenizer."""
        return self.transformer.processor

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self.transformer.model

    transformers_model = model

    @property
    def config(self) -> Any:
        """The transformers config."""
        return self.model.config

    @config.setter
    def config(self, value: Any) -> None:
        self.model.config = read_argument("config", value)
        self._changed()

    @property
    def num_labels(self) -> int:
        """Scores a pair gets."""
        return self.pipeline.head.num_labels

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def move(self, device: str | torch.device) -> None:
        """Move the weights. Raises EngineError when there is no such device."""
        try:
            self.to(device)
        except (RuntimeError, AssertionError, ValueError, TypeError) as error:
            reason = "".join(str(error).strip().splitlines()[:1])
            shown = shorten(str(device))
            raise EngineError(f"device={shown} cannot be used: {reason}") from error

    @property
    def dtype(self) -> torch.dtype:
        """Numbers that the weights are held in."""
        return next(self.parameters()).dtype

    @property
    def backend(self) -> str:
        """What runs the model in `predict`: "torch" or "openvino"."""
        return "torch" if self._openvino is None else "openvino"

    def get_backend(self) -> str:
        """The same as backend."""
        return self.backend

    def get_model_kwargs(self) -> list[str]:
        """Further arguments of `predict` that the modules take."""
        return []

    def get_default_activation_fn(self) -> Activation:
        """The activation that the checkpoint's files name."""
        return activation_by_name(
            self._spec.head.activation,
            num_labels=self.num_labels,
            trust_remote_code=self.trust_remote_code,
        )

    @checked_arguments
    def set_keep_in_fp32_modules(self, module_names: Sequence[str]) -> None:
        """Let these linear layers compute in float32 whatever the others do; replaces the earlier
        choice.
        """
        compute_in_fp32(self, self.keep_in_fp32_modules, module_names)
        self.keep_in_fp32_modules = list(dict.fromkeys(module_names))

    @checked_arguments
    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: dict[str, Any] | None = None, **options: Any
    ) -> None:
        """Trade time for memory in training; options go to transformers."""
        self.model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs=gradient_checkpointing_kwargs, **options
        )

    def activation_checkpointing_enable(
        self, activation_checkpointing_kwargs: dict[str, Any] | None = None, **options: Any
    ) -> None:
        """The same under the name that newer trainers call."""
        self.model.activation_checkpointing_enable(
            activation_checkpointing_kwargs=activation_checkpointing_kwargs, **options
        )

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the model that `predict` runs, with torch.compile's arguments.

        From then on rows are padded: packed ones differ in shape at each call, and each shape would
        be compiled anew. With backend="openvino" it is training and `forward` that run compiled.
        """
        self.pipeline.runner.module.compile(*args, **kwargs)
        self._is_compiled = True
        self._changed()

    def _resolve_prompt(self, prompt: str | None, prompt_name: str | None) -> str | None:
        if prompt is not None:
            if prompt_name is not None:
                logger.warning("Both `prompt` and `prompt_name` were given; `prompt` is used.")
            return prompt
        name = prompt_name or self.default_prompt_name
        if name is None:
            return None
        if not isinstance(name, str) or name not in self.prompts:
            raise InputError(
                f"Prompt name {shorten(name)} not found in the configured prompts dictionary with "
                f"keys {shorten(list(self.prompts), max_chars=400)}."
            )
        return self.prompts[name]


def _deprecated(old: str, new: str) -> None:
    warnings.warn(
        f"The `{old}` property was renamed and is now deprecated. Please use `{new}` instead.",
        DeprecationWarning,
        stacklevel=3,
    )
