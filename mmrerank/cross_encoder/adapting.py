"""Adapters of PEFT on a CrossEncoder, under the peer's names."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmrerank.cross_encoder.settings import Settings
from mmrerank.errors import InputError
from mmrerank.training.adapters import adapter_errors, merge_into_weights

__all__ = ["Adapting"]


class Adapting(Settings):
    """Adds, switches, saves and merges adapters; the work is transformers' and peft's own.

    Every method raises MissingExtra without peft, and InputError, with the library's reason, where
    a name is unknown or taken, or the adapter does not fit.
    """

    def add_adapter(self, adapter_config: Any, adapter_name: str | None = None) -> None:
        """Put a new adapter on the model, make it the active one, and freeze the model's weights.

        adapter_config: a config of peft such as LoraConfig. adapter_name: None is "default".
        """
        self._adapt("add_adapter", adapter_config, adapter_name)

    def load_adapter(self, *args: Any, **kwargs: Any) -> Any:
        """Put a stored adapter on the model: a folder or hub id, then the name it gets.

        Takes the arguments of transformers' method. Raises CheckpointError when there is none.
        """
        return self._adapt("load_adapter", *args, **kwargs)

    def set_adapter(self, adapter_name: str | list[str]) -> None:
        """Make one adapter, or several together, the active ones."""
        self._adapt("set_adapter", adapter_name)

    def enable_adapters(self) -> None:
        """Let the active adapters take part again."""
        self._adapt("enable_adapters")

    def disable_adapters(self) -> None:
        """Score with the base model alone."""
        self._adapt("disable_adapters")

    def active_adapters(self) -> list[str]:
        """Names of the active adapters."""
        names: list[str] = self._adapt("active_adapters")
        return names

    def active_adapter(self) -> str:
        """Name of the active adapter; the first of several."""
        return self.active_adapters()[0]

    def get_adapter_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Weights of one adapter, by name; without a name those of the active one."""
        state: dict[str, Tensor] = self._adapt("get_adapter_state_dict", *args, **kwargs)
        return state

    def delete_adapter(self, adapter_names: str | list[str]) -> None:
        """Take adapters off the model and forget them."""
        self._adapt("delete_adapter", adapter_names)

    def merge_adapter(self) -> None:
        """Add the active adapters to the weights and take all of them off.

        What `save_pretrained` writes then is a whole model that needs no peft.
        """
        merge_into_weights(self.transformers_model)
        self._changed()

    def has_peft_compatible_model(self) -> bool:
        """Whether adapters can be put on the model."""
        from transformers.integrations.peft import PeftAdapterMixin

        return isinstance(self.transformers_model, PeftAdapterMixin)

    def check_peft_compatible_model(self) -> None:
        """Raises InputError where adapters cannot be put on the model."""
        if not self.has_peft_compatible_model():
            kind = type(self.transformers_model).__name__
            raise InputError(f"{kind} is no model of transformers, and only those take adapters.")

    def _adapt(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.check_peft_compatible_model()
        model = self.transformers_model
        with adapter_errors(model, method):
            result = getattr(model, method)(*args, **kwargs)
        # Layers may have been put around others: the next call looks at them anew.
        self._changed()
        return result
