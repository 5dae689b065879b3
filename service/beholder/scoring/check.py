"""Checks that a sample has what its scorers need, and that its pixels are what a graph accepts."""

from collections.abc import Sequence

from beholder.errors import InputError, InvalidSample
from beholder.scoring.asked import CANDIDATE, REFERENCE, Asked
from beholder.scoring.image import ImageSpec
from beholder.types import U8, Sample

MAX_PROMPT_BYTES = 4096


def check_sample(sample: Sample, scorers: Sequence[Asked], field: str) -> dict[str, InputError]:
    """Find what a sample lacks for each scorer, and what no scorer asked can use.

    Args:
        scorers: all that are asked about this sample.
        field: the sample's path in the request.

    Returns:
        Scorer name -> what is wrong; no entry where it can be scored. Too long a prompt, and a reference or prompt that
        no scorer asked takes, is wrong for all.
    """
    wrong = _excess(sample, scorers, field)
    if wrong:
        return {spec.name: wrong for spec in scorers}
    errors = dict[str, InputError]()
    for spec in scorers:
        if spec.needs_reference and sample.reference is None:
            errors[spec.name] = InvalidSample(f"{spec.name} needs a reference, got none", f"{field}.reference")
        elif spec.needs_prompt and not sample.prompt:
            errors[spec.name] = InvalidSample(f"{spec.name} needs a prompt, got none", f"{field}.prompt")
    return errors


def _excess(sample: Sample, scorers: Sequence[Asked], field: str) -> InvalidSample | None:
    names = ", ".join(spec.name for spec in scorers)
    size = len((sample.prompt or "").encode(errors="surrogatepass"))
    if size > MAX_PROMPT_BYTES:
        return InvalidSample(f"prompt: want at most {MAX_PROMPT_BYTES} bytes of UTF-8, got {size}", f"{field}.prompt")
    if sample.reference is not None and not any(spec.needs_reference for spec in scorers):
        return InvalidSample(f"reference: want none, for no scorer asked takes one ({names})", f"{field}.reference")
    if sample.prompt and not any(spec.needs_prompt for spec in scorers):
        return InvalidSample(f"prompt: want none, for no scorer asked takes one ({names})", f"{field}.prompt")
    return None


def check_pixels(spec: ImageSpec, candidate: U8, reference: U8 | None, field: str, *, draws: bool = False) -> None:
    """Check decoded images against what a graph accepts.

    Args:
        candidate: shape (H, W, 3).
        reference: must have the candidate's size; None where there is none.
        field: the sample's path in the request.
        draws: whether the graph draws a map, which may be limited where a score alone is not.

    Raises:
        InvalidSample: a side is too short or too long, there are too many pixels, or the sizes differ.
    """
    height, width = candidate.shape[:2]
    if min(height, width) < spec.min_side_px:
        want = f"want at least {spec.min_side_px} px on each side"
        raise InvalidSample(f"candidate: {want}, got {width}x{height} px", f"{field}.{CANDIDATE}")
    if spec.max_side_px is not None and max(height, width) > spec.max_side_px:
        want = f"want at most {spec.max_side_px} px on each side"
        raise InvalidSample(f"candidate: {want}, got {width}x{height} px", f"{field}.{CANDIDATE}")
    if spec.max_mpx is not None and not spec.strips and height * width > spec.max_mpx * 1e6:
        want = f"want at most {spec.max_mpx:g} megapixels{' for a map' * draws}"
        found = f"{width}x{height} px ({height * width / 1e6:.6g} megapixels)"
        raise InvalidSample(f"candidate: {want}, got {found}", f"{field}.{CANDIDATE}")
    if reference is not None and reference.shape != candidate.shape:
        found = f"{reference.shape[1]}x{reference.shape[0]} px"
        want = f"want the candidate's size, {width}x{height} px"
        raise InvalidSample(f"reference: {want}, got {found}", f"{field}.{REFERENCE}")
