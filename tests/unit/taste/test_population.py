"""What most people like: a planted preference is found, and nonsense is refused."""

import dataclasses
import itertools

import numpy as np
import pytest
from taste_making import WIDTH, background, images, told

from beholder.taste.crowd import Pair, Rating, pool
from beholder.taste.evidence import RATING_SCALE
from beholder.taste.learner import PRIOR_SD, fit
from beholder.taste.population import MAX_TURNS, MIN_IMAGES, fit_prior, spearman, worth_of

ROWS = images(120, seed=3)
NAMES = [f"{row:03d}.png" for row in range(len(ROWS))]
EMBEDDINGS = dict(zip(NAMES, ROWS, strict=True))
LIKING = np.random.default_rng(8).normal(size=WIDTH)
LATENT = (ROWS - 1) @ LIKING / ((ROWS - 1) @ LIKING).std()
FRESH = images(500, seed=4)
TRUTH = (FRESH - 1) @ LIKING


def ratings(people: int = 12, each: int = 40, noise: float = 1.0) -> list[Rating]:
    """Return ratings of people who agree on what is liked, and on no scale."""
    rng = np.random.default_rng(1)
    said = []
    for person in range(people):
        middle, size = rng.uniform(-50, 50), rng.uniform(0.1, 30)
        for row in rng.permutation(len(ROWS))[:each]:
            value = middle + size * (LATENT[row] + noise * rng.normal())
            said.append(Rating(NAMES[row], value, f"person {person:02d}"))
    return said


def pairs(people: int = 12, each: int = 60) -> list[Pair]:
    rng = np.random.default_rng(2)
    said = []
    for person, _ in itertools.product(range(people), range(each)):
        one, other = rng.choice(len(ROWS), 2, replace=False)
        gap = LATENT[one] - LATENT[other]
        if abs(gap) < 0.2:
            said.append(Pair(NAMES[one], NAMES[other], True, f"person {person:02d}"))
        else:
            better, worse = (one, other) if rng.random() < 1 / (1 + np.exp(-2 * gap)) else (other, one)
            said.append(Pair(NAMES[better], NAMES[worse], False, f"person {person:02d}"))
    return said


@pytest.mark.parametrize(("rated", "compared"), [(ratings(), []), ([], pairs()), (ratings(6), pairs(6))])
def test_a_planted_preference_is_found(rated: list[Rating], compared: list[Pair]) -> None:
    prior = fit_prior(rated, compared, EMBEDDINGS, background())
    assert spearman(background().project(FRESH) @ prior.weights, TRUTH) > 0.9
    prior.check_fits(background())


def test_who_was_told_nothing_likes_what_most_people_like() -> None:
    prior = fit_prior(ratings(), [], EMBEDDINGS, background())
    verdict = fit(told(ROWS), background(), prior).judge(background().project(FRESH))
    assert spearman(verdict.mean, TRUTH) > 0.9
    assert verdict.p_like[TRUTH.argmax()] > 0.6 > 0.4 > verdict.p_like[TRUTH.argmin()]


def test_a_prior_leaves_room_for_the_person() -> None:
    """Who says the opposite of everybody is believed after a few examples, and as unsure as without a prior before."""
    prior = fit_prior(ratings(noise=0.0), [], EMBEDDINGS, background())
    z = background().project(FRESH)
    assert np.sqrt(np.mean((background().project(ROWS) @ prior.weights + prior.bias) ** 2)) <= RATING_SCALE + 1e-9
    order = np.argsort(LATENT)
    opposite = fit(told(ROWS, likes=order[:15:2], dislikes=order[-15::2]), background(), prior).judge(z)
    assert spearman(opposite.mean, TRUTH) < -0.3
    assert np.median(fit(told(ROWS), background(), prior).judge(z).sd) == pytest.approx(PRIOR_SD, rel=0.1)


def test_choices_of_people_who_never_differ_leave_room_too() -> None:
    order = np.argsort(LATENT)
    certain = [Pair(NAMES[better], NAMES[worse]) for worse, better in itertools.pairwise(order)] * 50
    prior = fit_prior([], certain, EMBEDDINGS, background())
    assert np.sqrt(np.mean((background().project(ROWS) @ prior.weights + prior.bias) ** 2)) <= RATING_SCALE + 1e-9


