"""The generative linker: entities by the probability of their names, on a small run, against plain computation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import melder
from generative import tiny
from melder.building.build import build, remove_entities
from melder.data import DataSet, EntityFile, load
from melder.evaluation.evaluate import EvaluationOptions, evaluate, evaluate_run
from melder.generative import name_search
from melder.generative.mapper import LinearMapper
from melder.generative.model import Embedded
from melder.generative.name_search import ScoredName
from melder.generative.names import Names
from melder.generative.trie import NameTrie
from melder.linking import GenerativeLinker, RerankingLinker
from melder.linking.generative import NAMES
from melder.linking.opening import open_linker
from melder.records import Entity, Link, MelderError, Mention
from melder.runs.gemel import Pictures
from training import small


@pytest.fixture(scope="module")
def run() -> Path:
    return tiny.run()


@pytest.fixture(scope="module")
def linker(run: Path, small_data: Path) -> GenerativeLinker:
    return _linker(run, small_data)


@pytest.fixture(scope="module")
def mentions(small_data: Path) -> list[Mention]:
    return load(small_data).split("dev")


def test_it_cannot_be_kept_to_types(linker: GenerativeLinker) -> None:
    with pytest.raises(MelderError, match="type 'kite': a method that writes names cannot be kept to types"):
        linker.link("a kite", types="kite")


def test_it_is_what_load_gives(run: Path, small_data: Path) -> None:
    linker = melder.load(run, data=small_data)
    assert isinstance(linker, GenerativeLinker)
    link = linker.link("A red kite was seen", mention="red kite", image=small_data / "images/0.png", k=3)
    assert isinstance(link, Link)
    assert len(link.candidates) == 3
    assert link.surface == "red kite"


def test_scores_are_mean_log_probabilities_of_names(linker: GenerativeLinker, mentions: list[Mention]) -> None:
    links = linker.link(mentions[:5], k=99)
    assert isinstance(links, list)
    prompts = linker.prompts(mentions[:5], linker.model.pictures(linker.items(mentions[:5])))
    for link, prompt in zip(links, prompts, strict=True):
        tokens = linker.model.model.language_model.name_tokens([each.name for each in link.candidates])
        with torch.inference_mode():
            sums, counts = linker.model.model([prompt] * len(tokens), tokens)
        np.testing.assert_allclose([each.score for each in link.candidates], sums / counts, atol=1e-5)
        assert len({each.id for each in link.candidates}) == len(linker.entities)


def test_ranks_are_places_among_all_candidates(linker: GenerativeLinker, mentions: list[Mention]) -> None:
    answered = [mention for mention in mentions if mention.answer is not None]
    links, ranks = linker.links_and_ranks(answered, 99)
    for mention, link, low, high in zip(answered, links, ranks.optimistic, ranks.pessimistic, strict=True):
        place = [each.id for each in link.candidates].index(str(mention.answer)) + 1
        assert low <= place <= high
    assert np.array_equal(linker.ranks(answered).optimistic, ranks.optimistic)


@pytest.mark.parametrize("at_once", [1, 3])
def test_how_many_are_asked_at_once_changes_nothing(
    run: Path, small_data: Path, linker: GenerativeLinker, mentions: list[Mention], at_once: int
) -> None:
    other = _linker(run, small_data, f"method.at_once={at_once}")
    assert np.array_equal(other.ranks(_answered(mentions)).optimistic, linker.ranks(_answered(mentions)).optimistic)


@pytest.mark.parametrize("best", [1, 4, 12])
def test_beyond_the_best_names_ranks_are_bounds(
    run: Path, small_data: Path, linker: GenerativeLinker, mentions: list[Mention], best: int
) -> None:
    answered = _answered(mentions)
    exact = linker.ranks(answered)
    changes = ["method.decoding=exact", "method.all_names=0", f"method.best_names={best}"]
    other = _linker(run, small_data, *changes)
    bounds = other.ranks(answered)
    beyond = int((exact.optimistic > best).sum())
    assert other.figures["searches"] == {"exact": len(answered), "inexact": 0, "not_found": beyond}
    for low, rank, high in zip(bounds.optimistic, exact.optimistic, bounds.pessimistic, strict=True):
        assert (low, high) == ((rank, rank) if rank <= best else (best + 1, 12))


def test_a_search_that_reads_too_much_is_given_up_and_counted(
    run: Path, small_data: Path, mentions: list[Mention]
) -> None:
    changes = ["method.decoding=exact", "method.all_names=0", "method.best_names=3", "method.most_prefixes=1"]
    linker = _linker(run, small_data, *changes)
    links, _ = linker.links_and_ranks(_answered(mentions), 3)
    assert linker.figures["searches"]["inexact"] > 0
    assert all(len(link.candidates) == 3 for link in links)


@pytest.mark.parametrize("changes", [["method.decoding=beam"], ["method.decoding=auto", "method.all_names=11"]])
def test_beams_find_some_names_and_bounds_say_so(
    run: Path, small_data: Path, mentions: list[Mention], changes: list[str]
) -> None:
    linker = _linker(run, small_data, *changes, "method.beams=3")
    links, ranks = linker.links_and_ranks(_answered(mentions), 20)
    for mention, link, high in zip(_answered(mentions), links, ranks.pessimistic, strict=True):
        assert len(link.candidates) <= 3
        assert (high == 12) >= (mention.answer not in {each.id for each in link.candidates})


def test_demonstrations_can_be_left_out_afterwards(
    run: Path, small_data: Path, linker: GenerativeLinker, mentions: list[Mention]
) -> None:
    changed = _linker(run, small_data, "method.demonstrations.count=0")
    bare = linker.without_demonstrations()
    assert np.array_equal(bare.ranks(_answered(mentions)).optimistic, changed.ranks(_answered(mentions)).optimistic)
    assert bare.figures["demonstrations"] == changed.figures["demonstrations"] == {"shown": 0, "dropped": 0}
    assert linker.link(mentions[:4], k=3) != bare.link(mentions[:4], k=3)


def test_a_run_that_was_trained_without_demonstrations_shows_them(
    run: Path, small_data: Path, linker: GenerativeLinker, mentions: list[Mention], tmp_path: Path
) -> None:
    """Its own keys say nothing, so that it gets those that a training with them would have written."""
    bare = shutil.copytree(run, tmp_path / "run")
    content = yaml.safe_load((bare / "config.yaml").read_text())
    content["method"]["demonstrations"]["count"] = 0
    (bare / "config.yaml").write_text(yaml.safe_dump(content))
    file = bare / "demonstrations" / "demonstrations.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"keys": torch.zeros(len(tensors["keys"]), 1)}, file)
    shown = _linker(bare, small_data, "method.demonstrations.count=2")
    assert torch.equal(shown.model.demonstrations.keys, tensors["keys"])
    assert shown.link(mentions[:4], k=3) == linker.link(mentions[:4], k=3)


@pytest.mark.parametrize("changed", [["context=1"], ["surface=0", "picture=1"], ["context=0.5", "picture=2"]])
def test_demonstrations_are_found_as_the_settings_say_now(
    run: Path, small_data: Path, linker: GenerativeLinker, changed: list[str]
) -> None:
    """Keys of surfaces may be as wide as those of pictures: they were compared with each other."""
    other = _linker(run, small_data, *(f"method.demonstrations.{change}" for change in changed))
    shown, by_key = other.model.demonstrations, {(m.text, m.surface): m for m in load(small_data).split("train")}
    asked = [by_key[row.text, row.surface] for row in shown.shown]
    keys = other.model.keys(asked, Pictures(shown.pictures, shown.there))
    assert not torch.equal(keys, linker.model.demonstrations.keys)
    torch.testing.assert_close(shown.keys, keys)


def test_prompts_that_repeat_are_read_once(
    linker: GenerativeLinker, mentions: list[Mention], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same question about the same picture; with another picture, or with none, it is another prompt."""
    bare = linker.without_demonstrations()
    first, other = _answered(mentions)[:2]
    asked = [first, _changed(first, id="again"), _changed(first, id="bare", image=None), other]
    asked += [_changed(first, id="other picture", image=other.image), _changed(other, id="once more")]
    expected = [bare.links_and_ranks([mention], 3)[0][0] for mention in asked]
    read: list[int] = []
    search = bare.search

    def noted(prompts: Embedded) -> list[ScoredName]:
        read.append(len(prompts.embeds))
        return search(prompts)

    monkeypatch.setattr(bare, "search", noted)
    links, _ = bare.links_and_ranks(asked, 3)
    assert sum(read) == 4
    for link, alone in zip(links, expected, strict=True):
        assert [candidate.id for candidate in link.candidates] == [candidate.id for candidate in alone.candidates]
        assert [candidate.score for candidate in link.candidates] == pytest.approx(
            [candidate.score for candidate in alone.candidates], abs=1e-5
        )


