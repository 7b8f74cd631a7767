"""Pictures by a vendor's processor that takes nothing but whole pairs; the prompt stays ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from mmrerank.caching import ByteLRU
from mmrerank.errors import CheckpointError, InputError, MediaUnreadable, shorten
from mmrerank.locks import CopyableLock
from mmrerank.prompting.chat import ChatEncoder
from mmrerank.prompting.expand import Features
from mmrerank.prompting.features import TEXT_FIELDS, MediaFeature
from mmrerank.specs import PairMethodSpec
from mmrerank.types import (
    DecodedImage,
    EncodedGroup,
    LoadedDocument,
    LoadedMedia,
    LoadedPair,
    MediaKey,
    Modality,
    Text,
)

__all__ = ["PairMethod", "PairMethodPreparer", "VendorsEncoder", "warn_of_another_prompt"]

logger = logging.getLogger(__name__)

_SAMPLE = ("Which train?", "The one to the mountains.")


class PairMethod:
    """The method of a vendor's processor that makes a whole pair ready for its model.

    Raises CheckpointError where the processor has no such method.
    """

    def __init__(self, processor: Any, spec: PairMethodSpec) -> None:
        call = getattr(processor, spec.name, None)
        if call is None:
            raise CheckpointError(
                f"the checkpoint's {type(processor).__name__} has no method {spec.name!r}, which "
                "prepares its pairs. It is another revision than the one known here: pass "
                "revision=..., or another processor=..."
            )
        self._call: Callable[..., Mapping[str, Any]] = call
        self._spec = spec
        # Such methods keep the prompt in the making and the tokenizer's rules on themselves.
        self._lock = CopyableLock()

    def __call__(
        self, query: str = "", text: str = "", image: Image.Image | None = None
    ) -> Mapping[str, Any]:
        """What the model takes of one pair: input_ids (1, num_tokens), neither padded nor cut."""
        spec = self._spec
        fields = {spec.query: query, spec.text: text, spec.image: "" if image is None else image}
        with self._lock:
            return self._call([fields], **spec.options)


class PairMethodPreparer:
    """Asks for a pair of a picture alone, each distinct picture once, and counts its tokens.

    Raises CheckpointError where the tokenizer does not know the placeholder.
    """

    def __init__(
        self,
        method: PairMethod,
        placeholder: str,
        tokenizer: Any,
        *,
        max_cache_bytes: int = 256 << 20,
    ) -> None:
        token_id = tokenizer.convert_tokens_to_ids(placeholder)
        if token_id is None or token_id == tokenizer.unk_token_id:
            raise CheckpointError(
                f"the tokenizer has no token {placeholder!r}, which stands for pictures. It is "
                "another kind of model than its config.json says."
            )
        self._method = method
        self._token_id = int(token_id)
        self._cache: ByteLRU[MediaKey, MediaFeature] = ByteLRU(
            max_cache_bytes, lambda feature: feature.num_bytes
        )
        self.placeholders: dict[Modality, str] = {"image": placeholder}
        self.token_types = {self._token_id: 1}

    def prepare(self, loaded: LoadedMedia) -> MediaFeature:
        """Tensors and expansion of one picture; the same key gives the same object while it is
        cached.

        Raises MediaUnreadable with the processor's words where it refuses the picture.
        """
        return self._cache.get_or_make(loaded.key, lambda: self._make(loaded))

    def _make(self, loaded: LoadedMedia) -> MediaFeature:
        assert isinstance(loaded.media, DecodedImage), "other media were refused before"
        image = Image.fromarray(loaded.media.pixels)
        size = f"{image.width}x{image.height} px"
        try:
            output = self._method(image=image)
        except (ValueError, TypeError, RuntimeError) as error:
            raise MediaUnreadable(
                f"the model's own processor refuses this image ({size}): {shorten(str(error))}"
            ) from error
        num_tokens = sum(int(token) == self._token_id for token in output["input_ids"][0])
        if num_tokens == 0:
            raise MediaUnreadable(
                f"the model's own processor makes no token of this image ({size}). Leave it out, "
                "or give a larger one."
            )
        tensors = {
            name: value
            for name, value in output.items()
            if name not in TEXT_FIELDS and isinstance(value, Tensor)
        }
        expansion = self.placeholders["image"] * num_tokens
        return MediaFeature(loaded.key, expansion, num_tokens, tensors)


class VendorsEncoder:
    """A chat encoder for models whose own processor writes the whole prompt: the template says the
    same (see `warn_of_another_prompt`), and a document holds one picture at most.
    """

    def __init__(self, chat: ChatEncoder) -> None:
        self._chat = chat
        self.token_types = chat.token_types

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Prepare each distinct picture of these pairs once.

        Raises InputError for a document of several pictures: the vendor's pairs hold one.
        """
        for pair in pairs:
            num_media = sum(isinstance(part, LoadedMedia) for part in pair.document.parts)
            if num_media > 1:
                raise InputError(
                    f"the document holds {num_media} images, this model takes one a document. Give "
                    "each as a document of its own."
                )
        return self._chat.features_of(pairs)

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One group a pair; what is cut of an over-long one is text, never a picture."""
        return self._chat.encode(pairs, features)

    def prompt(self, pair: LoadedPair) -> str:
        """The rendered prompt; a picture stands as one placeholder."""
        return self._chat.prompt(pair)


def warn_of_another_prompt(chat: ChatEncoder, method: PairMethod, model_name: str) -> None:
    """Log a warning where the vendor's processor writes a pair of texts otherwise than `chat`, an
    encoder without limits.

    Raises CheckpointError where it refuses them.
    """
    query, document = (LoadedDocument((Text(text),)) for text in _SAMPLE)
    sample = LoadedPair(0, query, document)
    (group,) = chat.encode([sample], {})
    try:
        theirs = [int(token) for token in method(*_SAMPLE)["input_ids"][0]]
    except (ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{model_name}: its own processor refuses a pair of two short texts "
            f"({shorten(str(error))}). It is another revision than the one known here: pass "
            "revision=..., or another processor=..."
        ) from error
    if group.token_ids.tolist() != theirs:
        logger.warning(
            "%s: the prompt that its own processor writes is another one than ours (%s), so scores "
            "may be far from the vendor's. Give a fitting template: processor=..., or "
            'processor_kwargs={"chat_template": ...}.',
            model_name,
            shorten(chat.prompt(sample)),
        )
