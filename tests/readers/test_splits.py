"""A part of train to select on, which shares nothing with the rest."""

from __future__ import annotations

import random

import pytest

from melder.data import tune_split
from melder.records import MelderError, Mention


def mention(number: int, text: str = "", image: str | None = None) -> Mention:
    return Mention(id=f"m{number}", text=text or f"text {number}", image=image)


def ids(mentions: list[Mention]) -> set[str]:
    return {mention.id for mention in mentions}


def test_a_tenth_is_set_aside_and_nothing_is_lost():
    mentions = [mention(number) for number in range(1000)]
    rest, tune = tune_split(mentions, seed=0)
    assert len(tune) == 100
    assert sorted(rest + tune, key=lambda m: int(m.id[1:])) == mentions
    assert len(tune_split(mentions, seed=0, share=0.25)[1]) == 250


def test_the_split_depends_on_the_seed_and_not_on_the_order():
    mentions = [mention(number, text=f"t{number // 3}") for number in range(300)]
    shuffled = random.Random(0).sample(mentions, len(mentions))
    assert ids(tune_split(mentions, seed=0)[1]) == ids(tune_split(shuffled, seed=0)[1])
    assert ids(tune_split(mentions, seed=0)[1]) != ids(tune_split(mentions, seed=1)[1])


def test_shared_pictures_and_texts_stay_on_one_side():
    chance = random.Random(0)
    mentions = [mention(n, text=f"t{chance.randrange(150)}") for n in range(300)]
    mentions += [mention(n, image=f"p{chance.randrange(150)}") for n in range(300, 600)]
    mentions += [mention(n, text=f"t{n}", image=f"p{n // 2}") for n in range(600, 700)]  # joined by their pictures
    rest, tune = tune_split(mentions, seed=0, share=0.2)
    assert not {m.text for m in rest} & {m.text for m in tune}
    assert not {m.image for m in rest if m.image} & {m.image for m in tune}
    assert len(tune) == 140


@pytest.mark.parametrize("count", [20, 200, 1000])
def test_entities_stay_on_one_side_where_they_are_to(count: int):
    chance = random.Random(count)
    answers = [None if number % 7 == 0 else f"Q{chance.randrange(count // 4)}" for number in range(count)]
    mentions = [mention(number).model_copy(update={"answer": answer}) for number, answer in enumerate(answers)]
    rest, tune = tune_split(mentions, seed=0, by_entity=True)
    assert {m.answer for m in rest if m.answer} & {m.answer for m in tune} <= {None}
    assert 0 < len(tune) <= max(1, count // 10)
    assert ids(tune) != ids(tune_split(mentions, seed=0)[1])
    assert {m.answer for m in rest} >= {None}


def test_one_entity_cannot_be_held_out_of_itself():
    mentions = [mention(number).model_copy(update={"answer": "Q1"}) for number in range(50)]
    assert tune_split(mentions, seed=0)
    with pytest.raises(MelderError, match="a text or a picture or an answer"):
        tune_split(mentions, seed=0, by_entity=True)


def test_sharing_reaches_through_other_mentions():
    chain = [mention(0, "a", "p"), mention(1, "b", "p"), mention(2, "b"), mention(3, "b")]
    others = [mention(number) for number in range(4, 20)]
    for seed in range(20):
        tune = ids(tune_split(chain + others, seed, share=0.3)[1])
        assert len(tune & ids(chain)) in (0, 4)


def test_a_template_does_not_hold_its_mentions_together():
    mentions = [mention(number, text="Milk in a shop", image=f"{number}.jpg") for number in range(100)]
    assert len(tune_split(mentions, seed=0)[1]) == 10


def test_what_cannot_be_split_is_an_error():
    for mentions in ([], [mention(0)], [mention(number, text="one") for number in range(50)]):
        with pytest.raises(MelderError, match="cannot be split"):
            tune_split(mentions, seed=0)
    with pytest.raises(MelderError, match="between 0 and 1"):
        tune_split([mention(0), mention(1)], seed=0, share=1.0)