def test_held_out_measures_know_a_preference_from_none() -> None:
    worth = worth_of(pool(ratings(), [], EMBEDDINGS, background()), background())
    assert worth.spearman > 0.7
    assert worth.right > 0.75
    assert worth.people == 12
    assert worth.persons_right - 2 * worth.error > 0.6
    rng = np.random.default_rng(5)
    noise = [dataclasses.replace(one, value=float(rng.normal())) for one in ratings()]
    nothing = worth_of(pool(noise, [], EMBEDDINGS, background()), background())
    assert abs(nothing.spearman) < 0.25
    assert abs(nothing.right - 0.5) < 0.1
    assert abs(nothing.persons_right - 0.5) < 0.08


def test_many_people_are_left_out_in_groups_and_each_is_measured() -> None:
    many = MAX_TURNS + 11
    worth = worth_of(pool(ratings(many, each=15), [], EMBEDDINGS, background()), background())
    assert worth.people == many
    assert 0.6 < worth.persons_right < 0.8


def test_measures_of_choices_are_of_choices() -> None:
    worth = worth_of(pool([], pairs(), EMBEDDINGS, background()), background())
    assert worth.spearman is None
    assert worth.right > 0.7
    assert worth.persons_right > 0.65


def test_people_of_opposite_tastes_foretell_each_other_worse_than_chance() -> None:
    said = [Rating(name, float(value), "ann") for name, value in zip(NAMES, LATENT, strict=True)]
    said += [Rating(name, -float(value), "bob") for name, value in zip(NAMES, LATENT, strict=True)]
    worth = worth_of(pool(said, [], EMBEDDINGS, background()), background())
    assert worth.persons_right < 0.2


def test_without_names_there_is_nobody_to_leave_out() -> None:
    nameless = [dataclasses.replace(one, person="") for one in ratings(noise=0.2)]
    worth = worth_of(pool(nameless, [], EMBEDDINGS, background()), background())
    assert (worth.people, worth.persons_right, worth.error) == (0, None, None)
    assert "people who are not named" in fit_prior(nameless, [], EMBEDDINGS, background()).card


def test_one_person_alone_is_left_out_of_nothing() -> None:
    worth = worth_of(pool(ratings(1), [], EMBEDDINGS, background()), background())
    assert (worth.people, worth.persons_right) == (0, None)


def test_the_order_of_telling_makes_no_difference() -> None:
    one = fit_prior(ratings(4), pairs(4), EMBEDDINGS, background())
    other = fit_prior(ratings(4)[::-1], pairs(4)[::-1], dict(reversed(EMBEDDINGS.items())), background())
    assert np.array_equal(one.weights, other.weights)
    assert (one.bias, one.card) == (other.bias, other.card)


def test_a_persons_scale_makes_no_difference() -> None:
    scaled = [dataclasses.replace(one, value=1e6 * one.value + 7) for one in ratings(4)]
    one, other = (pool(said, [], EMBEDDINGS, background()) for said in (ratings(4), scaled))
    assert np.allclose(one.standard, other.standard, atol=1e-9)
    for person in range(4):
        own = one.standard[one.rater == person]
        assert (own.mean(), own.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))


def test_ratings_of_any_size_are_standardised() -> None:
    for size in (1e-300, 1e300):
        said = [Rating(name, size * (1 + at % 3), "ann") for at, name in enumerate(NAMES)]
        assert pool(said, [], EMBEDDINGS, background()).standard.std() == pytest.approx(1)


def test_who_rates_one_image_or_all_alike_is_left_out_and_told() -> None:
    said = [*ratings(3), Rating(NAMES[0], 5, "once"), *(Rating(name, 3, "alike") for name in NAMES)]
    crowd = pool(said, [], EMBEDDINGS, background())
    assert crowd.people == ("person 00", "person 01", "person 02")
    assert crowd.silent == 2
    assert "left out: 2 people" in fit_prior(said, [], EMBEDDINGS, background()).card


