"""Adapters of PEFT on a transformers model: failures under our names, and merging into weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmrerank.errors import CheckpointError, InputError, WrongArgument
from mmrerank.extras import require

__all__ = ["adapter_errors", "merge_into_weights", "require_peft"]


def require_peft() -> Any:
    """The peft library. Raises MissingExtra where it is not installed."""
    return require("peft", to="use adapters")


@contextmanager
def adapter_errors(model: Any, call: str) -> Iterator[None]:
    """Give what transformers and peft raise our names, and undo a half-made first adapter.

    model: the transformers model. call: the method's name, for the message.
    Raises InputError, WrongArgument, CheckpointError (a file) or MissingExtra.
    """
    require_peft()
    had_adapter = vars(model).get("_hf_peft_config_loaded", False)
    try:
        yield
    except TypeError as error:
        raise WrongArgument(f"{call}: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{call}: {error}") from error
    except (ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise InputError(f"{call}: {error}") from error
    finally:
        # transformers marks the model before it knows whether the adapter fits; saving such a
        # model would fail.
        if not had_adapter and not _tuned_layers(model):
            model._hf_peft_config_loaded = False
            vars(model).pop("peft_config", None)


def merge_into_weights(model: Any) -> None:
    """Add the active adapters to the weights and take all adapters off; scores stay the same.

    model: the transformers model. All its weights can be trained afterwards, as after loading.
    Raises InputError without an adapter in force, or where a merged weight is used elsewhere too.
    """
    require_peft()
    layers = _tuned_layers(model)
    if not layers:
        raise InputError("merge_adapter(): the model has no adapter. Call load_adapter(...) first.")
    if any(layer.disable_adapters for layer in layers.values()):
        raise InputError(
            "merge_adapter(): the adapters are switched off, and merging would change scores. "
            "Call enable_adapters(), or delete_adapter(name) to drop one."
        )
    _refuse_shared(model, layers)
    for name, layer in layers.items():
        model.set_submodule(name, _merged(layer))
    model._hf_peft_config_loaded = False
    vars(model).pop("peft_config", None)
    model.requires_grad_(True)


def _merged(layer: Any) -> Any:
    from peft.utils.other import AuxiliaryTrainingWrapper

    if isinstance(layer, AuxiliaryTrainingWrapper):
        return layer.unload_and_optionally_merge_module(
            merge=True, safe_merge=True, adapter_names=None
        )
    layer.merge(safe_merge=True)
    return layer.get_base_layer()


def _tuned_layers(model: Any) -> dict[str, Any]:
    """Dotted name -> layer that an adapter has wrapped; none that lies in another one."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper)) and not inside:
            found[name] = module
    return found


def _refuse_shared(model: Any, layers: dict[str, Any]) -> None:
    """A weight that two layers share (embeddings and output layer) cannot take one's adapter."""
    names_of: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names_of.setdefault(id(parameter), []).append(name)
    for names in names_of.values():
        tuned = [name for name in names if any(name.startswith(f"{key}.") for key in layers)]
        if tuned and len(names) > 1:
            raise InputError(
                f"merge_adapter(): {tuned[0]} is one weight with {names[0]} and "
                f"{len(names) - 1} more, so the adapter of one would change the others. "
                "Save the adapter beside its base model instead."
            )
