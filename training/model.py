"""The reader: one BERT body of six layers with three heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

SUPPORT_NAMES = ("supports", "contradicts", "neither")


@dataclass(frozen=True, slots=True)
class ReaderOutput:
    """Logits. answerable: (n,), start and end: (n, length), support: (n, 3) in the order of `SUPPORT_NAMES`."""

    answerable: Tensor
    start: Tensor
    end: Tensor
    support: Tensor


class ReaderModel(nn.Module):
    """A cross-encoder for pairs of (question or claim, passage).

    The answerable head sees the [CLS] vector and the two vectors that the span head looks at, so that it judges the
    best span and not only the topic.
    """

    def __init__(self, body: BertModel) -> None:
        super().__init__()
        dim = body.config.hidden_size
        self.body = body
        self.span = nn.Linear(dim, 2)
        self.answerable_hidden = nn.Linear(3 * dim, dim)
        self.answerable = nn.Linear(dim, 1)
        self.support_hidden = nn.Linear(dim, dim)
        self.support = nn.Linear(dim, 3)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return the word embeddings of tokens, (n, length, dim)."""
        embedded: Tensor = self.body.get_input_embeddings()(input_ids)  # type: ignore[no-untyped-call]  # torch
        return embedded

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, embedded: Tensor | None = None
    ) -> ReaderOutput:
        """Return the logits of every pair. All inputs: (n, length) int64; `embedded` stands in for word embeddings."""
        words = {"input_ids": input_ids} if embedded is None else {"inputs_embeds": embedded}
        hidden = self.body(
            **words, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state.float()
        positions = self.span(hidden)
        outside = (1.0 - token_type_ids.to(positions.dtype)).unsqueeze(-1) * -1e4
        weights = torch.softmax(positions + outside, dim=1)
        looked_at = torch.matmul(weights.transpose(1, 2), hidden).flatten(1)
        first = hidden[:, 0]
        judged = torch.nn.functional.gelu(self.answerable_hidden(torch.cat((first, looked_at), dim=1)))
        compared = torch.nn.functional.gelu(self.support_hidden(first))
        return ReaderOutput(
            answerable=self.answerable(judged).squeeze(-1),
            start=positions[..., 0],
            end=positions[..., 1],
            support=self.support(compared),
        )

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that do not come from the encoder."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("body.")]


def load_body(folder: Path, *, dropout: float = 0.0) -> BertModel:
    """Return the encoder of a folder without its pooler, with plain attention.

    PyTorch's fused attention on CPU has a slow backward pass at 32 dimensions a head: plain attention trains 1.3 times
    faster there.
    """
    body: BertModel = BertModel.from_pretrained(
        folder,
        add_pooling_layer=False,
        attn_implementation="eager",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
        dtype=torch.float32,
    )
    return body


def make_empty_body(config: dict[str, object]) -> BertModel:
    """Return an encoder of the given configuration with random weights."""
    return BertModel(BertConfig.from_dict(config | {"attn_implementation": "eager"}), add_pooling_layer=False)


def split_losses(
    output: ReaderOutput,
    *,
    mask: Tensor,
    types: Tensor,
    starts: Tensor,
    ends: Tensor,
    answerable: Tensor,
    support: Tensor,
    inside: Tensor,
) -> dict[str, Tensor]:
    """Return the loss of each head, summed over the pairs that have a label for it.

    Where a span merely holds the answer, the loss is that of choosing any token of it (as in distant supervision,
    Clark & Gardner, ACL 2018); where a claim's label allows several classes, that of choosing any of them.
    """
    is_question = (answerable >= 0).float()
    losses = {
        "answerable": (
            nn.functional.binary_cross_entropy_with_logits(
                output.answerable, answerable.clamp(min=0).float(), reduction="none"
            )
            * is_question
        ).sum()
    }
    outside = (types * mask) == 0
    positions = torch.arange(mask.shape[1], device=mask.device).unsqueeze(0)
    within = (positions >= starts.unsqueeze(1)) & (positions <= ends.unsqueeze(1))
    has_span = starts >= 0
    total = torch.zeros((), device=mask.device)
    for logits, target in ((output.start, starts), (output.end, ends)):
        log_probabilities = torch.log_softmax(logits.masked_fill(outside, -1e4), dim=1)
        exact = positions == target.unsqueeze(1)
        allowed = torch.where(inside.unsqueeze(1) > 0, within, exact)
        chosen = torch.logsumexp(log_probabilities.masked_fill(~allowed, -1e4), dim=1)
        total = total - (chosen * has_span).sum() / 2
    losses["span"] = total
    bits = torch.tensor([1, 2, 4], device=mask.device)
    classes = (support.unsqueeze(1) & bits) > 0
    log_probabilities = torch.log_softmax(output.support, dim=1).masked_fill(~classes, -1e4)
    losses["support"] = -(torch.logsumexp(log_probabilities, dim=1) * (support > 0)).sum()
    return losses
