r"""PGMEL's generator: a policy over the candidates of a mention, and what it learns from.

    u(m, e) = <g_m, g_e> / sqrt(h),   p(e | m) = softmax over the candidates of u(m, e) / temperature

with g the gated multimodal fusion of heads of its own. Sampling is discrete, so it learns by REINFORCE: with reward r
of a negative e drawn from p and a baseline b that does not depend on e,

    E[(r - b) grad log p(e)] = grad E[r],   dE[r]/du_j = p_j (r_j - sum_k p_k r_k) / temperature.

That the generator learns by policy gradient is in PGMEL's abstract, that the discriminator rewards it in summaries of
the paper; the rest is modelled on KBGAN (Cai and Wang, 2018), see `GeneratorConfiguration`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, softplus

from melder.features import Features, Sizes
from melder.methods.global_heads import GlobalHeads
from melder.training.loop.gather import gather_rows
from melder.training.negatives.configuration import GeneratorConfiguration
from melder.units.gated_multimodal import GatedMultimodal

__all__ = ["Generator", "entropy", "policy_loss", "reward", "warm_loss"]


class Generator(nn.Module):
    """The policy that draws negatives. Its parameters are its own; its inputs are features, through which no gradient
    goes.

    Args:
        sizes: Of the encoder's features.
        options: Widths, and how it learns.
    """

    baseline: Tensor
    seen: Tensor

    def __init__(self, sizes: Sizes, options: GeneratorConfiguration) -> None:
        super().__init__()
        self.options = options
        self.heads = GlobalHeads(sizes, options.hidden)
        self.fuse = GatedMultimodal(options.hidden, options.hidden, options.hidden)
        self.register_buffer("baseline", torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))  # batches of rewards in the baseline

    def forward(self, features: Features) -> Tensor:
        """[n, h]"""
        vectors: Tensor = self.fuse(self.heads(features))
        return normalize(vectors, dim=-1) if self.options.similarity == "cosine" else vectors

    def logits(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """[m, k] from vectors [m, h] and [m, k, h]."""
        scale = 1.0 if self.options.similarity == "cosine" else 1 / math.sqrt(queries.shape[-1])
        return torch.einsum("mh,mkh->mk", queries, candidates) * scale / self.options.temperature

    def advantage(self, rewards: Tensor, counts: Tensor) -> Tensor:
        """How much better than expected each draw was, [m, n], 0 for mentions that do not count.

        The baseline of a draw does not depend on it, so that the gradient is that of the expected reward, whatever the
        number of draws. Rewards of mentions without candidates are in no mean.

        Args:
            rewards: [m, n] of this process's draws.
            counts: [m] whether a mention has candidates.
        """
        every, counted = gather_rows(rewards), gather_rows(counts.to(rewards.dtype))[:, None]
        advantage = (rewards - self._baseline(rewards, every, counted)) * counts[:, None]
        if self.options.standardise:
            size = _root_mean_square(gather_rows(advantage), counted)
            advantage = torch.where(size > 0, advantage / size, advantage)
        self._move(every, counted)
        return advantage

    def _baseline(self, rewards: Tensor, every: Tensor, counted: Tensor) -> Tensor:
        """[m, n] or a scalar: of one draw that is alone, or as asked, the moving mean of earlier batches."""
        draws = rewards.shape[1]
        if self.options.baseline == "moving":
            return self.baseline.clone()
        if draws > 1:
            return (rewards.sum(dim=1, keepdim=True) - rewards) / (draws - 1)
        others = counted.sum() - 1
        return torch.where(others > 0, ((every * counted).sum() - rewards) / others.clamp(min=1), self.baseline)

    def _move(self, every: Tensor, counted: Tensor) -> None:
        """The moving mean of rewards goes on by a batch; the first batch's is 0, which depends on none of its draws."""
        if not counted.any():
            return
        mean = (every * counted).sum() / (counted.sum() * every.shape[1])
        decay = self.options.baseline_decay
        self.baseline.copy_(torch.where(self.seen > 0, decay * self.baseline + (1 - decay) * mean, mean))
        self.seen += 1


def _root_mean_square(advantage: Tensor, counted: Tensor) -> Tensor:
    """Of what counts; no entry is more than its inverse share of the batch times it, however equal the rewards."""
    squares = (advantage.square() * counted).sum()
    return (squares / (counted.sum() * advantage.shape[1]).clamp(min=1)).sqrt()


def reward(options: GeneratorConfiguration, negative: Tensor, gold: Tensor) -> Tensor:
    """What a draw is worth to the generator.

    Args:
        options: Which reward it is.
        negative: [m, n], the discriminator's scores of drawn entities.
        gold: [m], those of the gold ones.

    Returns:
        [m, n].
    """
    if options.reward == "hinge":
        return (options.margin + negative - gold[:, None]).relu()
    return softplus(negative) if options.reward == "softplus" else negative


def policy_loss(log_p: Tensor, chosen: Tensor, advantage: Tensor, counts: Tensor) -> Tensor:
    """The mean of - advantage * log p(chosen).

    The gradient with respect to the logits is in the mean over draws the closed form above, times -1 / m.

    Args:
        log_p: [m, k], of the candidates.
        chosen: [m, n], places of the candidates that were drawn.
        advantage: [m, n], reward less baseline.
        counts: [m], False for mentions that have no candidates; they count as 0.

    Returns:
        A scalar.
    """
    terms = advantage.detach() * log_p.gather(1, chosen)
    return -(terms.mean(dim=1) * counts).mean()


def entropy(log_p: Tensor, counts: Tensor) -> Tensor:
    """The mean entropy of policies.

    Args:
        log_p: [m, k], of the candidates.
        counts: [m], which mentions count.

    Returns:
        A scalar, in nats.
    """
    entropies = -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(dim=1)
    return (entropies * counts).sum() / counts.sum().clamp(min=1)


def warm_loss(gold: Tensor, logits: Tensor, counts: Tensor) -> Tensor:
    """Cross-entropy of the gold entity among the candidates, before the game begins.

    Args:
        gold: [m], logits of the gold entities.
        logits: [m, k], of the candidates.
        counts: [m], which mentions count.

    Returns:
        A scalar.
    """
    both = torch.cat([gold[:, None], logits], dim=1)
    losses = cross_entropy(both, torch.zeros_like(gold, dtype=torch.long), reduction="none")
    return (losses * counts).mean()
