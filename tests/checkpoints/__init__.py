"""Tiny checkpoints with the file layouts of published rerankers, for parity tests and hub ids.

Every `build_*(folder, *, seed=0)` writes one checkpoint with random weights into `folder` in well
under a second and returns `folder`; the same seed gives the same bytes. Scores are spread widely
enough that a test comparing two implementations can fail. `lay_out_hub_cache` puts such folders
in the place of hub ids.
"""

from __future__ import annotations

from .encoders import (
    build_bert,
    build_bert_nli,
    build_deberta_v2,
    build_deberta_v2_nli,
    build_electra,
    build_modernbert,
    build_roberta,
    build_xlm_roberta,
)
from .generic_lm import (
    build_llama,
    build_llama_without_yes_no,
    build_qwen2_chatml,
    build_qwen2_known_roles,
)
from .hub_cache import hub_environment, lay_out_hub_cache
from .qwen2_vl import (
    build_jina_reranker_m0,
    build_lychee_rerank_mm,
    build_monoqwen2_vl,
    build_multimodal_qwen_logit_reranker,
)
from .qwen3 import QWEN3_INSTRUCTION, build_qwen3, build_qwen3_plain, build_qwen3_seq_cls
from .qwen3_5 import build_lighton_rerank_pw, build_prism_reranker
from .qwen3_vl import (
    QWEN3_VL_INSTRUCTION,
    build_qwen3_vl,
    build_qwen3_vl_one_template,
    build_qwen3_vl_plain,
)
from .t5 import build_mt5, build_t5, build_t5_v1_1

__all__ = [
    "QWEN3_INSTRUCTION",
    "QWEN3_VL_INSTRUCTION",
    "build_bert",
    "build_bert_nli",
    "build_deberta_v2",
    "build_deberta_v2_nli",
    "build_electra",
    "build_jina_reranker_m0",
    "build_lighton_rerank_pw",
    "build_llama",
    "build_llama_without_yes_no",
    "build_lychee_rerank_mm",
    "build_modernbert",
    "build_monoqwen2_vl",
    "build_mt5",
    "build_multimodal_qwen_logit_reranker",
    "build_prism_reranker",
    "build_qwen2_chatml",
    "build_qwen2_known_roles",
    "build_qwen3",
    "build_qwen3_plain",
    "build_qwen3_seq_cls",
    "build_qwen3_vl",
    "build_qwen3_vl_one_template",
    "build_qwen3_vl_plain",
    "build_roberta",
    "build_t5",
    "build_t5_v1_1",
    "build_xlm_roberta",
    "hub_environment",
    "lay_out_hub_cache",
]
