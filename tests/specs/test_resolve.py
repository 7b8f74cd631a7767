"""Each decision's order: user, checkpoint, processor folder, guess; and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmrerank.errors import InputError
from mmrerank.specs import HeadSpec, SpecOverrides, resolve
from tests.specs._facts import BERT, JUDGE, QWEN3, QWEN3_VL, facts_of, logit_score_files

IDENTITY = "torch.nn.modules.linear.Identity"
TANH = "torch.nn.modules.activation.Tanh"
VENDOR = SpecOverrides(processor="qwen3-reranker")
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


def _st_files(**changes: Any) -> dict[str, Any]:
    return {**logit_score_files(), "chat_template.jinja": TEMPLATE, **changes}


# ---------------------------------------------------------------- head


def test_head_of_the_checkpoint_wins_over_the_folder(tmp_path: Path) -> None:
    spec = resolve(facts_of(tmp_path, _st_files(), name="Qwen3-Reranker-0.6B"))
    assert (spec.head.kind, spec.head.true_token, spec.head.false_token) == ("logit-score", 7, 3)
    assert spec.sources["head"] == "checkpoint: modules.json"
    assert spec.family == "qwen3-reranker"


def test_head_of_the_users_processor_wins_over_the_checkpoint(tmp_path: Path) -> None:
    spec = resolve(facts_of(tmp_path, _st_files()), VENDOR)
    assert (spec.head.true_token, spec.head.false_token) == ("yes", "no")
    assert spec.sources["head"] == "user: qwen3-reranker"


def test_head_of_the_users_modules_wins_over_all(tmp_path: Path) -> None:
    spec = resolve(
        facts_of(tmp_path, _st_files()), SpecOverrides(head=HeadSpec("logit-score", true_token=1))
    )
    assert (spec.head.true_token, spec.sources["head"]) == (1, "user: modules")


def test_head_without_false_token_is_read(tmp_path: Path) -> None:
    changes = {"1_LogitScore/config.json": {"true_token_id": 9454, "false_token_id": None}}
    spec = resolve(facts_of(tmp_path, _st_files(**changes)))
    assert (spec.head.true_token, spec.head.false_token) == (9454, None)


def test_guessed_head_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = resolve(facts_of(tmp_path, {"config.json": QWEN3}, name="Qwen/Qwen3-0.6B"))
    assert spec.sources["head"] == "guess: causal-lm"
    assert "is a guess" in caplog.text


# ---------------------------------------------------------------- activation

NEW_PLACE = {"config_sentence_transformers.json": {"activation_fn": IDENTITY}}
OLDER_PLACE = {"sentence_transformers": {"activation_fn": TANH}}
OLDEST_PLACE = {"sbert_ce_default_activation_function": "torch.nn.modules.activation.ReLU"}


@pytest.mark.parametrize(
    ("files", "expected", "source"),
    [
        (
            {**NEW_PLACE, "config.json": {**BERT, **OLDER_PLACE, **OLDEST_PLACE}},
            IDENTITY,
            "checkpoint: config_sentence_transformers.json",
        ),
        ({"config.json": {**BERT, **OLDER_PLACE, **OLDEST_PLACE}}, TANH, "checkpoint: config.json"),
        (
            {"config.json": {**BERT, **OLDEST_PLACE}},
            "torch.nn.modules.activation.ReLU",
            "checkpoint: config.json",
        ),
        ({"config.json": BERT}, "", "default: sigmoid for one label, else identity"),
    ],
    ids=["new place", "older place", "oldest place", "none"],
)
def test_activation_is_looked_for_in_the_peers_places_in_order(
    files: dict[str, Any], expected: str, source: str, tmp_path: Path
) -> None:
    spec = resolve(facts_of(tmp_path, files))
    assert spec.head.activation == expected
    assert spec.sources["activation"] == source


def test_activation_of_the_folder_counts_where_the_checkpoint_has_none(tmp_path: Path) -> None:
    spec = resolve(facts_of(tmp_path, {"config.json": QWEN3}, name="Qwen3-Reranker-0.6B"))
    assert spec.head.activation == "sigmoid"
    assert spec.sources["activation"] == "processor: qwen3-reranker"


def test_activation_of_the_users_processor_wins_over_the_checkpoint(tmp_path: Path) -> None:
    spec = resolve(facts_of(tmp_path, _st_files(**NEW_PLACE)), VENDOR)
    assert (spec.head.activation, spec.sources["activation"]) == ("sigmoid", "user: qwen3-reranker")


# ---------------------------------------------------------------- template


def test_template_of_the_user_wins(tmp_path: Path) -> None:
    spec = resolve(facts_of(tmp_path, _st_files()), SpecOverrides(chat_template="{{ mine }}"))
    assert (spec.template.text, spec.sources["template"]) == ("{{ mine }}", "user")


def test_template_of_the_user_may_be_the_name_of_a_stored_one(tmp_path: Path) -> None:
    files = _st_files(**{"additional_chat_templates/other.jinja": "{{ other }}"})
    spec = resolve(facts_of(tmp_path, files), SpecOverrides(chat_template="other"))
    assert spec.template.text == "{{ other }}"


def test_template_of_the_st_form_wins_over_the_folder(tmp_path: Path) -> None:
    spec = resolve(facts_of(tmp_path, _st_files(), name="Qwen3-Reranker-0.6B"))
    assert (spec.template.kind, spec.template.text) == ("chat", TEMPLATE)
    assert (spec.template.content, spec.sources["template"]) == ("flat", "checkpoint")


def test_template_of_the_folder_wins_over_a_chat_template_without_st_form(tmp_path: Path) -> None:
    files = {"config.json": QWEN3, "chat_template.jinja": TEMPLATE}
    spec = resolve(facts_of(tmp_path, files, name="Qwen3-Reranker-0.6B"))
    assert "<Instruct>: " in spec.template.text
    assert spec.sources["template"] == "processor: qwen3-reranker"


def test_st_form_without_messages_is_a_tokenizer_pair(tmp_path: Path) -> None:
    transformer = {"transformer_task": "text-generation", "modality_config": {"text": {}}}
    spec = resolve(facts_of(tmp_path, _st_files(**{"sentence_bert_config.json": transformer})))
    assert spec.template.kind == "tokenizer-pair"


def test_checkpoint_kind_is_resolved_by_what_the_checkpoint_has(tmp_path: Path) -> None:
    bare = resolve(facts_of(tmp_path / "a", {"config.json": QWEN3}))
    chat = resolve(
        facts_of(tmp_path / "b", {"config.json": QWEN3, "chat_template.jinja": TEMPLATE})
    )
    assert (bare.template.kind, chat.template.kind) == ("tokenizer-pair", "chat")


LAYOUTS: dict[str, dict[str, Any]] = {
    "jinja files": {
        "chat_template.jinja": "{{ default }}",
        "additional_chat_templates/reranker.jinja": "{{ reranker }}",
    },
    "json dict": {
        "chat_template.json": {
            "chat_template": {"default": "{{ default }}", "reranker": "{{ reranker }}"}
        }
    },
    "tokenizer_config dict": {
        "tokenizer_config.json": {
            "chat_template": {"default": "{{ default }}", "reranker": "{{ reranker }}"}
        }
    },
    "tokenizer_config list": {
        "tokenizer_config.json": {
            "chat_template": [
                {"name": "default", "template": "{{ default }}"},
                {"name": "reranker", "template": "{{ reranker }}"},
            ]
        }
    },
    "both places": {
        "tokenizer_config.json": {"chat_template": "{{ old }}"},
        "chat_template.json": {"chat_template": {"reranker": "{{ reranker }}"}},
        "chat_template.jinja": "{{ default }}",
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_named_template_is_found_in_every_layout(layout: str, tmp_path: Path) -> None:
    facts = facts_of(tmp_path, {"config.json": QWEN3_VL, **LAYOUTS[layout]})
    assert facts.templates == {"default": "{{ default }}", "reranker": "{{ reranker }}"}
    assert facts.chosen_template == "{{ reranker }}"


def test_template_that_the_st_files_name_is_chosen(tmp_path: Path) -> None:
    files = _st_files(
        **LAYOUTS["jinja files"],
        **{"additional_chat_templates/mine.jinja": "{{ mine }}"},
    )
    files["sentence_bert_config.json"]["processing_kwargs"] = {
        "chat_template": {"chat_template": "mine", "add_generation_prompt": True}
    }
    spec = resolve(facts_of(tmp_path, files))
    assert spec.template.text == "{{ mine }}"
    assert spec.template.options == {"add_generation_prompt": True}


def test_template_written_into_the_st_files_is_taken(tmp_path: Path) -> None:
    files = _st_files()
    files["sentence_bert_config.json"]["processing_kwargs"] = {
        "chat_template": {"chat_template": "{{ inline }}"}
    }
    assert resolve(facts_of(tmp_path, files)).template.text == "{{ inline }}"


# ---------------------------------------------------------------- prompts, length, modalities


def test_prompts_of_the_user_are_laid_over_the_saved_ones(tmp_path: Path) -> None:
    saved = {"prompts": {"query": "saved", "other": "kept"}, "default_prompt_name": "query"}
    facts = facts_of(tmp_path, _st_files(**{"config_sentence_transformers.json": saved}))
    spec = resolve(facts, SpecOverrides(prompts={"query": ""}))
    assert spec.prompts == {"query": "", "other": "kept"}
    assert spec.default_prompt_name == "query"
    other = resolve(facts, SpecOverrides(default_prompt_name="other"))
    assert other.default_prompt_name == "other"


def test_unknown_default_prompt_is_refused_in_the_peers_words(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, {"config.json": BERT})
    with pytest.raises(InputError) as caught:
        resolve(facts, SpecOverrides(prompts={"a": "b"}, default_prompt_name="zz"))
    assert str(caught.value) == (
        "Default prompt name 'zz' not found in the configured prompts dictionary with keys ['a']."
    )


def test_users_processor_brings_no_saved_prompts(tmp_path: Path) -> None:
    saved = {"prompts": {"query": "saved"}, "default_prompt_name": "query"}
    facts = facts_of(tmp_path, _st_files(**{"config_sentence_transformers.json": saved}))
    spec = resolve(facts, VENDOR)
    assert (spec.prompts, spec.default_prompt_name) == ({}, None)


@pytest.mark.parametrize(
    ("user", "files", "expected", "source"),
    [
        (SpecOverrides(max_length=99), _st_files(), 99, "user"),
        (None, _st_files(), None, "checkpoint"),
        (None, {"config.json": QWEN3}, 8192, "processor: qwen3-reranker"),
        (VENDOR, _st_files(), 8192, "user: qwen3-reranker"),
    ],
    ids=["user", "st form", "folder", "user's folder"],
)
def test_max_length_comes_from_user_then_checkpoint_then_folder(
    user: SpecOverrides | None,
    files: dict[str, Any],
    expected: int | None,
    source: str,
    tmp_path: Path,
) -> None:
    spec = resolve(facts_of(tmp_path, files, name="Qwen3-Reranker-0.6B"), user)
    assert (spec.truncation.max_length, spec.sources["truncation"]) == (expected, source)


def test_truncation_rule_follows_the_template(tmp_path: Path) -> None:
    assert resolve(facts_of(tmp_path / "a", {"config.json": BERT})).truncation.rule == (
        "longest-first"
    )
    assert resolve(facts_of(tmp_path / "b", _st_files())).truncation.rule == "document"


def test_modalities_come_from_the_st_files_then_the_folder(tmp_path: Path) -> None:
    files = _st_files()
    files["sentence_bert_config.json"]["modality_config"] = {
        "video": {},
        "text": {},
        "image+text": {},
        "message": {"format": "structured"},
    }
    spec = resolve(facts_of(tmp_path / "a", files))
    assert spec.modalities == ("text", "video")
    plain = facts_of(tmp_path / "b", {"config.json": QWEN3_VL}, name="Qwen3-VL-Reranker-2B")
    assert resolve(plain).modalities == ("text", "image", "video")
    assert resolve(plain).sources["modalities"] == "processor: qwen3-vl-reranker"


VIDEO_SETTINGS = {"fps": 3, "min_frames": 6, "max_frames": 12, "temporal_patch_size": 2}


def test_budget_is_the_checkpoints_in_st_form_and_the_folders_else(tmp_path: Path) -> None:
    media = {"video_preprocessor_config.json": VIDEO_SETTINGS, "chat_template.jinja": JUDGE}
    st = resolve(facts_of(tmp_path / "a", {**_st_files(), "config.json": QWEN3_VL, **media}))
    assert (st.budget.image, st.budget.video) == (None, None)
    assert (st.budget.decode.fps, st.budget.decode.min_frames) == (3.0, 6)
    assert st.budget.decode.max_frames == 12
    folder = resolve(facts_of(tmp_path / "b", {"config.json": QWEN3_VL, **media}))
    assert folder.budget.image is not None
    assert (folder.budget.image.min_pixels, folder.budget.image.max_pixels) == (4096, 1_843_200)
    assert (folder.budget.decode.fps, folder.budget.decode.max_frames) == (1.0, 64)


def test_every_decision_has_a_source(tmp_path: Path) -> None:
    for name, files in (("a", {"config.json": BERT}), ("b", _st_files())):
        sources = resolve(facts_of(tmp_path / name, files)).sources
        assert set(sources) >= {
            "head",
            "activation",
            "template",
            "modalities",
            "budget",
            "truncation",
        }
        assert all(sources.values())
