"""Stage 6, the build line: checkpoints from the hub or disk into memory, and back to disk."""

from mmrerank.models.adapters import AdapterBase, base_of, has_adapter
from mmrerank.models.decoder import decoder_start_id, pooled
from mmrerank.models.head_modules import load_head_modules
from mmrerank.models.hub import EMBEDDED_MODEL, fetch_checkpoint
from mmrerank.models.load import Backbone, LoadOptions, load_backbone, task_of
from mmrerank.models.named_weights import LinearWeights, read_linear_weights
from mmrerank.models.restate import is_restated, runs_as_restated
from mmrerank.models.save import OUTPUT_OF_TASK, save_model
from mmrerank.models.stored_options import lower_case_as_stored, with_stored_options

__all__ = [
    "EMBEDDED_MODEL",
    "OUTPUT_OF_TASK",
    "AdapterBase",
    "Backbone",
    "LinearWeights",
    "LoadOptions",
    "base_of",
    "decoder_start_id",
    "fetch_checkpoint",
    "has_adapter",
    "is_restated",
    "load_backbone",
    "load_head_modules",
    "lower_case_as_stored",
    "pooled",
    "read_linear_weights",
    "runs_as_restated",
    "save_model",
    "task_of",
    "with_stored_options",
]
