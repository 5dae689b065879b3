"""Calls about tastes: what to send, and what to make of the answer; `tastes` and `aio_tastes` only do the waiting."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from beholder.client import taste_wire as wire
from beholder.client.calls import Call, Terms
from beholder.client.opinions import ImageId, TasteImage
from beholder.client.taste_results import (
    Choice,
    Comparison,
    Removed,
    SuggestedPair,
    Taste,
    TasteDetails,
)
from beholder.v1 import taste_service_pb2 as pb

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


class TasteCall(Call[Q, A, R]):
    """A call of TasteService.

    Args:
        method: such as `CreateTaste`.
    """

    def __init__(self, method: str, request: Q, decode: Callable[[A], R], terms: Terms) -> None:
        super().__init__(request, decode, terms)
        self.method = method


def create_call(
    name: str, encoder: str, terms: Terms
) -> TasteCall[pb.CreateTasteRequest, pb.CreateTasteResponse, Taste]:
    """Build the call that makes an empty taste."""
    request = pb.CreateTasteRequest(name=name, encoder=encoder, request_id=terms.request_id)
    return TasteCall("CreateTaste", request, lambda answer: wire.taste_from(answer.taste), terms)


def remove_call(
    name: str,
    image_ids: str | ImageId | Iterable[str | ImageId],
    choices: Iterable[Choice | tuple[str | ImageId, str | ImageId]],
    expected_version: int,
    terms: Terms,
) -> TasteCall[pb.RemoveOpinionsRequest, pb.RemoveOpinionsResponse, Removed]:
    """Build the call that takes opinions back."""
    ids = [image_ids] if isinstance(image_ids, str | ImageId) else image_ids
    pairs = [one if isinstance(one, Choice) else Choice(str(one[0]), str(one[1])) for one in choices]
    request = pb.RemoveOpinionsRequest(
        name=name,
        image_ids=map(str, ids),
        choices=map(wire.choice_to, pairs),
        request_id=terms.request_id,
        expected_version=expected_version,
    )
    return TasteCall("RemoveOpinions", request, wire.removed_from, terms)


def get_call(name: str, terms: Terms) -> TasteCall[pb.GetTasteRequest, pb.GetTasteResponse, TasteDetails]:
    """Build the call that tells all about a taste."""
    return TasteCall("GetTaste", pb.GetTasteRequest(name=name), wire.details_from, terms)


def list_call(
    page_token: str, terms: Terms
) -> TasteCall[pb.ListTastesRequest, pb.ListTastesResponse, tuple[list[Taste], str]]:
    """Build the call for one page of tastes and the token of the next."""
    return TasteCall("ListTastes", pb.ListTastesRequest(page_token=page_token), wire.page_from, terms)


def delete_call(
    name: str, expected_version: int, terms: Terms
) -> TasteCall[pb.DeleteTasteRequest, pb.DeleteTasteResponse, bool]:
    """Build the call that forgets a taste."""
    request = pb.DeleteTasteRequest(name=name, request_id=terms.request_id, expected_version=expected_version)
    return TasteCall("DeleteTaste", request, lambda _: True, terms)


def suggest_call(
    name: str, candidates: Sequence[TasteImage], groups: Sequence[str], limit: int, terms: Terms
) -> TasteCall[pb.SuggestPairsRequest, pb.SuggestPairsResponse, list[SuggestedPair]]:
    """Build the call for the pairs whose comparison would teach most.

    Raises:
        InvalidSample: an image can't be read.
    """
    images = wire.images_to(candidates, "candidates", terms.images)
    request = pb.SuggestPairsRequest(name=name, candidates=images, groups=groups, limit=limit)
    return TasteCall("SuggestPairs", request, wire.pairs_from, terms)


def compare_call(
    first: str, second: str, candidates: Sequence[TasteImage], terms: Terms
) -> TasteCall[pb.CompareTastesRequest, pb.CompareTastesResponse, Comparison]:
    """Build the call that compares two tastes.

    Raises:
        InvalidSample: an image can't be read.
    """
    images = wire.images_to(candidates, "candidates", terms.images)
    request = pb.CompareTastesRequest(first=first, second=second, candidates=images)
    return TasteCall("CompareTastes", request, wire.comparison_from, terms)


def export_call(name: str, terms: Terms) -> TasteCall[pb.ExportTasteRequest, pb.ExportTasteResponse, bytes]:
    """Build the call for a taste in the form that an import takes."""
    request = pb.ExportTasteRequest(name=name)
    return TasteCall("ExportTaste", request, lambda answer: answer.taste.SerializeToString(deterministic=True), terms)


def import_call(
    data: bytes, name: str, terms: Terms
) -> TasteCall[pb.ImportTasteRequest, pb.ImportTasteResponse, Taste]:
    """Build the call that makes a taste of what an export gave.

    Raises:
        InvalidSample: the data is nothing of the kind.
    """
    request = pb.ImportTasteRequest(name=name, taste=wire.export_to(data), request_id=terms.request_id)
    return TasteCall("ImportTaste", request, lambda answer: wire.taste_from(answer.taste), terms)


def move_call(
    name: str, encoder: str, expected_version: int, terms: Terms
) -> TasteCall[pb.MoveTasteRequest, pb.MoveTasteResponse, Taste]:
    """Build the call that embeds a taste by another encoder."""
    request = pb.MoveTasteRequest(
        name=name, encoder=encoder, request_id=terms.request_id, expected_version=expected_version
    )
    return TasteCall("MoveTaste", request, lambda answer: wire.taste_from(answer.taste), terms)