def test_a_short_context_drops_demonstrations_and_counts_them(
    run: Path, small_data: Path, linker: GenerativeLinker, mentions: list[Mention]
) -> None:
    blocks = linker.prompts(mentions[:1], linker.model.pictures(linker.items(mentions[:1])))[0].blocks
    longest = max(len(block.tokens) for block in blocks) + linker.options.prefix_tokens
    short = _linker(run, small_data, f"method.context_length={longest + linker.search.longest + 60}")
    short.ranks(_answered(mentions))
    counted = short.figures["demonstrations"]
    assert counted["dropped"] > 0
    assert counted["dropped"] + counted["shown"] == 2 * len(_answered(mentions))
    tiny_context = _linker(run, small_data, "method.context_length=20")
    with pytest.raises(MelderError, match=r"mention 'dev-0', field 'text': its question has .* room for"):
        tiny_context.ranks(_answered(mentions))


def test_evaluation_reports_popularity_with_and_without_demonstrations(
    linker: GenerativeLinker, mentions: list[Mention]
) -> None:
    counts = {f"Q{number}": number for number in range(1, 12)}
    result = evaluate(linker, mentions, seen=counts)
    known = {"answer in training 1 to 3 times", "answer in training 4 to 10 times", "seen in training"}
    assert known <= result.figures["slices"].keys()
    assert known <= result.figures["without_demonstrations"]["slices"].keys()
    assert result.figures["without_demonstrations"]["mentions"] == result.figures["mentions"]
    result.figures |= {"method": "gemel", "encoder": "e", "data": "d", "split": "dev", "seed": 1, "versions": {}}
    page = result.page()
    assert "answer in training 4 to 10 times, without demonstrations" in page.slices


