"""A teacher's scores of a query's documents, as a distribution over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from mmrerank.errors import InputError
from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import IDENTITY, checked_model
from mmrerank.training.losses.lists import score_lists

__all__ = ["DistillKLLoss"]


class DistillKLLoss(nn.Module):
    """KL divergence of softmax(student / temperature) from softmax(teacher / temperature).

    Data: (query, documents) or (query, document, document, …) and the teacher's logits of the
    documents; lists may differ in length. temperature: higher ones weigh the order among poor
    documents more; the loss is multiplied by its square, so that gradients keep their size.
    mini_batch_size: as in ListNetLoss.
    """

    label_rule: ClassVar[LabelRule] = LabelRule("list", max_columns=None)
    citation: ClassVar[str] = """
@misc{hinton2015distilling,
    title={Distilling the Knowledge in a Neural Network},
    author={Geoffrey Hinton and Oriol Vinyals and Jeff Dean},
    year={2015},
    eprint={1503.02531},
    archivePrefix={arXiv},
    primaryClass={stat.ML}
}
"""

    def __init__(
        self,
        model: Any,
        temperature: float = 1.0,
        activation_fn: nn.Module | None = IDENTITY,
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        if not temperature > 0:
            raise InputError(f"temperature={temperature}: need a number above 0.")
        self.temperature = temperature
        self.activation_fn = activation_fn or nn.Identity()
        self.mini_batch_size = mini_batch_size

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Tensor | Sequence[Tensor],
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """labels: for each query a tensor of the teacher's scores, or all of them as one tensor
        (num_queries, num_documents). Returns a scalar: the mean over queries that have documents.
        """
        if len(inputs) > 2:
            queries, *columns = inputs
            inputs = [queries, [list(row) for row in zip(*columns, strict=True)]]
        is_matrix = isinstance(labels, Tensor) and labels.dim() == 2
        rows = list(labels) if is_matrix else labels
        batch = score_lists(self, inputs, rows, prompt=prompt, task=task)
        has_documents = batch.mask.any(dim=1)
        # Places without a document get no weight on either side; -1e16 and not -inf, which would
        # make 0 · (inf - inf) of them.
        student, teacher = (
            (matrix[has_documents] / self.temperature).log_softmax(dim=1)
            for matrix in (batch.logit_matrix(fill=-1e16), batch.label_matrix(fill=-1e16))
        )
        divergence = nn.functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return divergence * self.temperature**2

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {
            "temperature": self.temperature,
            "activation_fn": activation_name(self.activation_fn),
            "mini_batch_size": self.mini_batch_size,
        }
