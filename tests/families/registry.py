"""Every family with a builder of a tiny checkpoint of it; a new family adds its line here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mmrerank
from tests import checkpoints
from tests.checkpoints import layerwise, llm_rerankers, vendors_code
from tests.checkpoints.jina_v3 import build_jina_v3, build_jina_v35
from tests.checkpoints.kalm import build_kalm
from tests.checkpoints.lighton_lw import build_lighton_rerank_lw
from tests.checkpoints.nemotron import build_nemotron
from tests.checkpoints.nemotron_vl import build_nemotron_vl
from tests.checkpoints.omni import build_qwen2_5_omni, build_qwen3_omni
from tests.checkpoints.restated_encoders import build_gte, build_jina_v2

__all__ = ["FAMILIES", "load_options", "named"]

_EMBEDDED = Path(mmrerank.__file__).parent / "checkpoints" / "tiny-omni"
_ST_FILES = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")


def named(name: str, build: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """The builder, in a subfolder of this name: for families that are known by the repository's."""
    return lambda folder: build(folder / name)


def _copy_embedded(folder: Path) -> Path:
    return Path(shutil.copytree(_EMBEDDED, folder, dirs_exist_ok=True))


def _build_plain_thinker(folder: Path) -> Path:
    """The embedded model's weights without sentence-transformers files and without its template."""
    _copy_embedded(folder)
    for file in (*_ST_FILES, "chat_template.jinja"):
        (folder / file).unlink()
    shutil.rmtree(folder / "1_LogitScore")
    return folder


def _build_chain(folder: Path) -> Path:
    from tests.cross_encoder._chain import build_chain  # imports the peer, which takes seconds

    return build_chain(folder)