def test_homonyms_are_kept_apart(run: Path, small_data: Path, tmp_path: Path, mentions: list[Mention]) -> None:
    linker = _linker(run, _with_twins(small_data, tmp_path))
    links, ranks = linker.links_and_ranks(_answered(mentions), 99)
    for link in links:
        places = {each.id: place for place, each in enumerate(link.candidates)}
        scores = {each.id: each.score for each in link.candidates}
        assert abs(places["Q0"] - places["Twin"]) == 1
        assert scores["Q0"] != scores["Twin"]
        assert scores["Q0"] == pytest.approx(scores["Twin"], abs=1e-8)
    assert np.array_equal(ranks.optimistic, ranks.pessimistic)


def test_homonyms_are_ordered_by_the_likelihood_of_their_descriptions(
    run: Path, small_data: Path, tmp_path: Path
) -> None:
    linker = _linker(run, _with_twins(small_data, tmp_path))
    mention = Mention(id="m", text="a red kite", surface="kite")
    item = linker.item(mention, None)
    prompt = linker.prompts([mention], linker.model.pictures([item]))[0]
    twin = linker.row_of["Twin"]
    model, name = linker.model.model, "Red kite"
    likelihoods = []
    for row in (0, twin):
        begun, whole = (
            model.language_model.tokens([f"{name}. "])[0],
            model.language_model.tokens([linker.entities[row].description])[0],
        )
        with torch.inference_mode():
            both, first = model([prompt], [begun + whole])[0], model([prompt], [begun])[0]
        likelihoods.append(float(both - first) / len(whole))
    expected = [0, twin] if likelihoods[0] > likelihoods[1] else [twin, 0]
    assert linker.homonyms.ordered(mention, item, prompt, name, [0, twin]) == expected


