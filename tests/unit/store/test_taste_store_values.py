"""What a write may say, before any database hears it."""

import numpy as np
import pytest

from beholder.errors import (
    Code,
    ConfigError,
    InvalidSample,
    StoreFailed,
    StoreUnavailable,
    TasteExists,
    TasteFull,
    TasteNotFound,
    VersionConflict,
    code_of,
)
from beholder.store import schema
from beholder.store.changes import Changes
from beholder.store.opinions import Choice, Source, Verdict
from beholder.store.store import check_name, check_request_id

A, B = "a" * 64, "b" * 64
LIKE = Verdict(A, 1.0, Source.LIKE)


@pytest.mark.parametrize("name", ["a", "0", "ann", "team-2.ann_b", "a" * 64])
def test_a_plain_name_is_taken(name: str) -> None:
    check_name(name)


def test_a_name_that_is_refused_is_told_in_short() -> None:
    with pytest.raises(InvalidSample) as caught:
        check_name("x" * 1_000_000 + "!")
    assert len(caught.value.message) < 300
    assert caught.value.field == "name"


@pytest.mark.parametrize("request_id", ["", "a" * 65, "a b", "a\n", "ä"])
def test_a_request_id_has_a_form(request_id: str) -> None:
    with pytest.raises(InvalidSample, match="request_id"):
        check_request_id(request_id)


@pytest.mark.parametrize("image", ["", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n"])
def test_an_image_is_named_by_64_hex_digits(image: str) -> None:
    for build in (
        lambda: Changes([Verdict(image, 1.0, Source.LIKE)]),
        lambda: Changes(choices=[Choice(A, image)]),
        lambda: Changes(remove=[image]),
        lambda: Changes(remove_verdicts=[image]),
        lambda: Changes(remove_choices=[(A, image)]),
    ):
        with pytest.raises(InvalidSample, match="64 hex digits"):
            build()


@pytest.mark.parametrize("value", [1.01, -1.01, np.nan, np.inf])
def test_a_value_is_from_minus_one_to_one(value: float) -> None:
    with pytest.raises(InvalidSample, match="-1 to 1"):
        Changes([Verdict(A, value, Source.RATING)])


def test_an_image_is_not_compared_with_itself() -> None:
    for build in (lambda: Changes(choices=[Choice(A, A)]), lambda: Changes(remove_choices=[(A, A)])):
        with pytest.raises(InvalidSample, match="itself"):
            build()


@pytest.mark.parametrize(
    "bad",
    [np.zeros(0), np.zeros((1, 3)), np.array([1.0, np.nan]), np.array([1.0, np.inf])],
)
def test_an_embedding_is_a_row_of_finite_numbers(bad: np.ndarray) -> None:
    with pytest.raises(InvalidSample, match=A):
        Changes([LIKE], embeddings={A: bad.astype(np.float32)})


def test_embeddings_of_one_write_are_equally_long() -> None:
    with pytest.raises(InvalidSample, match="3 finite numbers"):
        Changes(choices=[Choice(A, B)], embeddings={A: np.ones(3, np.float32), B: np.ones(4, np.float32)})


def test_an_embedding_without_opinion_is_refused() -> None:
    with pytest.raises(InvalidSample, match="no opinion"):
        Changes([LIKE], embeddings={B: np.ones(3, np.float32)})


def test_an_original_without_opinion_is_refused() -> None:
    with pytest.raises(InvalidSample, match=f"image {B}: an original, but no opinion"):
        Changes([LIKE], originals={A: b"file", B: b"file"})


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (TasteNotFound, Code.NOT_FOUND),
        (TasteExists, Code.ALREADY_EXISTS),
        (TasteFull, Code.INVALID_ARGUMENT),
        (VersionConflict, Code.ABORTED),
        (StoreUnavailable, Code.UNAVAILABLE),
        (StoreFailed, Code.INTERNAL),
    ],
)
def test_each_error_has_its_code(kind: type[Exception], code: Code) -> None:
    assert code_of(kind("why")) is code


def test_only_what_is_missing_of_a_schema_is_made() -> None:
    known = len(schema.MIGRATIONS)
    assert schema.missing(known, "it", text="TEXT", blob="BLOB") == []
    assert len(schema.missing(0, "it", text="TEXT", blob="BLOB")) == sum(map(len, schema.MIGRATIONS))
    with pytest.raises(ConfigError, match=f"schema is {known + 1}, this one knows up to {known}"):
        schema.missing(known + 1, "it", text="TEXT", blob="BLOB")
