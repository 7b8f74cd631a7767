"""What a loss wants of its labels, asked before the first step: an hour of training on labels that
mean nothing to the loss ends without an error.
"""

from __future__ import annotations

import logging
import math
import numbers
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, Protocol, runtime_checkable

from mmrerank.errors import InputError, shorten
from mmrerank.training.label_rows import LABEL_COLUMNS, LabelledRow, LabelTable, named_parts
from mmrerank.training.label_scaling import scale_labels

__all__ = ["LABEL_COLUMNS", "LabelRule", "check_labels", "scale_labels"]

logger = logging.getLogger(__name__)

LabelKind = Literal["number", "class", "list", "margins", "none"]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What a loss wants of a row of data.

    kind: "number" one a row; "class" an integer below num_labels, or a probability for each;
        "list" a number for each document of the row; "margins" a number for each negative, or for
        the positive and each negative; "none" labels are not read
    low, high: least and greatest number, None for any. why: the reason, completes "outside …".
    min_columns, max_columns: columns other than the label; max None for any number
    ignored: a class that stands for no label. is_ordered: a list must fall from first to last.
    """

    kind: LabelKind
    low: float | None = None
    high: float | None = None
    why: str = ""
    min_columns: int = 2
    max_columns: int | None = 2
    ignored: int | None = None
    is_ordered: bool = False

    def check_num_columns(self, name: str, found: int) -> None:
        """Raises InputError for another number of columns. name: whose rule this is."""
        if self.min_columns <= found <= (self.max_columns or found):
            return
        wanted = "two" if self.max_columns == 2 else f"at least {self.min_columns}"
        raise InputError(
            f"{name} expects a dataset with {wanted} non-label columns, but got a dataset with "
            f"{found} columns. Keep those with dataset.select_columns([...])."
        )

    def allows(self, number: float) -> bool:
        """Whether a number is between low and high."""
        return (self.low is None or number >= self.low) and (
            self.high is None or number <= self.high
        )

    @property
    def range_text(self) -> str:
        """Such as "numbers from 0 to 1"."""
        low = "" if self.low is None else f" from {self.low:g}"
        return f"numbers{low}" + ("" if self.high is None else f" to {self.high:g}")


@runtime_checkable
class _HasRule(Protocol):
    label_rule: LabelRule


def check_labels(
    loss: Any,
    dataset: Any,
    *,
    num_labels: int | None = None,
    label_columns: Sequence[str] = LABEL_COLUMNS,
    name: str = "dataset",
) -> None:
    """Raise InputError, with the remedy, when a dataset's labels are not what the loss wants.

    loss: a loss, the name of one of ours, or a dict of them by dataset. Losses of others, which
        have no `label_rule`, are not checked.
    dataset: datasets.Dataset, a dict of columns, a list of rows (dicts), or a dict of such. Of a
        stream, and of a dataset with a transform, the first 100 rows are looked at.
    num_labels: of the model; None asks the loss's model. name: how messages call the dataset.
    """
    for part, one, one_loss in named_parts(name, dataset, loss):
        rule, loss_name = _rule_of(one_loss)
        if rule is None:
            continue
        table = LabelTable.of(one, label_columns, name=part)
        rule.check_num_columns(loss_name, len(table.inputs))
        if rule.kind == "none":
            continue
        if table.label is None:
            raise InputError(
                f"{loss_name} needs labels: {part} has no column named one of "
                f"{', '.join(label_columns)}; its columns are {shorten(table.inputs)}."
            )
        asks_model = rule.kind == "class" and not isinstance(one_loss, str)
        known = _num_labels_of(one_loss) if num_labels is None and asks_model else num_labels
        _Check(rule, loss_name, f"{part}[{table.label!r}]", known).run(table)


def _rule_of(loss: Any) -> tuple[LabelRule | None, str]:
    """The rule, and the name of the loss."""
    if not isinstance(loss, str):
        return (loss.label_rule if isinstance(loss, _HasRule) else None), type(loss).__name__
    from mmrerank.training import losses  # which import this module

    found = losses.__dict__.get(loss) if loss in losses.__all__ else None
    if not isinstance(found, _HasRule):
        known = [name for name in losses.__all__ if name.endswith("Loss")]
        near = get_close_matches(loss, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
        raise InputError(f"there is no loss named {shorten(loss)}; {hint}")
    return found.label_rule, loss


def _num_labels_of(loss: Any) -> int | None:
    found: int | None = getattr(loss.model, "module", loss.model).num_labels
    return found


@dataclass(frozen=True, slots=True)
class _Check:
    """One rule against one column. where: how messages call the column."""

    rule: LabelRule
    loss: str
    where: str
    num_labels: int | None

    def run(self, table: LabelTable) -> None:
        numbers_of = {
            "number": self._one_number,
            "class": self._class,
            "list": self._list,
            "margins": self._margins,
        }[self.rule.kind]
        least, greatest = math.inf, -math.inf
        unordered: int | None = None
        for row in table.rows(with_num_documents=self.rule.kind == "list"):
            found = list(numbers_of(row))
            least, greatest = min([least, *found]), max([greatest, *found])
            if unordered is None and found != sorted(found, reverse=True):
                unordered = row.index
        if self.rule.is_ordered and unordered is not None:
            logger.warning(
                "%s, row %d: labels do not fall from first to last. %s learns the order in which "
                "documents are given and reads no label; to order them by label pass "
                "respect_input_order=False.",
                self.where,
                unordered,
                self.loss,
            )
        if least > greatest:
            return  # no row, or only ignored ones
        if self.rule.kind == "class":
            self._check_classes(int(least), int(greatest))
        elif not (self.rule.allows(least) and self.rule.allows(greatest)):
            raise InputError(
                f"{self.where}: {self.loss} wants {self.rule.range_text}, found numbers from "
                f"{least:g} to {greatest:g}; {self.rule.why}. Scale them: "
                "mmrerank.training.labels.scale_labels(dataset, to=(0, 1))."
            )

    # ------------------------------------------------------------ one row

    def _one_number(self, row: LabelledRow) -> Iterator[float]:
        label = row.label
        if isinstance(label, list) and len(label) == 1:
            label = label[0]
        yield self._number(row, label)

    def _class(self, row: LabelledRow) -> Iterator[float]:
        label = row.label
        if isinstance(label, list):
            chances = [self._number(row, chance) for chance in label]
            if len(chances) not in (1, self.num_labels or len(chances)):
                raise self._error(row, f"{len(chances)} probabilities for {self.num_labels} labels")
            if len(chances) > 1:
                return
            label = label[0]
        if not isinstance(label, numbers.Integral):
            raise self._error(
                row,
                f"{self.loss} wants integers, found {shorten(label)}. Cast the column: "
                "dataset.cast_column(name, datasets.Value('int64')); to fit numbers use MSELoss",
            )
        if label != self.rule.ignored:
            yield int(label)

    def _list(self, row: LabelledRow) -> Iterable[float]:
        found = self._numbers(row)
        if row.num_documents is None:
            raise self._error(
                row, f"{self.loss} wants lists of documents in the second column, found none"
            )
        if len(found) != row.num_documents:
            raise self._error(row, f"{len(found)} labels for {row.num_documents} documents")
        return found

    def _margins(self, row: LabelledRow) -> Iterable[float]:
        found = (
            self._numbers(row) if isinstance(row.label, list) else [self._number(row, row.label)]
        )
        num_negatives = row.num_inputs - 2
        if len(found) not in (num_negatives, num_negatives + 1):
            raise self._error(
                row,
                f"{len(found)} numbers; {self.loss} wants {num_negatives} margins (one for each "
                f"negative) or {num_negatives + 1} scores (of the positive and each negative)",
            )
        return found

    def _numbers(self, row: LabelledRow) -> list[float]:
        if not isinstance(row.label, list):
            raise self._error(
                row, f"{self.loss} wants a list of a number for each document, found one value"
            )
        return [self._number(row, label) for label in row.label]

    def _number(self, row: LabelledRow, label: Any) -> float:
        if not isinstance(label, numbers.Real) or not math.isfinite(label):
            raise self._error(row, f"{self.loss} wants finite numbers, found {shorten(label)}")
        return float(label)

    # ------------------------------------------------------------ what is said

    def _check_classes(self, least: int, greatest: int) -> None:
        if self.num_labels is None:
            is_wrong, wanted = least < 0, "integers from 0"
        else:
            is_wrong = least < 0 or greatest >= self.num_labels
            wanted = f"integers from 0 to {self.num_labels - 1}, one for each label of the model"
        if is_wrong:
            remedy = "Number the classes from 0" + (
                f", or load the model with num_labels={greatest + 1}." if least >= 0 else "."
            )
            raise InputError(
                f"{self.where}: {self.loss} wants {wanted}; found {least} to {greatest}. {remedy}"
            )

    def _error(self, row: LabelledRow, problem: str) -> InputError:
        return InputError(f"{self.where}, row {row.index}: {problem}.")
