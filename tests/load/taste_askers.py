"""Those of a crowd who ask tastes, look at them or attack them, and what every answer to that must be."""

import asyncio
import random
from typing import Any

import grpc
import pytest

from beholder.v1 import samples_pb2, tastes_pb2
from beholder.v1 import scoring_service_pb2 as scoring
from beholder.v1 import taste_service_pb2 as pb
from load.taste_crowd import NO_ANSWER, PROBES, TIMEOUT_S, Crowd, code_of, score_request
from load.taste_people import BROKEN, Taste, all_said, id_of, picture

SCORERS = ("content-labels", "sharpness")
HOSTILE = ("", "Ann", "a b", "../a", "a" * 65, "a\n", "a\x00b", "é", "'; DROP TABLE tastes; --", "-", "taste/a", "%s")
REFUSED = ("INVALID_ARGUMENT", "NOT_FOUND")

Stand = tuple[int, int, bool]
"""A taste's era, its version as acknowledged, and whether it is being made again."""


def names(tastes: list[Taste]) -> list[str]:
    """Return the tastes' names."""
    return [taste.name for taste in tastes]


def stand(tastes: list[Taste]) -> list[Stand]:
    """Return what is known of tastes just now."""
    return [(taste.era, taste.version, taste.is_settled) for taste in tastes]


