"""jina-reranker-m0: the vendor's Python files said in plain data, and never run."""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from mmrerank.specs.folders import find_processor, processor_folders
from tests import checkpoints
from tests.cross_encoder._samples import assert_same_scores
from tests.families._pictures import picture
from tests.recipes import jina_reranker_m0

CAT, ROCKET = picture("cat"), picture("rocket", 300)
QUERY = "Which animal is in the picture?"
PAIRS: list[tuple[Any, Any]] = [
    (QUERY, "A woman plays the violin in front of the station."),
    (QUERY, CAT),
    (QUERY, ROCKET),
    (ROCKET, "The museum of the town is closed on Monday."),
    (CAT, ROCKET),
    ("§ 4 of the report", "Rain fell on § 5, all night."),
]
# The peer hands pictures to the prompt in the order query, document, whatever the template's.
PEER_PAIRS = [pair for pair in PAIRS if pair != (CAT, ROCKET)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build_jina_reranker_m0(tmp_path_factory.mktemp("m0") / "jina-reranker-m0")


@pytest.fixture(scope="module")
def model(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy that the test may change."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def _expected(folder: Path) -> list[float]:
    logits = [jina_reranker_m0.score(folder, *pair) for pair in PAIRS]
    return [1 / (1 + math.exp(-logit)) for logit in logits]


def test_scores_are_those_of_the_vendors_modeling_file(folder: Path, model: CrossEncoder) -> None:
    assert_same_scores(model.predict(PAIRS), _expected(folder))


def test_scale_logit_gives_what_stands_before_the_sigmoid_with_the_bias_in_it(folder: Path) -> None:
    logits = CrossEncoder(str(folder), device="cpu", scale="logit").predict(PAIRS)
    assert_same_scores(logits, [jina_reranker_m0.score(folder, *pair) for pair in PAIRS])


def test_prompt_ends_in_the_score_token(model: CrossEncoder) -> None:
    assert model.preprocess([PAIRS[0]])["input_ids"][0, -1] == 100


def test_instruction_stands_as_the_vendors_prefix_in_front(
    folder: Path, model: CrossEncoder
) -> None:
    logit = jina_reranker_m0.score(folder, *PAIRS[1], prefix="Find animals.")
    score = model.predict([PAIRS[1]], instruction="Find animals.")
    assert_same_scores(score, [1 / (1 + math.exp(-logit))])


def test_large_pictures_are_kept_within_the_vendors_pixels(
    folder: Path, model: CrossEncoder
) -> None:
    """1400 x 933 px would be 1,650 tokens; the vendor allows 768."""
    pair = (QUERY, picture("flower", 1400))
    score, detail = model.predict(pair, return_details=True)
    assert 700 < detail.num_tokens < 768 + 60
    assert_same_scores(score, 1 / (1 + math.exp(-jina_reranker_m0.score(folder, *pair))))


def test_over_long_documents_are_cut_as_the_vendor_cuts_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a limit of 40 tokens in the place of 9,728, which is the same rule."""
    monkeypatch.setattr(jina_reranker_m0, "_MAX_DOCUMENT_TOKENS", 40)
    [own] = [path for path in processor_folders() if path.name == "jina-reranker-m0"]
    family = Path(shutil.copytree(own, tmp_path / "family"))
    toml = (family / "processor.toml").read_text()
    assert toml.count("max_document_tokens = 9728") == 1
    (family / "processor.toml").write_text(toml.replace("tokens = 9728", "tokens = 40"))
    pair = (QUERY, "The train to the mountains stops at every village " * 9)
    model = CrossEncoder(str(folder), device="cpu", processor=family, scale="logit")
    score, detail = model.predict(pair, return_details=True)
    assert detail.truncated
    assert_same_scores(score, jina_reranker_m0.score(folder, *pair))


def test_weights_in_several_files_score_alike(model: CrossEncoder, tmp_path: Path) -> None:
    parts = checkpoints.build_jina_reranker_m0(tmp_path / "parts", num_files=2)
    assert not (parts / "model.safetensors").exists()
    assert_same_scores(
        CrossEncoder(str(parts), device="cpu").predict(PAIRS[:2]), model.predict(PAIRS[:2])
    )


def test_checkpoint_without_the_head_is_refused_and_the_weights_are_named(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith("score.2")}
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lack score\.2\.weight"):
        CrossEncoder(str(copy), device="cpu")


def test_head_whose_layers_do_not_fit_is_refused_with_their_sizes(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["score.2.weight"] = weights["score.2.weight"][:, :7].contiguous()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"score\.2 \(1, 7\)"):
        CrossEncoder(str(copy), device="cpu")


def test_trusted_code_is_not_run_and_that_is_said(
    folder: Path, model: CrossEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="mmrerank"):
        trusted = CrossEncoder(str(folder), device="cpu", trust_remote_code=True)
    assert "its Python files are not run" in caplog.text
    assert_same_scores(trusted.predict(PAIRS[:2]), model.predict(PAIRS[:2]))


@pytest.mark.parametrize(
    "module",
    ["modeling.JinaVLTransformer", "sentence_transformers.base.modules.transformer.Transformer"],
)
def test_st_files_that_ask_for_remote_code_do_not_decide(
    copy: Path, model: CrossEncoder, module: str
) -> None:
    """The published ones do, since April 2026: their scores leave the code's own sigmoid."""
    entry = {"idx": 0, "name": "0", "path": "", "type": module}
    (copy / "modules.json").write_text(json.dumps([entry]))
    (copy / "config_sentence_transformers.json").write_text(
        json.dumps(
            {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"}
        )
    )
    again = CrossEncoder(str(copy), device="cpu")
    assert again.describe()["family"] == "jina-reranker-m0"
    assert_same_scores(again.predict(PAIRS[:2]), model.predict(PAIRS[:2]))


@pytest.fixture(scope="module")
def saved(model: CrossEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    model.save_pretrained(str(folder))
    return folder


def test_saved_model_scores_alike_in_both_libraries(saved: Path, model: CrossEncoder) -> None:
    """The score token is a byte that no template can write; the saved tokenizer appends it."""
    expected = model.predict(PEER_PAIRS)
    assert_same_scores(CrossEncoder(str(saved), device="cpu").predict(PEER_PAIRS), expected)
    assert_same_scores(Peer(str(saved), device="cpu").predict(PEER_PAIRS), expected)


def test_saved_model_keeps_pictures_on_both_sides_apart(saved: Path, model: CrossEncoder) -> None:
    again = CrossEncoder(str(saved), device="cpu")
    assert_same_scores(again.predict([(CAT, ROCKET)]), model.predict([(CAT, ROCKET)]))


def test_saved_model_asks_for_no_remote_code(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    assert "auto_map" not in config
    assert config["architectures"] == ["Qwen2VLModel"]


def test_saving_leaves_the_tokenizer_in_memory_as_it_was(saved: Path, model: CrossEncoder) -> None:
    assert model.tokenizer("word")["input_ids"][-1] != 100


def test_family_states_the_vendors_numbers() -> None:
    spec = find_processor("jina-reranker-m0")
    assert (spec.head.bias, spec.head.weights) == (-2.65, ("score.0", "score.2"))
    assert spec.budget.image is not None
    assert spec.budget.image.max_pixels == 768 * 28 * 28
