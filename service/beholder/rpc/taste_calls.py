"""What each call of TasteService does, message in and message out; blocks, and knows no connection."""

import re
from typing import Any

from beholder.errors import InvalidSample, TasteNotServed
from beholder.rpc import taste_convert as convert
from beholder.rpc.finding import NO_STORE
from beholder.rpc.regions import NOTHING_LENT, Reader, Regions
from beholder.store.changes import Changes
from beholder.store.store import Summary
from beholder.taste.tastes import Tastes
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1 import tastes_pb2

PAGE, MAX_PAGE = 100, 1000


class TasteCalls:
    """Answers the calls of TasteService.

    Args:
        tastes: None where none are kept: then every call says so.
        max_samples: opinions or candidates in one request.
        regions: memory in which callers' images may lie.
    """

    def __init__(self, tastes: Tastes | None, max_samples: int, regions: Regions = NOTHING_LENT) -> None:
        self._kept, self._max_samples, self._regions = tastes, max_samples, regions

    def answer(self, method: str, request: Any, timeout_s: float, call_id: str) -> Any:
        """Answer a call by the name of its method, such as `CreateTaste`."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()
        return getattr(self, name)(request, timeout_s, call_id)

    def create_taste(self, request: pb.CreateTasteRequest, timeout_s: float, call_id: str) -> pb.CreateTasteResponse:
        """Make an empty taste."""
        taste = self._tastes.create(request.name, request.encoder, request.request_id)
        return pb.CreateTasteResponse(taste=self._written(taste))

    def add_opinions(self, request: pb.AddOpinionsRequest, timeout_s: float, call_id: str) -> pb.AddOpinionsResponse:
        """Tell a taste more."""
        self._check_count(len(request.opinions), 1, "opinions")
        opinions = convert.opinions_from(request.opinions, Reader(self._regions))
        told = self._tastes.tell(
            request.name, opinions, request.request_id, request.expected_version, timeout_s=timeout_s
        )
        return pb.AddOpinionsResponse(
            taste=self._written(told.taste),
            results=map(convert.result_to, told.results),
            replaced=map(convert.opinion_to, told.replaced),
        )

    def remove_opinions(
        self, request: pb.RemoveOpinionsRequest, timeout_s: float, call_id: str
    ) -> pb.RemoveOpinionsResponse:
        """Take opinions back."""
        if not (request.image_ids or request.choices):
            raise InvalidSample("want images or choices to forget, got neither", "image_ids")
        pairs = [(choice.better_id, choice.worse_id) for choice in request.choices]
        changes = Changes(remove=request.image_ids, remove_choices=pairs)
        taste, removed = self._tastes.take_back(request.name, changes, request.request_id, request.expected_version)
        return pb.RemoveOpinionsResponse(taste=self._written(taste), removed=map(convert.opinion_to, removed))

    def get_taste(self, request: pb.GetTasteRequest, timeout_s: float, call_id: str) -> pb.GetTasteResponse:
        """Tell all about a taste."""
        portrait = self._tastes.portrait(request.name)
        response = pb.GetTasteResponse(
            taste=self._written(portrait.taste), opinions=map(convert.opinion_to, portrait.opinions)
        )
        if portrait.left_out:
            left_out = portrait.left_out
            response.left_out.count, response.left_out.right = left_out.count, left_out.right
            response.left_out.log_loss = left_out.log_loss
        if portrait.certainty:
            response.certainty.sd, response.certainty.prior_sd = portrait.certainty
        return response

    def list_tastes(self, request: pb.ListTastesRequest, timeout_s: float, call_id: str) -> pb.ListTastesResponse:
        """List tastes by name."""
        size = min(request.page_size or PAGE, MAX_PAGE)
        found = self._tastes.page(request.page_token, size + 1)
        token = found[size - 1].name if len(found) > size else ""
        return pb.ListTastesResponse(tastes=map(self._written, found[:size]), next_page_token=token)

    def delete_taste(self, request: pb.DeleteTasteRequest, timeout_s: float, call_id: str) -> pb.DeleteTasteResponse:
        """Forget a taste."""
        self._tastes.delete(request.name, request.request_id, request.expected_version)
        return pb.DeleteTasteResponse()

    def suggest_pairs(self, request: pb.SuggestPairsRequest, timeout_s: float, call_id: str) -> pb.SuggestPairsResponse:
        """Find what to ask next."""
        self._check_count(len(request.candidates), 2, "candidates")
        if request.groups and len(request.groups) != len(request.candidates):
            want = f"want one for each of {len(request.candidates)} candidates, or none"
            raise InvalidSample(f"{want}, got {len(request.groups)}", "groups")
        questions = self._tastes.suggest(
            request.name,
            convert.images_from(request.candidates, Reader(self._regions)),
            request.groups,
            request.limit or 1,
            timeout_s=timeout_s,
            request_id=call_id,
        )
        return pb.SuggestPairsResponse(
            pairs=[pb.SuggestedPair(first=it.first, second=it.second, gain=it.gain) for it in questions]
        )

    def compare_tastes(
        self, request: pb.CompareTastesRequest, timeout_s: float, call_id: str
    ) -> pb.CompareTastesResponse:
        """Tell how far two tastes agree."""
        self._check_count(len(request.candidates), 0, "candidates")
        candidates = convert.images_from(request.candidates, Reader(self._regions))
        agreement, found = self._tastes.compare(
            request.first, request.second, candidates, timeout_s=timeout_s, request_id=call_id
        )
        return pb.CompareTastesResponse(
            agreement=agreement,
            candidate_agreement=found.rank_correlation if len(candidates) > 1 else None,
            differences=[
                pb.Difference(index=row, first_p_like=found.first[row], second_p_like=found.second[row])
                for row in found.order.tolist()
            ],
        )

    def export_taste(self, request: pb.ExportTasteRequest, timeout_s: float, call_id: str) -> pb.ExportTasteResponse:
        """Give a taste away."""
        return pb.ExportTasteResponse(taste=convert.export_to(self._tastes.export(request.name)))

    def import_taste(self, request: pb.ImportTasteRequest, timeout_s: float, call_id: str) -> pb.ImportTasteResponse:
        """Make a taste of what was exported."""
        name = request.name or request.taste.name
        taste = self._tastes.import_(name, convert.taste_from(request.taste), request.request_id)
        return pb.ImportTasteResponse(taste=self._written(taste))

    def move_taste(self, request: pb.MoveTasteRequest, timeout_s: float, call_id: str) -> pb.MoveTasteResponse:
        """Embed a taste anew."""
        taste = self._tastes.move(
            request.name, request.encoder, request.request_id, request.expected_version, timeout_s=timeout_s
        )
        return pb.MoveTasteResponse(taste=self._written(taste))

    @property
    def _tastes(self) -> Tastes:
        if self._kept is None:
            raise TasteNotServed(NO_STORE)
        return self._kept

    def _written(self, taste: Summary) -> tastes_pb2.Taste:
        return convert.taste_to(taste, self._tastes.not_ready_reason(taste))

    def _check_count(self, count: int, least: int, field: str) -> None:
        if not least <= count <= self._max_samples:
            raise InvalidSample(f"want {least} to {self._max_samples} {field} in one request, got {count}", field)
