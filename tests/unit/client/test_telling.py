"""Opinions in requests of the size that a server takes: what is sent, what is sent again, what is told of it."""

from pathlib import Path

import pytest
from taste_answers import BROKEN, FULL, added, id_of, opinions

from beholder.client import ImageId, Told, Verdict, telling
from beholder.client.calls import Terms
from beholder.client.opinions import NewOpinion
from beholder.client.retry import Retry
from beholder.client.telling import AddCall, Telling, derived_id
from beholder.errors import InvalidSample, QueueFull, ScorerNotFound, Unavailable, VersionConflict
from beholder.v1 import scores_pb2


def like(number: int) -> NewOpinion:
    return NewOpinion(f"likes[{number}]", "like", (ImageId(id_of(number)),))


def likes(count: int) -> list[NewOpinion]:
    return [like(number) for number in range(count)]


def terms(request_id: str) -> Terms:
    return Terms(Retry(2, first_s=1.0, jitter=lambda: 1.0), 100.0, request_id)


def calls(it: Telling) -> list[AddCall]:
    """Return all calls, each answered with no error."""
    made = []
    while call := it.next_call(terms):
        call.answered(added(*range(len(call.request.opinions)), version=len(made) + 2), 0.0)
        it.took(call)
        made.append(call)
    return made


def first(it: Telling) -> AddCall:
    call = it.next_call(terms)
    assert call is not None
    return call


def test_every_kind_of_opinion_has_its_word_on_the_wire() -> None:
    one, other = ImageId(id_of(1)), ImageId(id_of(2))
    said = [
        NewOpinion("likes[0]", "like", (b"file",)),
        NewOpinion("dislikes[0]", "dislike", (one,)),
        NewOpinion("ratings[0]", "rating", (one,), (4.0, 1.0, 5.0)),
        NewOpinion("choices[0]", "choice", (one, other)),
        NewOpinion("ties[0]", "tie", (one, other)),
    ]
    sent = first(Telling("ann", said, "mine", 0)).request.opinions
    assert [message.WhichOneof("opinion") for message in sent] == ["like", "dislike", "rating", "choice", "choice"]
    assert sent[0].like.image.encoded == b"file"
    assert sent[1].dislike.id == one.hex
    rating = sent[2].rating
    assert (rating.image.id, rating.value, rating.lowest, rating.highest) == (one.hex, 4.0, 1.0, 5.0)
    assert [(one.choice.better.id, one.choice.worse.id, one.choice.is_tie) for one in sent[3:]] == [
        (one.hex, other.hex, False),
        (one.hex, other.hex, True),
    ]


def test_few_opinions_are_one_request_with_the_callers_id() -> None:
    (call,) = calls(Telling("ann", likes(256), "mine", 0))
    assert (call.request.name, call.request.request_id, call.request.expected_version) == ("ann", "mine", 0)
    assert call.metadata == (("x-request-id", "mine"),)


def test_many_opinions_are_requests_in_order_with_ids_made_from_the_callers() -> None:
    it = Telling("ann", likes(600), "mine", 0)
    made = calls(it)
    assert [len(call.request.opinions) for call in made] == [256, 256, 88]
    assert [call.request.opinions[0].like.id for call in made] == [id_of(0), id_of(256), id_of(512)]
    again = [call.request.request_id for call in calls(Telling("ann", likes(600), "mine", 0))]
    other = [call.request.request_id for call in calls(Telling("ann", likes(600), "yours", 0))]
    assert [call.request.request_id for call in made] == again
    assert len({*again, *other}) == 6
    assert len(it.told.outcomes) == 600


def test_big_images_are_split_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "PART_BYTES", 1000)
    said = [
        NewOpinion(f"likes[{place}]", "like", (bytes(size),)) for place, size in enumerate([400, 400, 400, 3000, 1])
    ]
    it = Telling("ann", said, "mine", 0)
    parts = [[len(message.like.image.encoded) for message in call.request.opinions] for call in calls(it)]
    assert parts == [[400, 400], [400], [3000], [1]]
    assert [outcome.field for outcome in it.told.outcomes] == [f"likes[{place}]" for place in range(5)]


def test_no_more_files_are_read_than_the_next_request_takes(tmp_path: Path) -> None:
    """Ten thousand photos are more than there is memory."""
    said = [NewOpinion(f"likes[{place}]", "like", (tmp_path / f"{place}",)) for place in range(300)]
    for place in range(257):
        (tmp_path / f"{place}").write_bytes(b"image")
    it = Telling("ann", said, "mine", 0)
    assert len(first(it).request.opinions) == 256
    for place in range(257, 300):
        (tmp_path / f"{place}").write_bytes(b"image")
    assert len(first(it).request.opinions) == 44


def test_an_expected_version_is_carried_on_from_request_to_request() -> None:
    made = calls(Telling("ann", likes(600), "mine", 7))
    assert [call.request.expected_version for call in made] == [7, 2, 3]
    assert [call.request.expected_version for call in calls(Telling("ann", likes(600), "mine", 0))] == [0, 0, 0]