def test_a_matching_run_orders_homonyms(
    run: Path, small_run: Path, small_data: Path, tmp_path: Path, mentions: list[Mention]
) -> None:
    data = _with_twins(small_data, tmp_path)
    linker = _linker(run, data, f"method.matching.run={small_run}")
    matching = melder.load(small_run, data=data)
    found, plain = linker.link(mentions, k=99), matching.link(mentions, k=99)
    assert isinstance(found, list)
    assert isinstance(plain, list)
    for one, other in zip(found, plain, strict=True):
        order = [[each.id for each in link.candidates if each.id in ("Q0", "Twin")] for link in (one, other)]
        assert order[0] == order[1]


def test_names_have_all_their_owners() -> None:
    entities = [
        Entity(id="a", name="Java", aliases=("Jawa",)),
        Entity(id="b", name=" Java "),
        Entity(id="c", name="Jawa"),
        Entity(id="d"),
        Entity(id="e", aliases=("Nameless",)),
    ]
    plain, more = Names.of(entities), Names.of(entities, aliases=True)
    assert dict(zip(plain.texts, plain.owners, strict=True)) == {"Java": [0, 1], "Jawa": [2], "Nameless": [4]}
    assert dict(zip(more.texts, more.owners, strict=True)) == {"Java": [0, 1], "Jawa": [0, 2], "Nameless": [4]}


def test_aliases_may_be_answered(run: Path, small_data: Path, mentions: list[Mention]) -> None:
    linker = _linker(run, small_data, "method.aliases=true")
    assert len(linker.names.texts) == 24
    plain = _linker(run, small_data)
    links, fewer = linker.link(mentions[:3], k=99), plain.link(mentions[:3], k=99)
    assert isinstance(links, list)
    assert isinstance(fewer, list)
    for link, other in zip(links, fewer, strict=True):
        scores = {each.id: each.score for each in other.candidates}
        assert all(each.score >= scores[each.id] - 1e-6 for each in link.candidates)


