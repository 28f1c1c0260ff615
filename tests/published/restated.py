"""The published training steps of MIMIC, M3EL and OT-MEL in plain PyTorch, from their papers and code, slow and short.

Nothing here is Melder's. Weights are a state dict under the official names, `e` and `m` the four tensors of entities
and mentions as CLIP gives them: text_cls, text_tokens, image_cls, image_tokens. Entity i is the answer of mention i,
and every entity of the batch is compared with every mention; scores are [mentions, entities].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, layer_norm, linear, normalize

State = Mapping[str, Tensor]
Item = dict[str, Tensor]
TEMPERATURES = (2, 2.5, 3.5, 4.5)  # of M3EL's pooling heads; the fifth is the maximum


def fc(w: State, name: str, x: Tensor) -> Tensor:
    return linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def ln(w: State, name: str, x: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)


def normalised(w: State, item: Item) -> Item:
    """The four input LayerNorms, which both sides share."""
    return {name: ln(w, f"matcher.{name}_layernorm", tensor) for name, tensor in item.items()}


def tglu(w: State, unit: str, modality: str, e: Item, m: Item) -> Tensor:
    """MIMIC's text unit; M3EL's two intra-modal units."""
    query, key = (fc(w, f"{unit}.{name}", x[f"{modality}_tokens"]) for name, x in (("fc_query", e), ("fc_key", m)))
    value = fc(w, f"{unit}.fc_value", m[f"{modality}_tokens"])
    attention = (torch.einsum("nih,bjh->nbij", query, key) / query.shape[-1] ** 0.5).softmax(dim=-1)
    context = ln(w, f"{unit}.layer_norm", torch.einsum("nbij,bjh->nbih", attention, value).mean(dim=2))
    local = torch.einsum("nh,nbh->bn", fc(w, f"{unit}.fc_cls", e[f"{modality}_cls"]), context)
    return (local + m[f"{modality}_cls"] @ e[f"{modality}_cls"].T) / 2


def dual(w: State, unit: str, own: Tensor, other: Tensor, tokens: Tensor) -> Tensor:
    """[own, others]: MIMIC's DUAL of every pair."""
    q, k = fc(w, f"{unit}.cls_fc", own)[:, None], fc(w, f"{unit}.cls_fc", other)[None]
    pooled = fc(w, f"{unit}.tokens_fc", tokens).mean(dim=1)[None]
    z = fc(w, f"{unit}.fc", ln(w, f"{unit}.add_layer_norm", q + pooled))
    out = ln(w, f"{unit}.layer_norm", fc(w, f"{unit}.gate_fc", z).tanh() * z + k)
    return (out * ln(w, f"{unit}.layer_norm", q)).sum(dim=-1)


def cmfu(w: State, x: Item) -> Tensor:
    text, patches = fc(w, "matcher.cmfu.text_fc", x["text_cls"]), fc(w, "matcher.cmfu.image_fc", x["image_tokens"])
    share = torch.einsum("nh,nph->np", text, patches).softmax(dim=-1)
    seen = torch.einsum("np,nph->nh", share, patches)
    return ln(w, "matcher.cmfu.gate_layer_norm", fc(w, "matcher.cmfu.gate_fc", text).tanh() * text + seen)


def mimic(w: State, e: Item, m: Item) -> dict[str, Tensor]:
    e, m = normalised(w, _mimic_heads(w, e)), normalised(w, _mimic_heads(w, m))
    to_mention = dual(w, "matcher.vdlu.dual_ent2men", e["image_cls"], m["image_cls"], m["image_tokens"]).T
    to_entity = dual(w, "matcher.vdlu.dual_men2ent", m["image_cls"], e["image_cls"], e["image_tokens"])
    parts = [tglu(w, "matcher.tglu", "text", e, m), (to_mention + to_entity) / 2, cmfu(w, m) @ cmfu(w, e).T]
    return _in_batch(parts)


