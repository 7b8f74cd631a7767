"""The values that cross a border between two stages of the walk (docs/architecture.md).

Nothing here opens a file or imports torch. What only one stage uses stays with that stage.
"""

from mmrerank.types.documents import (
    MODALITIES,
    Audio,
    Document,
    Image,
    Modality,
    Pair,
    Part,
    Text,
    Video,
)
from mmrerank.types.media import (
    DecodeBudget,
    DecodedAudio,
    DecodedImage,
    DecodedMedia,
    DecodedVideo,
    DocumentError,
    LoadedDocument,
    LoadedMedia,
    LoadedPair,
    MediaKey,
)
from mmrerank.types.prompts import EncodedGroup, MediaSpan, Score, Usage

__all__ = [
    "MODALITIES",
    "Audio",
    "DecodeBudget",
    "DecodedAudio",
    "DecodedImage",
    "DecodedMedia",
    "DecodedVideo",
    "Document",
    "DocumentError",
    "EncodedGroup",
    "Image",
    "LoadedDocument",
    "LoadedMedia",
    "LoadedPair",
    "MediaKey",
    "MediaSpan",
    "Modality",
    "Pair",
    "Part",
    "Score",
    "Text",
    "Usage",
    "Video",
]