def test_an_answer_outside_the_knowledge_base_is_an_error(linker: GenerativeLinker) -> None:
    with pytest.raises(MelderError, match=r"mention 'm', field 'answer': 'Q99' is not in the knowledge base"):
        linker.ranks([Mention(id="m", text="x", surface="x", answer="Q99")])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("demonstrations/demonstrations.safetensors", None),
        ("language_model/config.json", None),
        ("language_model/model.safetensors", b"0" * 50),
        ("model.safetensors", b"0" * 50),
    ],
)
def test_a_damaged_run_is_an_error_that_names_it(
    run: Path, small_data: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_bytes(content)
    with pytest.raises(MelderError, match=str(tmp_path / "run")):
        open_linker(copied, load(small_data))


def _linker(run: Path, data: Path, *changes: str) -> GenerativeLinker:
    linker = open_linker(run, load(data), changes=changes)
    assert isinstance(linker, GenerativeLinker)
    return linker


def _changed(mention: Mention, **changes: object) -> Mention:
    return mention.model_copy(update=changes)


def _answered(mentions: list[Mention]) -> list[Mention]:
    return [mention for mention in mentions if mention.answer is not None]


def _with_twins(small_data: Path, tmp_path: Path) -> Path:
    """The small data set with a second entity of the first one's name."""
    data = Path(shutil.copytree(small_data, tmp_path / "data"))
    records = small.read_lines(data / "entities.jsonl")
    twin = records[0] | {"id": "Twin", "description": "A tax on paper in 1812.", "images": [], "aliases": []}
    small.write_lines(data / "entities.jsonl", [*records, twin])
    return data


def test_the_data_set_is_the_knowledge_base_by_default(linker: GenerativeLinker) -> None:
    assert isinstance(linker.data, DataSet)
    assert linker.data is linker.knowledge_base
    assert json.loads(linker.link("a fox", k=1).model_dump_json())["nil_probability"] is None  # type: ignore[union-attr]


def test_the_trie_of_many_names_is_kept_in_the_run(
    run: Path, small_data: Path, tmp_path: Path, mentions: list[Mention], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    assert not (copied / NAMES).exists()
    monkeypatch.setattr(name_search, "KEPT_FROM", 1)
    first = _linker(copied, small_data)
    assert len(list((copied / NAMES).iterdir())) == 1
    written = _refuse_to_write(monkeypatch)
    assert _linker(copied, small_data).link(mentions[:3]) == first.link(mentions[:3])
    with pytest.raises(AssertionError, match="was written again"):
        _linker(copied, _with_twins(small_data, tmp_path), "method.aliases=true")
    assert written


def test_any_knowledge_base_can_be_linked_to(
    run: Path, small_run: Path, small_data: Path, tmp_path: Path, mentions: list[Mention]
) -> None:
    base, silent = tmp_path / "kb", lambda title, total: lambda done: None
    build(base, EntityFile(small_data / "entities.jsonl"), run=small_run, counting=silent)
    expected = _linker(run, small_data)
    found = melder.load(run, data=base)
    assert isinstance(found, GenerativeLinker)
    mention = Mention(id="m", text="a red kite", surface="kite", image=str(small_data / "images/0.png"))
    own = mention.model_copy(update={"image": "images/0.png"})
    assert found.link([mention], k=20) == expected.link([own], k=20)
    figures = evaluate_run(run, small_data, "dev", EvaluationOptions(knowledge_base=base), counting=silent).figures
    assert figures["mrr"] == pytest.approx(evaluate_run(run, small_data, "dev", counting=silent).figures["mrr"])
    both = melder.load(run, data=base, changes=[f"method.matching.run={small_run}", "method.matching.top=4"])
    assert isinstance(both, RerankingLinker)
    fused = melder.load(run, data=small_data, changes=[f"method.matching.run={small_run}", "method.matching.top=4"])
    assert _ids(both.link([mention], k=4)) == _ids(fused.link([own], k=4))
    remove_entities(base, ["Q0"])
    assert "Q0" not in _ids(melder.load(run, data=base).link([mention], k=20))
    with pytest.raises(MelderError, match="was built with another model"):
        melder.load(run, data=base, changes=[f"method.matching.run={_other_matching(small_run, tmp_path)}"])


def test_a_knowledge_base_cannot_be_built_with_it(run: Path, small_data: Path, tmp_path: Path) -> None:
    entities = EntityFile(small_data / "entities.jsonl")
    with pytest.raises(MelderError, match=r"has no sides to store; .* link to it with `melder link .* --data KB`"):
        build(tmp_path / "kb", entities, run=run, counting=lambda title, total: lambda done: None)
    assert not (tmp_path / "kb").exists()


def test_a_method_that_writes_names_has_no_nil_to_evaluate(run: Path, small_run: Path, small_data: Path) -> None:
    second = (f"method.matching.run={small_run}", "method.matching.top=3")
    for changes in ((), second):
        with pytest.raises(MelderError, match="writes names, or has a second look, and has no NIL probabilities"):
            evaluate_run(
                run,
                small_data,
                "dev",
                EvaluationOptions(changes=changes, nil_threshold=0.5),
                counting=lambda title, total: lambda done: None,
            )


def test_without_the_picture_modality_every_prefix_is_that_of_a_vector_of_zeros(
    run: Path, small_data: Path, mentions: list[Mention]
) -> None:
    shown = _linker(run, small_data)
    bare = GenerativeLinker(shown.model, load(small_data), modalities=["text"])
    assert any(picture is not None for picture in shown.model.pictures(shown.items(mentions)).rows())
    assert all(picture is None for picture in bare.model.pictures(bare.items(mentions)).rows())
    fresh = LinearMapper(5, 2, 4)
    zeros = torch.zeros(1, 5)
    assert torch.equal(fresh(zeros, torch.tensor([False])), fresh(zeros, torch.tensor([True])))


def _refuse_to_write(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    written: list[str] = []

    def fail(*arguments: object) -> None:
        written.append("once")
        raise AssertionError("was written again")

    monkeypatch.setattr(NameTrie, "build", fail)
    monkeypatch.setattr(NameTrie, "save", fail)
    return written


def _ids(found: object) -> list[str]:
    assert isinstance(found, list)
    return [each.id for link in found for each in link.candidates]


def _other_matching(small_run: Path, tmp_path: Path) -> Path:
    """The same run with other weights."""
    other = Path(shutil.copytree(small_run, tmp_path / "other"))
    state = load_file(other / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in state.items()}, other / "model.safetensors")
    return other