class Askers:
    """Each method does what a number says, and returns what came of it."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd, self._expect = crowd, crowd.expect

    async def ask(self, number: int, dice: random.Random) -> str:
        """Ask a few tastes and perhaps scorers about a few images, one of which may be broken."""
        tastes, images = self._few(dice), self._images(number, dice)
        return await self._ask(tastes, images, dice, None)

    async def ask_and_leave(self, number: int, dice: random.Random) -> str:
        """Ask, and go away."""
        return await self._ask(self._few(dice), self._images(number, dice), dice, dice.uniform(0, 0.05))

    async def _ask(
        self, tastes: list[Taste], images: list[bytes], dice: random.Random, patience_s: float | None
    ) -> str:
        before = stand(tastes)
        scorers = dice.sample(SCORERS, dice.randint(0, 2))
        answer = await self._crowd.call("Score", score_request(images, names(tastes), scorers), patience_s)
        return self._judge(answer, tastes, images, before, scorers)

    async def stream(self, number: int, dice: random.Random) -> str:
        """Ask much in one stream; now and then leave it half read."""
        asked = {place: (self._few(dice), self._images(number * 16 + place, dice)) for place in range(6)}
        before = {place: stand(tastes) for place, (tastes, _) in asked.items()}
        enough = dice.choice((6, 6, 6, 3))
        call = (await self._crowd.door.scoring()).ScoreStream(timeout=TIMEOUT_S)
        came = "OK"
        try:
            for place, (tastes, images) in asked.items():
                await call.write(scoring.ScoreStreamRequest(id=place, request=score_request(images, names(tastes))))
            await call.done_writing()
            async for message in call:
                tastes, images = asked.pop(message.id)
                answer = code_of(message.error) if message.HasField("error") else message.response
                came = self._judge(answer, tastes, images, before[message.id], [])
                if len(asked) == 6 - enough:
                    break
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            code = (await call.code()).name
            self._expect(code == "UNAVAILABLE", f"a stream: {code}")
            return self._crowd.note("ScoreStream", code)
        self._expect(len(asked) == 6 - enough, f"a stream left {len(asked)} messages without an answer")
        call.cancel()
        return self._crowd.note("ScoreStream", came)

    async def rank(self, number: int, dice: random.Random) -> str:
        """Rank a few images by a taste, alone or with others."""
        tastes, images = self._few(dice)[:2], self._images(number, dice)
        weights = {f"taste/{taste.name}": 1.0 for taste in tastes} | ({"sharpness": 0.1} if dice.random() < 0.5 else {})
        before = stand(tastes)
        request = scoring.RankRequest(
            candidates=[samples_pb2.Image(encoded=data) for data in images],
            scorers=[scoring.WeightedScorer(scorer=name, weight=weight) for name, weight in weights.items()],
        )
        answer = await self._crowd.call("Rank", request)
        if isinstance(answer, str):
            return self._refused(answer, tastes, before)
        places = sorted(answer.ranking, key=lambda it: it.index)
        self._expect([it.index for it in places] == list(range(len(images))), "a ranking without all its candidates")
        for data, place in zip(images, places, strict=True):
            self._expect(place.image_id in (id_of(data), ""), "a candidate has another's id")
            parts = {part.result.scorer: part.result for part in place.parts}
            for taste, stood in zip(tastes, before, strict=True):
                self._check_verdict(parts[f"taste/{taste.name}"], taste, stood, data, is_ranked=True)
        return "OK"

    async def look(self, number: int, dice: random.Random) -> str:
        """Read a taste in one of the other ways."""
        taste, other = self._crowd.taste(dice), self._crowd.taste(dice)
        candidates = [tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=data)) for data, _ in PROBES]
        before = stand([taste, other])
        method, request = dice.choice(
            [
                ("GetTaste", pb.GetTasteRequest(name=taste.name)),
                ("ExportTaste", pb.ExportTasteRequest(name=taste.name)),
                ("SuggestPairs", pb.SuggestPairsRequest(name=taste.name, candidates=candidates, limit=3)),
                (
                    "CompareTastes",
                    pb.CompareTastesRequest(first=taste.name, second=other.name, candidates=candidates),
                ),
                ("ListTastes", pb.ListTastesRequest(page_size=50, page_token=taste.name)),
            ]
        )
        answer = await self._crowd.call(method, request)
        if isinstance(answer, str):
            return self._refused(answer, [taste, other], before)
        if method == "GetTaste":
            self._crowd.check_owner(taste.name, answer.opinions)
            told = answer.taste.verdicts + answer.taste.choices
            self._expect(told == len(answer.opinions), f"{taste.name}: {told} counted, {len(answer.opinions)} sent")
        elif method == "ExportTaste":
            self._crowd.check_owner(taste.name, answer.taste.opinions)
            named = {image for key in all_said(answer.taste.opinions) for image in key}
            self._expect(named == {it.id for it in answer.taste.images}, f"{taste.name}: exported other images")
        elif method == "SuggestPairs":
            self._expect(len(answer.pairs) == 3, f"{taste.name}: {len(answer.pairs)} pairs suggested")
        elif method == "ListTastes":
            listed = [it.name for it in answer.tastes]
            self._expect(listed == sorted(listed), "listed out of order")
        return "OK"

    async def attack(self, number: int, dice: random.Random) -> str:
        """Ask for what can't be."""
        bad, good = dice.choice(HOSTILE), self._crowd.taste(dice).name
        like = tastes_pb2.NewOpinion(like=tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=PROBES[0][0])))
        export = pb.TasteExport(format=1, name="stolen", encoder="x", encoder_digest="0" * 64)
        method, request = dice.choice(
            [
                ("CreateTaste", pb.CreateTasteRequest(name=bad, request_id="r")),
                ("CreateTaste", pb.CreateTasteRequest(name="hostile", encoder=bad or "none", request_id="r")),
                ("AddOpinions", pb.AddOpinionsRequest(name=good, request_id=f"{bad}\n", opinions=[like])),
                ("AddOpinions", pb.AddOpinionsRequest(name=good, request_id="r", opinions=[like] * 17)),
                ("AddOpinions", pb.AddOpinionsRequest(name=bad, request_id="r", opinions=[like])),
                ("RemoveOpinions", pb.RemoveOpinionsRequest(name=good, request_id="r", image_ids=[bad])),
                ("DeleteTaste", pb.DeleteTasteRequest(name=bad, request_id="r")),
                ("ListTastes", pb.ListTastesRequest(page_token=bad or "\x00")),
                ("ImportTaste", pb.ImportTasteRequest(name="stolen", taste=export, request_id="r")),
                ("GetTaste", pb.GetTasteRequest(name="nobody")),
                ("Score", score_request([PROBES[0][0]], [bad])),
                ("Score", score_request([PROBES[0][0]], ["nobody"])),
                ("Score", score_request([PROBES[0][0]], [good, good])),
            ]
        )
        came = await self._crowd.call(method, request)
        refusals = (*REFUSED, "FAILED_PRECONDITION", "UNAVAILABLE")
        self._expect(came in refusals, f"an attack: {method} {str(request)[:200]}: {str(came)[:200]}")
        return "refused" if came in refusals else "OK"

    def _few(self, dice: random.Random) -> list[Taste]:
        return list(
            {taste.name: taste for taste in (self._crowd.taste(dice) for _ in range(dice.randint(1, 4)))}.values()
        )

    def _images(self, number: int, dice: random.Random) -> list[bytes]:
        images = [data for data, _ in dice.sample(PROBES, dice.randint(1, 3))]
        if dice.random() < 0.3:
            images.append(picture(-number - 1 + 10**12, dice.random() < 0.5))
        if dice.random() < 0.1:
            images.append(dice.choice(BROKEN))
        return images

    def _judge(
        self, answer: Any, tastes: list[Taste], images: list[bytes], before: list[Stand], scorers: list[str]
    ) -> str:
        if isinstance(answer, str):
            return self._refused(answer, tastes, before)
        want = [*scorers, *(f"taste/{taste.name}" for taste in tastes)]
        self._expect(len(answer.samples) == len(images), "an answer without all its samples")
        for data, sample in zip(images, answer.samples, strict=True):
            self._expect([it.scorer for it in sample.results] == want, "an answer without all its scorers")
            self._expect(sample.image_id in (id_of(data), ""), "a sample has another's id")
            for taste, stood, result in zip(tastes, before, sample.results[len(scorers) :], strict=True):
                self._check_verdict(result, taste, stood, data)
        return "OK"

    def _refused(self, code: str, tastes: list[Taste], before: list[Stand]) -> str:
        """Note a code that should not have been: a taste is not found only while it is made again."""
        is_gone = any(self._was_made_again(taste, stood) for taste, stood in zip(tastes, before, strict=True))
        self._expect(code in NO_ANSWER or (code == "NOT_FOUND" and is_gone), f"asking {names(tastes)}: {code}")
        return code

    def _was_made_again(self, taste: Taste, stood: Stand) -> bool:
        era, _, is_settled = stood
        return not (is_settled and taste.is_settled and era == taste.era)

    def _check_verdict(self, result: Any, taste: Taste, stood: Stand, data: bytes, *, is_ranked: bool = False) -> None:
        if data in BROKEN:
            self._expect(code_of(result.error) == "INVALID_ARGUMENT", f"a broken image: {result}")
            return
        self._expect(result.HasField("score"), f"{taste.name}: no score: {str(result)[:200]}")
        era, version, _ = stood
        if not result.HasField("score") or self._was_made_again(taste, stood):
            return
        value, said = result.score.value, result.score.taste.version
        self._expect(version <= said <= 1 + taste.writes, f"{taste.name}: version {said} after {version}")
        if not is_ranked:
            key = (taste.name, era, said, id_of(data))
            first = self._crowd.seen.setdefault(key, value)
            self._expect(value == pytest.approx(first, abs=2e-3), f"{key}: {value} after {first}")