def _mimic_heads(w: State, x: Item) -> Item:
    heads = {name: fc(w, f"encoder.{name}_fc", x[name]) for name in ("image_cls", "image_tokens")}
    return {**x, **heads}


def match(w: State, unit: str, p: Tensor, q: Tensor) -> Tensor:
    layer = f"{unit}.match_module.trans_linear"
    attention = (p @ fc(w, layer, q).transpose(1, 2)).softmax(dim=-1)
    return fc(w, layer, attention @ q).relu()


def pooled(rows: Tensor) -> Tensor:
    heads = [(rows * (t * rows).softmax(dim=1)).sum(dim=1) for t in TEMPERATURES] + [rows.amax(dim=1)]
    return rows.mean(dim=1) + torch.stack(heads).mean(dim=0)


def cmm(w: State, x: Item) -> Tensor:
    unit = "matcher.cmm"
    text, patches = fc(w, f"{unit}.text_fc", x["text_cls"]), fc(w, f"{unit}.image_fc", x["image_tokens"])
    p, q = match(w, unit, text[:, None], patches)[:, 0], pooled(match(w, unit, patches, text[:, None]))
    gate = (fc(w, f"{unit}.fusion_module.linear", p) + fc(w, f"{unit}.fusion_module.linear", q)).sigmoid()
    fused = gate * p + (1 - gate) * q
    return ln(w, f"{unit}.gate_layer_norm", fc(w, f"{unit}.gate_fc", text).tanh() * text + fused)


def cmmb(w: State, x: Item) -> tuple[Tensor, Tensor]:
    unit = "matcher.cmmb"
    text, words = fc(w, f"{unit}.text_fc", x["text_cls"]), fc(w, f"{unit}.text_fc", x["text_tokens"])
    image, patches = fc(w, f"{unit}.image_fc", x["image_cls"]), fc(w, f"{unit}.image_fc", x["image_tokens"])

    def one_way(whole: Tensor, others: Tensor) -> Tensor:
        rows = [match(w, unit, whole[:, None], others), match(w, unit, others, whole[:, None])]
        gated = fc(w, f"{unit}.gate_fc", whole).tanh() * whole
        return ln(w, f"{unit}.gate_layer_norm", gated + pooled(torch.cat(rows, dim=1)))

    return one_way(text, patches), one_way(image, words)


def contrastive(e: Tensor, m: Tensor) -> Tensor:
    """M3EL's weighted loss within one modality, of pairs of vectors."""
    e, m = normalize(e, dim=-1), normalize(m, dim=-1)
    off, losses = 1 - torch.eye(len(e), dtype=e.dtype), []
    for one, other in ((e, m), (m, e)):
        inter, intra = (one @ other.T / 0.03).exp(), (0.8 * one @ one.T / 0.03).exp()
        losses.append(-(inter.diagonal() / (inter.sum(dim=1) + (intra * off).sum(dim=1) + 1)).log().mean())
    return (losses[0] + losses[1]) / 2


def _m3el(w: State, e: Item, m: Item, cross: Callable[[Item, Item], list[Tensor]]) -> dict[str, Tensor]:
    e, m = _mimic_heads(w, e), _mimic_heads(w, m)
    loss = (contrastive(e["text_cls"], m["text_cls"]) + contrastive(e["image_cls"], m["image_cls"])) / 2
    e, m = normalised(w, e), normalised(w, m)
    parts = [tglu(w, "matcher.timm", "text", e, m), tglu(w, "matcher.iimm", "image", e, m), *cross(e, m)]
    return _in_batch(parts) | {"contrastive": loss}


def m3el_uni(w: State, e: Item, m: Item) -> dict[str, Tensor]:
    return _m3el(w, e, m, lambda e, m: [cmm(w, m) @ cmm(w, e).T])


def m3el_bi(w: State, e: Item, m: Item) -> dict[str, Tensor]:
    return _m3el(w, e, m, lambda e, m: [a @ b.T for a, b in zip(cmmb(w, m), cmmb(w, e), strict=True)])