def test_an_image_that_cannot_be_read_is_its_own_error_and_never_sent() -> None:
    said = [like(0), NewOpinion("dislikes[0]", "dislike", ("/nowhere/gone.png",)), like(1)]
    it = Telling("ann", said, "mine", 0)
    (call,) = calls(it)
    assert [message.like.id for message in call.request.opinions] == [id_of(0), id_of(1)]
    error = it.told.errors["dislikes[0]"]
    assert isinstance(error, InvalidSample)
    assert (error.field, error.message) == (
        "dislikes[0]",
        "image: can't read /nowhere/gone.png: No such file or directory",
    )
    assert [outcome.field for outcome in it.told.outcomes] == ["likes[0]", "dislikes[0]", "likes[1]"]


def test_of_a_choice_it_is_told_which_image_cannot_be_read() -> None:
    it = Telling("ann", [NewOpinion("choices[0]", "choice", (ImageId(id_of(0)), "/nowhere"))], "mine", 0)
    assert calls(it) == []
    error = it.told.errors["choices[0]"]
    assert isinstance(error, InvalidSample)
    assert error.field == "choices[0].worse"


def test_where_no_image_can_be_read_nothing_is_sent() -> None:
    it = Telling("ann", [NewOpinion("likes[0]", "like", ("/nowhere",))], "mine", 0)
    assert it.next_call(terms) is None
    assert (it.told.taste, it.told.ok) == (None, False)


def test_no_opinions_at_all_are_left_to_the_server_to_refuse() -> None:
    it = Telling("ann", [], "mine", 0)
    assert len(calls(it)) == 1


def test_the_servers_errors_name_opinions_as_the_caller_knows_them() -> None:
    choice = NewOpinion("choices[4]", "choice", (ImageId(id_of(0)), ImageId(id_of(1))))
    it = Telling("ann", [choice, like(3)], "mine", 0)
    call = first(it)
    assert call.answered(added(BROKEN, 3), 0.0) is None
    it.took(call)
    error = it.told.errors["choices[4]"]
    assert isinstance(error, InvalidSample)
    assert (error.field, error.message) == ("choices[4].worse", "image is broken")
    assert it.told.outcomes[1].image_ids == (id_of(3),)


def test_what_was_replaced_is_told() -> None:
    it = Telling("ann", likes(2), "mine", 0)
    call, answer = first(it), added(0, 1)
    answer.replaced.extend(opinions((1, -1.0)))
    call.answered(answer, 0.0)
    it.took(call)
    assert it.told.replaced == (Verdict(id_of(1), "dislike", -1.0),)


def test_only_what_was_refused_for_now_is_sent_again_under_another_id() -> None:
    call = first(Telling("ann", likes(3), "mine", 0))
    assert call.answered(added(0, FULL, BROKEN), 0.0) == 1.0
    assert [message.like.id for message in call.request.opinions] == [id_of(1)]
    assert call.request.request_id == derived_id("mine", "try 1") != "mine"
    assert call.answered(added(1, version=3), 1.0) is None
    assert [bool(call.outcomes[place].error) for place in range(3)] == [False, False, True]
    assert call.taste is not None
    assert call.taste.version == 3


def test_after_the_last_retry_the_refusal_is_the_outcome() -> None:
    call = first(Telling("ann", likes(1), "mine", 0))
    assert [call.answered(added(FULL), 0.0) for _ in range(3)] == [1.0, 2.0, None]
    assert isinstance(call.outcomes[0].error, QueueFull)


def test_a_request_that_was_not_answered_is_sent_again_with_the_same_id() -> None:
    call = first(Telling("ann", likes(1), "mine", 0))
    assert call.failed(Unavailable("away"), 0.0) == 1.0
    assert call.request.request_id == "mine"


def test_a_failure_after_some_were_told_leaves_what_was_told() -> None:
    call = first(Telling("ann", likes(2), "mine", 0))
    call.answered(added(0, FULL), 0.0)
    assert call.failed(ScorerNotFound("gone"), 1.0) is None
    assert call.outcomes[0].image_ids == (id_of(0),)


def test_a_first_request_that_fails_raises() -> None:
    it = Telling("ann", likes(300), "mine", 0)
    conflict = VersionConflict("it is of version 9")
    with pytest.raises(VersionConflict):
        first(it).failed(conflict, 0.0)
    with pytest.raises(VersionConflict):
        it.failed(conflict)


def test_a_failed_request_names_the_opinion_at_fault() -> None:
    call = first(Telling("ann", [like(5)], "mine", 0))
    error = InvalidSample("what is this", "opinions[0].rating.value")
    with pytest.raises(InvalidSample):
        call.failed(error, 0.0)
    assert error.field == "likes[5]"


def test_a_later_request_that_fails_is_the_error_of_what_is_not_told_yet() -> None:
    it = Telling("ann", likes(600), "mine", 0)
    call = first(it)
    call.answered(added(*range(256)), 0.0)
    it.took(call)
    assert first(it) is not None
    it.failed(Unavailable("away"))
    assert it.next_call(terms) is None
    told: Told = it.told
    assert [bool(outcome.error) for outcome in told.outcomes] == [False] * 256 + [True] * 344
    assert isinstance(told.errors["likes[599]"], Unavailable)


def test_errors_of_the_wire_have_a_class_of_their_own() -> None:
    call = first(Telling("ann", likes(1), "mine", 0))
    call.answered(added(scores_pb2.Error(code=scores_pb2.ERROR_CODE_NOT_FOUND, message="no such image")), 0.0)
    assert isinstance(call.outcomes[0].error, ScorerNotFound)
