"""The page of families, docs/families.md, written from the processor folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mmrerank.specs.schema import HeadSpec, ProcessorSpec

__all__ = ["families_page", "head_in_words", "scale_of"]

_INTRO = """\
# Families of rerankers

Written by `mmrerank processors --markdown` from the folders of `processors/`; `make docs` writes it
anew.

What a checkpoint's own sentence-transformers files say (prompt, head, scale, limits) wins over the
folder, so the columns tell what holds for the vendor's plain files. `mmrerank info MODEL` shows
what is in force for a model and where it came from, `mmrerank doctor MODEL` checks it.

- **Takes**: what a query and a document may hold.
- **Score from**: where the logit comes from. `yes` − `no`: that of one token less that of another.
- **Scale**: of the scores as they come; `scale="logit"` or `scale="probability"` chooses where a
  family defines both.
- **Rows**: packed rows hold the tokens of many pairs without padding, and what prompts begin with
  in common once; "tried" means that it is found out when the model is loaded.
- **Longest**: tokens of a prompt; of an over-long one the document's text is cut, never the frame
  or a picture.
"""
_GROUPS: tuple[tuple[str, Callable[[ProcessorSpec], bool]], ...] = (
    ("Text", lambda spec: spec.modalities == ("text",)),
    ("Text and pictures", lambda spec: "audio" not in spec.modalities),
    ("Text, pictures, sound and clips", lambda spec: True),
)
_GUESSES = """\
Last resorts for models that nobody says were trained as rerankers; using one is announced with a
warning.
"""
_COLUMNS = ("Family", "Takes", "Score from", "Scale", "Rows", "Longest", "Licence")


def families_page(
    processors: Sequence[ProcessorSpec], rows_of: Callable[[ProcessorSpec], str]
) -> str:
    """Markdown, the same for the same folders. rows_of: "packed", "padded" or what else is said."""
    known = [spec for spec in processors if not spec.guess]
    parts = [_INTRO]
    for title, belongs in _GROUPS:
        group = [spec for spec in known if belongs(spec)]
        known = [spec for spec in known if spec not in group]
        parts += _group(title, group, rows_of)
    guesses = [spec for spec in processors if spec.guess]
    parts += _group("Guesses", guesses, rows_of, _GUESSES)
    return "\n".join(parts)


def _group(
    title: str,
    specs: Sequence[ProcessorSpec],
    rows_of: Callable[[ProcessorSpec], str],
    said: str = "",
) -> Iterator[str]:
    if not specs:
        return
    yield f"## {title}\n"
    if said:
        yield said
    yield _table([_cells(spec, rows_of(spec)) for spec in specs])
    yield from map(_section, specs)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """What all rows take is the group's title: a column of "text" tells nothing."""
    shown = [n for n, name in enumerate(_COLUMNS) if name != "Takes" or _differ(rows, n)]
    lines = [_COLUMNS, ["---"] * len(_COLUMNS), *rows]
    return "".join(f"| {' | '.join(line[n] for n in shown)} |\n" for line in lines)


def _differ(rows: Sequence[Sequence[str]], column: int) -> bool:
    return {row[column] for row in rows} != {"text"}


def _cells(spec: ProcessorSpec, rows: str) -> list[str]:
    longest = spec.truncation.max_length or (spec.listwise.max_tokens if spec.listwise else None)
    cells = (
        f"[{spec.name}](#{spec.name.replace('.', '')})",
        _takes(spec),
        head_in_words(spec.head),
        scale_of(spec.head),
        rows,
        f"{longest:,}" if longest else "the tokenizer's",
        spec.license or "see its card",
    )
    return [cell.replace("|", "\\|") for cell in cells]


def _takes(spec: ProcessorSpec) -> str:
    both, words = spec.modalities, ", ".join
    query, document = spec.query_modalities or both, spec.document_modalities or both
    return (
        words(both) if query == document else f"query: {words(query)}; document: {words(document)}"
    )


def head_in_words(head: HeadSpec) -> str:
    """What a score is read from, for a table."""
    words = {
        "builtin": "the checkpoint's classifier",
        "chain": "the checkpoint's module chain",
        "mlp": f"{len(head.weights)} linear layers on the last state",
        "layer": f"a row of its own after layer {head.layer}",
        "cosine": "cosine of query and document",
        "permutation": "the order that it writes",
    }
    tokens = [_code(token) for token in (head.true_token, head.false_token) if token is not None]
    told = words.get(head.kind) or " − ".join(tokens)
    bias = f", {'+' if head.bias > 0 else '−'} {abs(head.bias):g}" if head.bias else ""
    return told + bias + (f", / {head.divide:g}" if head.divide != 1 else "")


def _code(token: str | int) -> str:
    return f"token {token}" if isinstance(token, int) else f"`{token}`"


def scale_of(head: HeadSpec) -> str:
    """The scale of scores as they come: "logit", "probability", "similarity", "rank", or who
    decides.
    """
    if head.scales in (("similarity",), ("rank",)):
        return head.scales[0]
    scales = {"sigmoid": "probability", "softmax": "probability", "identity": "logit"}
    if head.activation:
        return scales.get(head.activation, head.activation)
    if head.kind in ("builtin", "chain"):
        return "as the checkpoint says"
    return "probability"


def _section(spec: ProcessorSpec) -> str:
    lines = [f"### {spec.name}\n", f"[{spec.title}]({spec.link}). {spec.notes}".rstrip()]
    if spec.models:
        lines += ["", "Models: " + ", ".join(f"`{model}`" for model in spec.models) + "."]
    if spec.template.instruction:
        lines += ["", f"Instruction, unless one is given: “{spec.template.instruction}”"]
    if spec.listwise is not None:
        count = spec.listwise.max_documents
        lines += ["", f"Up to {count} documents share a prompt: their scores depend on each other."]
    if spec.model.remote_code and "trust_remote_code" not in spec.notes:
        lines += ["", "Runs Python files of the checkpoint: only with `trust_remote_code=True`."]
    return "\n".join(lines) + "\n"