def test_who_rates_all_alike_is_still_heard_in_choices() -> None:
    said = [Rating(name, 3, "alike") for name in NAMES]
    crowd = pool(said, [Pair(NAMES[0], NAMES[1], person="alike")], EMBEDDINGS, background())
    assert (crowd.people, crowd.silent) == (("alike",), 0)


def test_the_same_pair_both_ways_is_one_row_of_a_half() -> None:
    said = [Pair(NAMES[1], NAMES[0]), Pair(NAMES[0], NAMES[1]), Pair(NAMES[0], NAMES[1], is_tie=True)]
    evidence = pool(said[:0], said, EMBEDDINGS, background()).evidence(np.ones(2, dtype=bool))
    assert evidence.design.shape == (1, background().dimensions + 1)
    assert (evidence.target.tolist(), evidence.weight.tolist(), evidence.has_bias) == ([0.5], [3.0], False)


def test_the_card_says_what_it_was_learned_from_and_how_well() -> None:
    card = fit_prior(ratings(), pairs(2), EMBEDDINGS, background(), version=4).card
    for part in (
        "version 4",
        f"encoder {background().encoder_digest}",
        f"background {background().digest}",
        "480 ratings and 120 pairs",
        "of 120 images by 12 people",
        "Spearman's correlation with the mean rating 0.",
        "12 people's own pairs told right",
    ):
        assert part in card


def test_what_nothing_can_be_learned_from_is_refused() -> None:
    def refuse(rated: list[Rating], compared: list[Pair], match: str) -> None:
        with pytest.raises(ValueError, match=match):
            fit_prior(rated, compared, EMBEDDINGS, background())

    refuse([], [], "no opinion tells one image from another")
    refuse([Rating(name, 3, "alike") for name in NAMES], [], "no opinion tells")
    refuse([Rating(name, 3, name) for name in NAMES], [], "no opinion tells")
    refuse([], [Pair(one, other, True) for one, other in itertools.pairwise(NAMES)], "no opinion tells")
    refuse([], [Pair(NAMES[0], NAMES[0])], "with itself")
    refuse([Rating(NAMES[0], np.nan), Rating(NAMES[1], 1)], [], "finite")
    refuse([Rating(NAMES[0], np.inf), Rating(NAMES[1], 1)], [], "finite")
    refuse([Rating("gone.png", 1), Rating(NAMES[1], 2)], [], r"no embedding of image 'gone\.png'")
    few = [Rating(name, at) for at, name in enumerate(NAMES[: MIN_IMAGES - 1])]
    refuse(few, [], f"at least {MIN_IMAGES} images, got {MIN_IMAGES - 1}")


@pytest.mark.parametrize("compared", [True, False])
def test_the_fewest_images_are_enough(compared: bool) -> None:
    names = NAMES[:MIN_IMAGES]
    rated = [] if compared else [Rating(name, float(value)) for name, value in zip(names, LATENT, strict=False)]
    chosen = [Pair(names[0], name) for name in names[1:]] if compared else []
    prior = fit_prior(rated, chosen, EMBEDDINGS, background())
    assert np.isfinite(prior.weights).all()


def test_images_that_are_all_alike_say_nothing() -> None:
    alike = dict.fromkeys(NAMES, ROWS[0])
    prior = fit_prior(ratings(3), [], alike, background())
    assert np.isfinite([*prior.weights, prior.bias]).all()
    assert np.abs(background().project(ROWS[:1]) @ prior.weights + prior.bias) < 0.5


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3], [10, 20, 90], 1),
        ([1, 2, 3], [3, 2, 1], -1),
        ([1, 1, 1], [1, 2, 3], 0),
        ([1, 2, 2, 3], [1, 3, 2, 4], 0.9486833),
    ],
)
def test_rank_correlation_has_the_published_form(one: list[float], other: list[float], expected: float) -> None:
    assert spearman(np.array(one, dtype=float), np.array(other, dtype=float)) == pytest.approx(expected)
