"""What a server answers about tastes."""

from collections.abc import Sequence

from beholder.v1 import scores_pb2, tastes_pb2
from beholder.v1 import taste_service_pb2 as pb

ANN = tastes_pb2.Taste(name="ann", id="a" * 32, version=2, encoder="eye", encoder_digest="d" * 64, images=1, verdicts=1)
FULL = scores_pb2.Error(code=scores_pb2.ERROR_CODE_RESOURCE_EXHAUSTED, message="full")
BROKEN = scores_pb2.Error(
    code=scores_pb2.ERROR_CODE_INVALID_ARGUMENT, message="image is broken", field="opinions[0].choice.worse.image"
)


def id_of(number: int) -> str:
    """Return the id of an image."""
    return f"{number:064x}"


def added(*results: int | scores_pb2.Error, version: int = 2) -> pb.AddOpinionsResponse:
    """Return the answer to opinions: an image's number, or an error, for each."""
    taste = tastes_pb2.Taste(name="ann", version=version)
    return pb.AddOpinionsResponse(
        taste=taste,
        results=[
            tastes_pb2.OpinionResult(image_ids=[id_of(result)])
            if isinstance(result, int)
            else tastes_pb2.OpinionResult(error=result)
            for result in results
        ],
    )


def opinions(*verdicts: tuple[int, float]) -> Sequence[tastes_pb2.Opinion]:
    """Return likes and dislikes as they are kept: (an image's number, value)."""
    return [
        tastes_pb2.Opinion(
            verdict=tastes_pb2.Verdict(
                image_id=id_of(number),
                source=tastes_pb2.SOURCE_LIKE if value > 0 else tastes_pb2.SOURCE_DISLIKE,
                value=value,
            )
        )
        for number, value in verdicts
    ]
