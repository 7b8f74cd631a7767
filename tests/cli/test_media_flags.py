"""Flags of the media policy on the commands that open media."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from mmrerank import MediaPolicy
from mmrerank.cli._media import _SWITCH, MEDIA_FLAGS, MediaFlags


def test_every_field_of_the_policy_has_a_flag():
    assert list(MEDIA_FLAGS) == [field.name for field in fields(MediaPolicy)]


def test_flags_without_a_value_are_those_of_fields_that_are_true_or_false():
    switches = {name for name, (metavar, _) in MEDIA_FLAGS.items() if metavar == _SWITCH}
    assert switches == {f.name for f in fields(MediaPolicy) if isinstance(f.default, bool)}


@pytest.mark.parametrize("command", ["rank", "score"])
def test_help_lists_them_in_a_part_of_their_own(run, command: str):
    before, _, after = run(command, "--help").out.partition("\nMedia (")
    assert "--media-" not in before
    assert "--help" in before
    flags = {word for word in after.split() if word.startswith("--media-")}
    assert flags >= {f"--media-{name.replace('_', '-')}" for name in MEDIA_FLAGS}
    assert {"--media-policy", "--fast-decode"} <= {*flags, *after.split()}


def test_flag_wins_over_the_variable_and_the_variable_over_the_base(monkeypatch):
    monkeypatch.setenv("MMRERANK_MEDIA_MAX_PAGES", "7")
    monkeypatch.setenv("MMRERANK_MEDIA_MAX_PIXELS", "1000")
    policy = MediaFlags("server", {"max_pixels": "2000", "hosts": "a.org,*.b.org"}).policy()
    assert (policy.max_pages, policy.max_pixels) == (7, 2_000)
    assert policy.hosts == ("a.org", "*.b.org")
    assert policy.max_frames == MediaPolicy.server().max_frames
    assert policy.allow_local_files is False


def test_no_flag_is_the_default_of_the_library():
    assert MediaFlags().policy() == MediaPolicy.from_environment()


def test_limit_holds_for_the_documents_of_rank(run, picture_model, media):
    picture = media / "cat.jpg"
    ran = run("rank", "a cat", picture, "-m", picture_model, "--media-max-pixels", "100")
    assert (ran.code, ran.out) == (2, "")
    assert "the policy allows 100" in ran.err


def test_limit_holds_for_the_pairs_of_score(run, picture_model, media, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"query": "a cat", "document": {"image": str(media / "cat.jpg")}}))
    allowed = run("score", pairs, "-m", picture_model)
    refused = run("score", pairs, "-m", picture_model, "--media-max-bytes", "10")
    assert (allowed.code, refused.code) == (0, 1)
    assert "MediaTooLarge" in json.loads(refused.out)["error"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--no-media-allow-local-files"],
        ["--media-policy", "public"],
        ["--media-formats", "png"],
    ],
)
def test_file_that_the_flags_forbid_is_refused(run, picture_model, media, flags):
    ran = run("rank", "a cat", media / "cat.jpg", "-m", picture_model, *flags)
    assert ran.code == 2
    assert "documents[0].image" in ran.err


def test_switch_turns_on_what_the_base_forbids(run, picture_model, media):
    flags = ["--media-policy", "server", "--media-allow-local-files"]
    flags += ["--media-schemes", "https,file"]
    ran = run("rank", "a cat", media / "cat.jpg", "-m", picture_model, *flags)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--media-max-pixels", "many"], "--media-max-pixels='many': expected a number"),
        (["--media-max-pixels", "-1"], "max_pixels=-1"),
        (["--media-formats", "docx"], "docx"),
        (["--media-policy", "open"], "'open'"),
        (["--media-max-pixel", "3"], "--media-max-pixels"),
    ],
)
def test_flag_that_cannot_be_read_is_named_in_one_line(run, text_model, flags, message):
    ran = run("rank", "a query", "a document", "-m", text_model, *flags)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_fast_decode_reaches_the_model(run, picture_model, media, monkeypatch):
    import mmrerank

    seen = []

    class Watched(mmrerank.CrossEncoder):
        def __init__(self, *args, **kwargs):
            seen.append(kwargs["fast_decode"])
            super().__init__(*args, **kwargs)

    monkeypatch.setattr("mmrerank.CrossEncoder", Watched, raising=False)
    arguments = ["rank", "a cat", media / "cat.jpg", "-m", picture_model]
    assert run(*arguments, "--fast-decode").code == 0
    assert run(*arguments).code == 0
    assert seen == [True, None]
