"""What is particular to an architecture of transformers: plain data, read at load."""

from __future__ import annotations

__all__ = ["CLASS_FOR"]

# model_type -> class to load where the automatic class would load more than a reranker needs.
CLASS_FOR: dict[str, str] = {
    # The whole model has a talker and a vocoder beside the thinker; scores are read from the
    # thinker alone.
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
}
