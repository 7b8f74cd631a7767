"""Stage 6, the build line: checkpoints from the hub or disk into memory, and back to disk."""

from mmrerank.models.adapters import AdapterBase, base_of, has_adapter
from mmrerank.models.hub import EMBEDDED_MODEL, fetch_checkpoint
from mmrerank.models.load import Backbone, LoadOptions, load_backbone, load_head_modules, task_of
from mmrerank.models.save import OUTPUT_OF_TASK, save_model

__all__ = [
    "EMBEDDED_MODEL",
    "OUTPUT_OF_TASK",
    "AdapterBase",
    "Backbone",
    "LoadOptions",
    "base_of",
    "fetch_checkpoint",
    "has_adapter",
    "load_backbone",
    "load_head_modules",
    "save_model",
    "task_of",
]
