"""What a model of each family reads for the same five inputs, kept in files beside this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.errors import MMRerankError
from mmrerank.inputs import parse_document
from mmrerank.media import MediaPolicy, load_documents
from mmrerank.types import DecodeBudget, EncodedGroup, LoadedDocument, LoadedPair, Pair

__all__ = ["INPUTS", "golden_file", "read_golden", "rendered", "write_golden"]

_FOLDER = Path(__file__).parent / "golden"
_QUERY = "Which train goes to the mountains?"
_SENTENCE = "The train to the mountains stops at every village. "
_LONG = _SENTENCE * 40
# Tokens that the over-long input may have above those of the first input.
_ROOM = 12


def _picture() -> Image.Image:
    steps = np.linspace(0, 255, 96, dtype=np.uint8)
    return Image.fromarray(np.broadcast_to(steps[None, :, None], (64, 96, 3)).copy())


_DOCUMENT = _SENTENCE.strip()
_INSTRUCTION = "Tell which train is meant."
INPUTS = ("text", "image document", "text and image", "with instruction", "over-long")


def golden_file(name: str) -> Path:
    """The file of a line of the registry; a colon is no letter for file names everywhere."""
    return _FOLDER / f"{name.replace(':', '.')}.json"


def read_golden(name: str) -> dict[str, Any]:
    """What was written for this family; FileNotFoundError where nothing was."""
    found: dict[str, Any] = json.loads(golden_file(name).read_text(encoding="utf-8"))
    return found


def write_golden(name: str, prompts: dict[str, Any]) -> None:
    """Write a family's prompts for the next comparison."""
    _FOLDER.mkdir(exist_ok=True)
    text = json.dumps(prompts, indent=1, ensure_ascii=False) + "\n"
    golden_file(name).write_text(text, encoding="utf-8")


def rendered(checkpoint: Path, **options: Any) -> dict[str, Any]:
    """For each input what the token ids read, and the rendered prompt where that differs; the error
    where the family does not take the input. The last one is shortened to a few tokens more than
    the first one has. A family of pictures alone gets the picture in the last two inputs as well,
    and the long text as the query. options: of loading.
    """
    model = CrossEncoder(str(checkpoint), device="cpu", **options)
    found = {
        "text": _rendered(model, checkpoint, _QUERY, _DOCUMENT),
        "image document": _rendered(model, checkpoint, _QUERY, _picture()),
        "text and image": _rendered(
            model, checkpoint, _QUERY, {"text": _DOCUMENT, "image": _picture()}
        ),
    }
    takes_text = "error" not in found["text"]
    document = _DOCUMENT if takes_text else _picture()
    found["with instruction"] = _rendered(model, checkpoint, _QUERY, document, _INSTRUCTION)
    shorter = found["text" if takes_text else "image document"]
    model.max_seq_length = shorter["num_tokens"] + _ROOM
    sides = (_QUERY, _LONG) if takes_text else (_LONG, document)
    long = _rendered(model, checkpoint, *sides)
    return {**found, "over-long": {"max_length": model.max_seq_length, **long}}


def _rendered(
    model: CrossEncoder,
    checkpoint: Path,
    query: Any,
    document: Any,
    instruction: str | None = None,
) -> dict[str, Any]:
    pair = Pair(0, parse_document(query), parse_document(document), instruction)
    try:
        (group,), _ = model.pipeline.encode([pair])
        prompt = model.pipeline.encoder.prompt(_loaded(query, document, instruction))
    except MMRerankError as error:
        text = str(error).replace(str(checkpoint), "MODEL")
        return {"error": f"{type(error).__name__}: {text}"}
    reads = _decoded(model.tokenizer, group)
    found: dict[str, Any] = {"reads": reads.splitlines(keepends=True)}
    if prompt != reads and not group.num_truncated:
        found["prompt"] = prompt.splitlines(keepends=True)
    found["num_tokens"] = group.num_tokens
    return found | ({"num_truncated": group.num_truncated} if group.num_truncated else {})


def _loaded(query: Any, document: Any, instruction: str | None) -> LoadedPair:
    sides = load_documents(
        [parse_document(query), parse_document(document)],
        DecodeBudget(),
        MediaPolicy.local(),
        names=["query", "document"],
    )
    one, two = (side for side in sides if isinstance(side, LoadedDocument))
    return LoadedPair(0, one, two, instruction)


def _decoded(tokenizer: Any, group: EncodedGroup) -> str:
    """Token ids as text; a medium stands as its first token and how many there are."""
    pieces: list[str] = []
    start = 0
    for span in group.media:
        pieces.append(_decode(tokenizer, group.token_ids[start : span.start]))
        token = _decode(tokenizer, group.token_ids[span.start : span.start + 1])
        pieces.append(f"{token}×{span.length}")
        start = span.start + span.length
    return "".join([*pieces, _decode(tokenizer, group.token_ids[start:])])


def _decode(tokenizer: Any, ids: np.ndarray) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