# Name of the processor folder, or name:form -> builder. A builder writes into the folder that it is
# given (a new one, or one below it) and returns where the checkpoint lies.
FAMILIES: dict[str, Callable[[Path], Path]] = {
    "causal-lm:chatml": checkpoints.build_qwen2_chatml,
    "causal-lm:no-template": checkpoints.build_llama,
    "jina-reranker-m0": checkpoints.build_jina_reranker_m0,
    "jina-reranker-v3": build_jina_v3,
    "jina-reranker-v3.5": build_jina_v35,
    "kalm-reranker": named("KaLM-Reranker-V1-Nano", build_kalm),
    "kalm-reranker:st": named("KaLM-Reranker-V1-Small-R2", partial(build_kalm, with_st_files=True)),
    "lighton-rerank-lw": named("LightOn-rerank-LW-0.8B", build_lighton_rerank_lw),
    "lighton-rerank-lw-4b": named(
        "LightOn-rerank-LW-4B", partial(build_lighton_rerank_lw, thinks=True)
    ),
    "lighton-rerank-pw": named("LightOn-rerank-PW-0.8B", checkpoints.build_lighton_rerank_pw),
    "lychee-rerank-mm": named("lychee-rerank-mm", checkpoints.build_lychee_rerank_mm),
    "monoqwen2-vl": named("MonoQwen2-VL-v0.1", checkpoints.build_monoqwen2_vl),
    "monot5": named("monot5-base-msmarco", checkpoints.build_t5),
    "mt5-mmarco": named("mt5-base-mmarco-v2", checkpoints.build_mt5),
    "mt5-mmarco-large": named("mt5-13b-mmarco-100k", checkpoints.build_mt5),
    "multimodal-qwen-logit-reranker": named(
        "MultimodalQwenLogitReranker-3B", checkpoints.build_multimodal_qwen_logit_reranker
    ),
    "ptt5-msmarco": named("ptt5-base-pt-msmarco-100k-v2", checkpoints.build_t5),
    "rankt5": named("RankT5-base", checkpoints.build_t5),
    "qwen2.5-omni": named("thinker", _build_plain_thinker),
    "qwen2.5-omni:whole": partial(build_qwen2_5_omni, form="whole"),
    "qwen3-omni": build_qwen3_omni,
    "qwen3-omni:whole": partial(build_qwen3_omni, form="whole"),
    "qwen3-reranker": named("Qwen3-Reranker-0.6B", checkpoints.build_qwen3_plain),
    "qwen3-reranker:st": checkpoints.build_qwen3,
    "qwen3-reranker-seq-cls": named("Qwen3-Reranker-0.6B-seq-cls", checkpoints.build_qwen3_seq_cls),
    "qwen3-reranker-seq-cls:st": partial(checkpoints.build_qwen3_seq_cls, with_st_files=True),
    "qwen3-vl-reranker": named("Qwen3-VL-Reranker-2B", checkpoints.build_qwen3_vl_plain),
    "qwen3-vl-reranker:st": checkpoints.build_qwen3_vl,
    "qwen3-vl-reranker:st-chat-template-json": partial(
        checkpoints.build_qwen3_vl, template_layout="legacy-json"
    ),
    "qwen3-vl-reranker:st-one-template": checkpoints.build_qwen3_vl_one_template,
    "qwen3-vl-reranker:st-tokenizer-json": partial(
        checkpoints.build_qwen3_vl, template_layout="tokenizer-json"
    ),
    "sequence-classification:bert": checkpoints.build_bert,
    "sequence-classification:modernbert": checkpoints.build_modernbert,
    "sequence-classification:xlm-roberta": checkpoints.build_xlm_roberta,
    "tiny-omni": named("tiny-omni", _copy_embedded),
    "bge-reranker-gemma": named("bge-reranker-v2-gemma", llm_rerankers.build_bge_gemma),
    "bge-reranker-gemma2-lightweight": named(
        "bge-reranker-v2.5-gemma2-lightweight", partial(layerwise.build_bge_gemma2, num_layers=28)
    ),
    "bge-reranker-minicpm-layerwise": named(
        "bge-reranker-v2-minicpm-layerwise", partial(layerwise.build_bge_minicpm, num_layers=28)
    ),
    "contextual-rerank-v2": named(
        "ctxl-rerank-v2-instruct-multilingual-1b", llm_rerankers.build_contextual
    ),
    "contextual-rerank-v2:mistral": named(
        "ctxl-rerank-v2-instruct-multilingual-6b",
        partial(llm_rerankers.build_contextual, architecture="mistral"),
    ),
    "followir": named("FollowIR-7B", llm_rerankers.build_followir),
    "mxbai-rerank-v2": named("mxbai-rerank-base-v2", llm_rerankers.build_mxbai),
    "zerank-1": named("zerank-1", llm_rerankers.build_zerank),
    "zerank-2": named("zerank-2", llm_rerankers.build_zerank),
    "zerank-2:st": named("zerank-2", partial(llm_rerankers.build_zerank, with_st_files=True)),
    "bce-reranker": named("bce-reranker-base_v1", checkpoints.build_xlm_roberta),
    "bge-reranker": named("bge-reranker-v2-m3", checkpoints.build_xlm_roberta),
    "ettin-reranker": named("ettin-reranker-17m-v1", _build_chain),
    "granite-reranker": named(
        "granite-embedding-reranker-english-r2",
        partial(checkpoints.build_modernbert, classifier_pooling="cls"),
    ),
    "gte-reranker-modernbert": named("gte-reranker-modernbert-base", checkpoints.build_modernbert),
    "ms-marco": named("ms-marco-MiniLM-L6-v2", checkpoints.build_bert),
    "mxbai-rerank-v1": named("mxbai-rerank-base-v1", checkpoints.build_deberta_v2),
    "nli": named("nli-deberta-v3-base", checkpoints.build_deberta_v2_nli),
    "stsb": named("stsb-distilroberta-base", checkpoints.build_roberta),
    "gte-multilingual-reranker": named("gte-multilingual-reranker-base", build_gte),
    "jina-reranker-v1": named("jina-reranker-v1-tiny-en", vendors_code.build_own_bert),
    "jina-reranker-v2": named("jina-reranker-v2-base-multilingual", build_jina_v2),
    "nemotron-rerank": named("llama-nemotron-rerank-1b-v2", build_nemotron),
    "nemotron-rerank-vl": named("llama-nemotron-rerank-vl-1b-v2", build_nemotron_vl),
    "prism-reranker": named(
        "Prism-Qwen3.5-Reranker-0.8B",
        partial(checkpoints.build_prism_reranker, with_st_files=False),
    ),
    "prism-reranker:st": named("Prism-Qwen3.5-Reranker-0.8B", checkpoints.build_prism_reranker),
    "prism-reranker:qwen3": named(
        "Prism-Qwen3-Reranker-4B-exp",
        partial(checkpoints.build_prism_reranker, with_st_files=False, backbone="qwen3"),
    ),
    "rank-llama": named("some-llama", llm_rerankers.build_rank_llama),
}

# What a caller says beside the name of the checkpoint.
_TRUSTED = {"trust_remote_code": True}
_OPTIONS: dict[str, dict[str, Any]] = {
    "jina-reranker-v1": _TRUSTED,
    "nemotron-rerank": _TRUSTED,
    "nemotron-rerank-vl": _TRUSTED,
    "rank-llama": {"processor": "rank-llama"},
}


def load_options(name: str) -> dict[str, Any]:
    """Arguments that a line of the registry is loaded with."""
    return _OPTIONS.get(name, {})
