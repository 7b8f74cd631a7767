"""Train/serve skew check: our fast path against the processor's own path, per modality."""

from __future__ import annotations

import copy

import numpy as np
import torch
from PIL import Image

from .batches import Media, Row, collate, forward_scores
from .draw import draw_clip, draw_picture
from .fast_towers import use_fast_towers
from .features import patchify
from .model import build_model, build_processor
from .sounds import make_sound
from .tokenizer import token_id, train_tokenizer
from .world import all_scenes

__all__ = ["main"]


def main() -> None:
    """Assert equal token ids, features and yes/no logits for text, picture, sound and clip."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tokenizer = train_tokenizer()
    processor = build_processor(tokenizer)
    model = build_model(tokenizer).eval()
    fast = copy.deepcopy(model)
    use_fast_towers(fast)
    picture = draw_picture(all_scenes("picture", held_out=False)[5], rng)
    clip = draw_clip(all_scenes("clip", held_out=False)[7], rng)
    sound = make_sound(all_scenes("sound", held_out=False)[3], rng)
    cases = {
        "text": ("a red circle", None),
        "image": ({"type": "image", "image": Image.fromarray(picture)},
                  Media.from_frames(picture[None])),
        "video": ({"type": "video", "video": clip}, Media.from_frames(clip)),
        "audio": ({"type": "audio", "audio": sound}, Media.from_samples(sound)),
    }  # fmt: skip
    for name, (item, media) in cases.items():
        text = "a thing" if media is None else ""
        content = [item] if media is not None else [{"type": "text", "text": text}]
        messages = [
            {"role": "query", "content": [{"type": "text", "text": "two low tones"}]},
            {"role": "document", "content": content},
        ]
        theirs = processor.apply_chat_template(
            [messages], tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip
        ours = collate([Row("two low tones", (media or text,), 1.0)], tokenizer)
        expected, got = theirs["input_ids"].tolist(), ours.input_ids.tolist()
        assert expected == got, (name, tokenizer.decode(expected[0]), tokenizer.decode(got[0]))
        _compare_features(theirs, ours.media)
        with torch.no_grad():
            logits = model(**theirs).logits[:, -1]
            yes, no = token_id(tokenizer, "yes"), token_id(tokenizer, "no")
            scores = forward_scores(fast, ours, (yes, no))[0]
            gap = float((logits[:, yes] - logits[:, no] - scores).abs())
        assert gap < 1e-4, (name, gap)
        print(f"{name}: equal, {theirs['input_ids'].shape[1]} tokens, gap {gap:.1e}")


def _compare_features(theirs: dict[str, torch.Tensor], media: list[Media]) -> None:
    for one in media:
        if one.kind == "audio":
            mine = theirs["input_features"][0][:, : one.array.shape[1]].numpy()
            assert int(theirs["feature_attention_mask"].sum()) == one.array.shape[1]
            np.testing.assert_allclose(mine, one.array, atol=1e-4)
            continue
        key = "pixel_values" if one.kind == "image" else "pixel_values_videos"
        np.testing.assert_allclose(theirs[key].numpy(), patchify(one.array)[0], atol=1e-5)


if __name__ == "__main__":
    main()
