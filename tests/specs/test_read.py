"""processor.toml: what is wrong is named with file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrerank.errors import SpecError
from mmrerank.specs import find_processor, list_processors, processor_folders, read_processor

GOOD = """
title = "A family"
link = "https://example.org"
modalities = ["text", "image"]

[match]
model_types = ["bert"]

[template]
kind = "tokenizer-pair"

[head]
kind = "logit-score"
true_token = "yes"

[budget.image]
min_pixels = 4096
max_pixels = 8192

[budget.decode]
fps = 2
max_frames = 8

[truncation]
max_length = 100
"""


def _write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "processor.toml").write_text(text, encoding="utf-8")
    return folder


def test_good_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    spec = read_processor(_write(tmp_path / "family", GOOD))
    assert spec.name == "family"
    assert spec.modalities == ("text", "image")
    assert spec.match.model_types == ("bert",)
    assert (spec.head.true_token, spec.head.false_token) == ("yes", None)
    assert spec.budget.image is not None
    assert (spec.budget.image.min_pixels, spec.budget.image.max_pixels) == (4096, 8192)
    assert spec.budget.video is None
    assert (spec.budget.decode.fps, spec.budget.decode.max_frames) == (2, 8)
    assert spec.truncation.max_length == 100
    assert (spec.guess, spec.dtype) == (False, "")


MISTAKES = {
    "unknown top key": ("link =", "lnik =", r"unknown key 'lnik'; did you mean 'link'"),
    "unknown key": ("true_token", "true_tokn", r"\[head\].*'true_tokn'; did you mean 'true_token'"),
    "unknown far key": (
        "max_length",
        "zzz",
        r"\[truncation\].*'zzz'; known keys: bounds_media, max_document_share, ",
    ),
    "unknown section": ("[budget.decode]", "[budget.sound]", r"\[budget\].*'sound'; known keys"),
    "wrong literal": ('"tokenizer-pair"', '"string"', r"\[template\] kind = 'string'.*'chat'"),
    "wrong head kind": ('"logit-score"', '"mpl"', r"\[head\] kind = 'mpl': allowed are"),
    "number for text": ('"A family"', "3", r"title = 3: needs str, got int"),
    "text for number": (
        "max_frames = 8",
        'max_frames = "8"',
        r"max_frames = '8': needs int, got str",
    ),
    "true for number": ("max_frames = 8", "max_frames = true", r"max_frames = True: needs int"),
    "text for list": ('["bert"]', '"bert"', r"\[match\] model_types = 'bert'"),
    "number in list": ('["bert"]', "[3]", r"\[match\] model_types"),
    "unknown modality": ('"image"]', '"smell"]', r"\['smell'\] are not among text, image"),
    "no head token": ('true_token = "yes"', "", r'"logit-score" needs true_token'),
    "turned pixels": ("max_pixels = 8192", "max_pixels = 1", r"\[budget.image\].*min_pixels <="),
    "missing title": ('title = "A family"', "", r"needs title"),
    "no toml": ("title =", "title = =", r"processor\.toml: "),
    "negative limit": ("max_length = 100", "max_length = -1", r"\[truncation\].*max_length"),
    "missing template file": ("[head]", 'file = "none.jinja"\n[head]', r"file = 'none\.jinja'"),
    "chat without file": ('"tokenizer-pair"', '"chat"', r'"chat" needs file ='),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named_with_file_and_key(name: str, tmp_path: Path) -> None:
    old, new, words = MISTAKES[name]
    assert GOOD.count(old) == 1
    folder = _write(tmp_path / "family", GOOD.replace(old, new))
    with pytest.raises(SpecError, match=words) as caught:
        read_processor(folder)
    assert str(folder / "processor.toml") in str(caught.value)


def test_folder_without_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=rf"{tmp_path}.*needs a processor\.toml"):
        read_processor(tmp_path)


def test_template_file_is_read_beside_the_toml(tmp_path: Path) -> None:
    text = GOOD.replace('"tokenizer-pair"', '"chat"\nfile = "t.jinja"')
    folder = _write(tmp_path / "family", text)
    (folder / "t.jinja").write_text("{{ messages }}", encoding="utf-8")
    assert read_processor(folder).template.text == "{{ messages }}"


_PAIR_METHOD = """
[pair_method]
name = "process_pairs"
query = "q"
text = "t"
image = "i"
placeholder = "<picture>"
options = { padding = false }
"""


def test_pair_method_is_read_with_its_fields(tmp_path: Path) -> None:
    text = GOOD.replace('"tokenizer-pair"', '"chat"\nfile = "t.jinja"') + _PAIR_METHOD
    folder = _write(tmp_path / "family", text)
    (folder / "t.jinja").write_text("{{ messages }}", encoding="utf-8")
    method = read_processor(folder).pair_method
    assert method is not None
    assert (method.name, method.query, method.image) == ("process_pairs", "q", "i")
    assert (method.options, method.processor) == ({"padding": False}, {})


def test_pair_method_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r'\[pair_method\] .* needs \[template\] of kind = "chat"'):
        read_processor(_write(tmp_path / "family", GOOD + _PAIR_METHOD))


@pytest.mark.parametrize("folder", processor_folders(), ids=lambda folder: folder.name)
def test_every_folder_of_the_package_is_read(folder: Path) -> None:
    spec = read_processor(folder)
    assert spec.name == folder.name
    assert spec.title
    assert spec.link.startswith("https://")


def test_list_names_every_family() -> None:
    names = [spec.name for spec in list_processors()]
    assert names == sorted(folder.name for folder in processor_folders())
    assert {"causal-lm", "ms-marco", "qwen3-vl-reranker", "sequence-classification"} <= set(names)


def test_processor_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert find_processor("qwen3-reranker").title == "Qwen3-Reranker"
    own = _write(tmp_path / "own", GOOD)
    assert find_processor(own).name == find_processor(str(own)).name == "own"


def test_unknown_processor_is_refused_with_the_names() -> None:
    with pytest.raises(
        SpecError, match=r"'qwen9' is neither .*qwen3-reranker.*mmrerank processors"
    ):
        find_processor("qwen9")


def test_folder_for_an_encoder_decoder_says_so_in_both_places(tmp_path: Path) -> None:
    section = "\n[encoder_decoder]\nchunk_size = 4\n"
    with pytest.raises(SpecError, match=r'tokenize = "decoder" needs \[encoder_decoder\]'):
        read_processor(_write(tmp_path / "family", GOOD + section))


def test_chunks_of_no_tokens_are_refused(tmp_path: Path) -> None:
    section = "\n[encoder_decoder]\nchunk_size = 0\n"
    with pytest.raises(SpecError, match=r"\[encoder_decoder\] chunk_size=0: needs a number"):
        read_processor(_write(tmp_path / "family", GOOD + section))