def plan(x: Tensor, y: Tensor) -> Tensor:
    """Rows of norm 1 [..., L, L']: three rounds of Sinkhorn, columns first, of x [..., L, h] and y [..., L', h]."""
    p = ((normalize(x, dim=-1) @ normalize(y, dim=-1).transpose(-1, -2) + 1) / 2 / 0.05).exp()
    for _ in range(3):
        p = p / p.sum(dim=-2, keepdim=True)
        p = p / p.sum(dim=-1, keepdim=True)
    return normalize(p, dim=-1)


def soft_pool(w: State, unit: str, rows: Tensor) -> Tensor:
    share = fc(w, f"{unit}.fc", rows).softmax(dim=-2)
    return ln(w, f"{unit}.layer_norm", (share * rows).sum(dim=-2))


def ot_local(w: State, unit: str, modality: str, e: Item, m: Item) -> Tensor:
    q = fc(w, f"{unit}.cross.fc_q", e[f"{modality}_tokens"])[:, None]
    k, v = (fc(w, f"{unit}.cross.fc_{name}", m[f"{modality}_tokens"])[None] for name in ("k", "v"))
    rows = ln(w, f"{unit}.cross.layernorm", plan(q.detach(), k.detach()) @ v + q)
    local = torch.einsum(
        "nh,nbh->bn", fc(w, f"{unit}.fc_cls", e[f"{modality}_cls"]), soft_pool(w, f"{unit}.softpool", rows)
    )
    return (local + m[f"{modality}_cls"] @ e[f"{modality}_cls"].T) / 2


def ot_move(w: State, unit: str, origin: Tensor, target: Tensor) -> Tensor:
    o, a = fc(w, f"{unit}.trans_ori", origin), fc(w, f"{unit}.fc_target", fc(w, f"{unit}.trans_tar", target))
    moved = plan(a, fc(w, f"{unit}.fc_origin", o)) @ fc(w, f"{unit}.fc_origin_transport", o)
    return ln(w, f"{unit}.layernorm", moved + a)


def ot_fused(w: State, x: Item) -> Tensor:
    unit, text, image = "matcher.multimodal_matcher", x["text_tokens"], x["image_tokens"]
    told = torch.cat([fc(w, f"{unit}.fc_text", text), ot_move(w, f"{unit}.image2text_transport", image, text)], dim=1)
    seen = torch.cat([ot_move(w, f"{unit}.text2image_transport", text, image), fc(w, f"{unit}.fc_image", image)], dim=1)
    return torch.cat([soft_pool(w, f"{unit}.soft_pool_0", told), soft_pool(w, f"{unit}.soft_pool_1", seen)], dim=1)


def ot_mel(w: State, e: Item, m: Item) -> dict[str, Tensor]:
    """Without the triplet loss, which was never published, and without dropout."""
    e, m = (
        normalised(w, x | {name: fc(w, f"encoder.{name}_fc", x[name]) for name in ("text_tokens", "image_tokens")})
        for x in (e, m)
    )
    local = [ot_local(w, f"matcher.{modality}_matcher", modality, e, m) for modality in ("text", "image")]
    return _in_batch([*local, ot_fused(w, m) @ ot_fused(w, e).T / 2])


def _in_batch(parts: list[Tensor]) -> dict[str, Tensor]:
    """The cross-entropies of the total, which is the mean of the parts, and of each part."""
    gold = torch.arange(len(parts[0]))
    total = torch.stack(parts).mean(dim=0)
    scores = {"overall": total} | {f"part{number}": part for number, part in enumerate(parts)}
    return {name: cross_entropy(score, gold) for name, score in scores.items()}


def adamw(weight: Tensor, gradient: Tensor, rate: float, epsilon: float, decay: float) -> Tensor:
    """The weight after the first step of AdamW, whose two moments are then the gradient and its square."""
    return weight * (1 - rate * decay) - rate * gradient / (gradient.abs() + epsilon)
