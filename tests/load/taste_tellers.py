"""Those of a crowd who tell tastes, and delete them, and what every answer to that must be."""

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

from beholder.v1 import samples_pb2, tastes_pb2
from beholder.v1 import taste_service_pb2 as pb
from load.taste_crowd import PROBES, Crowd, score_request
from load.taste_people import ENOUGH, Person, Sender, all_said, id_of, picture, said


class Tellers:
    """Each method does what a number says, and returns what came of it."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd, self._expect = crowd, crowd.expect

    async def tell(self, number: int, dice: random.Random) -> str:
        """Tell a taste something, or take something back; perhaps twice, perhaps for a version that is no more."""
        taste = self._crowd.taste(dice)
        person = dice.choice(taste.people)
        async with person.lock:
            sender = Sender(person, number, dice)
            if len(person.opinions) >= ENOUGH:
                request, stays, gone = sender.taking_back()
                return await self._send("RemoveOpinions", request, person, dice, removal=(stays, gone))
            remembered = picture(number * 16 + 15, taste.warm) if dice.random() < 0.2 else None
            if remembered is not None:
                await self._crowd.call("Score", score_request([remembered], [taste.name]))
            telling = sender.telling(remembered)
            self._crowd.owners |= {image: taste.name for kept in telling.told if kept for image in kept[0]}
            return await self._send("AddOpinions", telling.request, person, dice, telling=telling)

    async def _send(self, method: str, request: Any, person: Person, dice: random.Random, **meant: Any) -> str:
        taste, before = person.taste, person.taste.version
        roll = dice.random()
        is_stale = roll < 0.08 and before > 1
        request.expected_version = before - 1 if is_stale else before if roll < 0.16 else 0
        person.pending = (
            meant["removal"][0] if "removal" in meant else meant["telling"].after(person.opinions, set())[0]
        )
        taste.writes += 1
        patience_s = dice.uniform(0, 0.05) if dice.random() < 0.1 else None
        count = 2 if dice.random() < 0.15 else 1
        answers = await asyncio.gather(*(self._crowd.answered(method, request, patience_s) for _ in range(count)))
        if dice.random() < 0.1:
            answers.append(await self._crowd.answered(method, request))
        person.pending = None
        what = f"{method} {request.request_id} of {taste.name}"
        codes = {answer if isinstance(answer, str) else "OK" for answer in answers}
        self._expect(len(codes) == 1, f"{what}: sent again, it was answered {codes}")
        first = answers[0]
        if isinstance(first, str):
            self._expect(first == "ABORTED" and request.expected_version > 0, f"{what}: {first}")
            return first
        for other in answers[1:]:
            same = all(
                list(getattr(first, it)) == list(getattr(other, it))
                for it in ("results", "replaced", "removed")
                if hasattr(first, it)
            )
            self._expect(same, f"{what}: sent again, it was answered otherwise")
        is_write = self._apply(first, person, what, **meant)
        self._expect(not (is_stale and is_write), f"{what}: meant for version {before - 1}, taken at {before}")
        self._expect(
            before + is_write <= first.taste.version <= 1 + taste.writes,
            f"{what}: version {first.taste.version} after {before} and {taste.writes} writes",
        )
        taste.version = max(taste.version, *(answer.taste.version for answer in answers))
        return "OK"

    def _apply(self, answer: Any, person: Person, what: str, telling: Any = None, removal: Any = None) -> bool:
        """Compare an answer with what was meant, and keep what is kept; tell whether the version went up."""
        if removal:
            person.opinions, gone = removal
            self._expect(all_said(answer.removed) == gone, f"{what}: want {gone} removed, got {answer.removed}")
            person.taste.written += 1
            return True
        failed = {place for place, result in enumerate(answer.results) if result.HasField("error")}
        meant = {place for place, kept in enumerate(telling.told) if kept is None}
        self._expect(failed - telling.may_fail == meant, f"{what}: {failed} failed, want {meant}")
        for place, kept in enumerate(telling.told):
            if kept and place not in failed:
                self._expect(sorted(answer.results[place].image_ids) == sorted(kept[0]), f"{what}: other images")
        if len(failed) == len(telling.told):
            return False
        person.opinions, replaced = telling.after(person.opinions, failed)
        self._expect(list(map(said, answer.replaced)) == replaced, f"{what}: want {replaced}, got {answer.replaced}")
        person.taste.written += 1
        return True

    async def begin_anew(self, number: int, dice: random.Random) -> str:
        """Delete a taste and make it again: empty, or of what was exported."""
        taste, name = self._crowd.taste(dice), ""
        async with AsyncExitStack() as stack:
            for person in taste.people:
                await stack.enter_async_context(person.lock)
            name, exported = taste.name, None
            if dice.random() < 0.5:
                exported = (await self._crowd.answered("ExportTaste", pb.ExportTasteRequest(name=name))).taste
                self._expect(all_said(exported.opinions) == taste.opinions, f"{name}: exported is not what was told")
            taste.is_settled = False
            self._expect(taste.version in (0, 1 + taste.written), f"{name}: {taste.version} after {taste.written}")
            gone = pb.DeleteTasteRequest(name=name, request_id=f"d-{number}", expected_version=taste.version)
            if taste.version:
                for _ in range(dice.choice((1, 2))):
                    came = await self._crowd.answered("DeleteTaste", gone, dice.choice((None, 0.001)))
                    self._expect(not isinstance(came, str), f"{name}: deleting: {came}")
                for method, request in (
                    ("GetTaste", pb.GetTasteRequest(name=name)),
                    ("Score", score_request([PROBES[0][0]], [taste.name])),
                ):
                    came = await self._crowd.answered(method, request)
                    self._expect(came == "NOT_FOUND", f"{name}: deleted, then {method}: {str(came)[:200]}")
            if exported:
                made = pb.ImportTasteRequest(name=name, taste=exported, request_id=f"c-{number}")
                came = await self._crowd.answered("ImportTaste", made, dice.choice((None, 0.002)))
            else:
                made = pb.CreateTasteRequest(name=name, request_id=f"c-{number}")
                came = await self._crowd.answered("CreateTaste", made, dice.choice((None, 0.001)))
                for person in taste.people:
                    person.opinions = {}
            is_new = not isinstance(came, str) and came.taste.version == 1
            self._expect(is_new, f"{name}: made again: {came}")
            taste.era, taste.version, taste.writes, taste.written = taste.era + 1, 1, 0, 0
            taste.is_settled = True
        return "OK"

    async def be_fleeting(self, number: int, dice: random.Random) -> str:
        """Make, tell, take back, ask or delete a taste while anybody else does so too."""
        name, request_id = dice.choice(self._crowd.fleeting), f"f-{number}"
        data = picture(number * 16, dice.random() < 0.5)
        like = tastes_pb2.NewOpinion(like=tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=data)))
        self._crowd.owners[id_of(data)] = name
        method, request = dice.choice(
            [
                ("CreateTaste", pb.CreateTasteRequest(name=name, request_id=request_id)),
                ("AddOpinions", pb.AddOpinionsRequest(name=name, request_id=request_id, opinions=[like])),
                ("AddOpinions", pb.AddOpinionsRequest(name=name, request_id=request_id, opinions=[like])),
                ("RemoveOpinions", pb.RemoveOpinionsRequest(name=name, request_id=request_id, image_ids=[id_of(data)])),
                ("Score", score_request([data], [name])),
                ("GetTaste", pb.GetTasteRequest(name=name)),
                ("DeleteTaste", pb.DeleteTasteRequest(name=name, request_id=request_id)),
            ]
        )
        answer = await self._crowd.answered(method, request)
        came = answer if isinstance(answer, str) else "OK"
        self._expect(came in ("OK", "NOT_FOUND", "ALREADY_EXISTS"), f"{name}: {method}: {came}")
        if method == "GetTaste" and came == "OK":
            self._crowd.check_owner(name, answer.opinions)
        return came
