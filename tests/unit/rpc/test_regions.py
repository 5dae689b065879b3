"""Regions without a socket: what a request may name of them, and what it is told where it may not."""

import os

import pytest

from beholder.config import MIB
from beholder.errors import InvalidSample, QueueFull, SharingOff
from beholder.rpc import regions as module
from beholder.rpc.convert import image_from, samples_from
from beholder.rpc.regions import LEAST_BYTES, NOTHING_LENT, Reader, Region, Regions
from beholder.types import EncodedImage, RawImage, Sample
from beholder.v1 import samples_pb2

SIZE = 4096
FIELD = "samples[0].candidate"


def lent(regions: Regions, content: bytes = b"", size_bytes: int = SIZE) -> Region:
    """Return a region that its borrower wrote to."""
    region = regions.lend(size_bytes)
    region.hand_out(lambda fd: os.pwrite(fd, content, 0))
    return region


def shared(region: Region, offset: int, size: int, width: int = 0, height: int = 0) -> samples_pb2.Image:
    part = samples_pb2.SharedImage(
        token=region.token, offset_bytes=offset, size_bytes=size, width_px=width, height_px=height
    )
    return samples_pb2.Image(shared=part)


@pytest.fixture
def regions() -> Regions:
    return Regions(4 * SIZE, 2 * SIZE)


def test_a_part_is_read_as_it_stands(regions: Regions) -> None:
    region = lent(regions, bytes(range(100)))
    image = image_from(shared(region, 10, 5), FIELD, Reader(regions))
    assert isinstance(image, EncodedImage)
    assert image.data == bytes(range(10, 15))
    raw = image_from(shared(region, 1, 12, width=4, height=1), FIELD, Reader(regions))
    assert isinstance(raw, RawImage)
    assert raw.pixels.tolist() == [[[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]]


@pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 0), (0, SIZE + 1), (SIZE, 1), (1, SIZE), (SIZE - 1, 2), (2**64 - 1, 1), (2**64 - 1, 2), (1, 2**64 - 1)],
)
def test_a_part_that_is_not_within_the_region_is_refused(regions: Regions, offset: int, size: int) -> None:
    region = lent(regions)
    with pytest.raises(InvalidSample, match=f"within the region's {SIZE}, got {size} from offset_bytes {offset}") as it:
        image_from(shared(region, offset, size), FIELD, Reader(regions))
    assert it.value.field == f"{FIELD}.shared"


@pytest.mark.parametrize("token", [b"", b"x", bytes(16), bytes(2**16)])
def test_a_token_that_names_nothing_is_refused(regions: Regions, token: bytes) -> None:
    lent(regions)
    message = samples_pb2.Image(shared=samples_pb2.SharedImage(token=token, size_bytes=1))
    with pytest.raises(InvalidSample, match=rf"want the 16 bytes .* got {len(token)} bytes that name none"):
        image_from(message, FIELD, Reader(regions))


@pytest.mark.parametrize(("width", "height"), [(4, 0), (0, 1), (4, 2), (2**32 - 1, 2**32 - 1)])
def test_pixels_are_as_many_as_their_size_says(regions: Regions, width: int, height: int) -> None:
    region = lent(regions)
    with pytest.raises(InvalidSample, match=r"size_bytes: want height_px \* width_px \* 3"):
        image_from(shared(region, 0, 12, width, height), FIELD, Reader(regions))


def test_a_region_that_was_taken_back_is_gone(regions: Regions) -> None:
    region = lent(regions)
    regions.take_back(region)
    with pytest.raises(InvalidSample, match="taken back"):
        image_from(shared(region, 0, 1), FIELD, Reader(regions))
    assert region.read(0, 1) is None
    assert (regions.count, regions.used_bytes) == (0, 0)


def test_one_request_reads_no_more_than_a_message_may_hold(regions: Regions) -> None:
    region, reader = lent(regions), Reader(regions)
    for offset in (0, 1):
        reader.read(shared(region, offset, SIZE - 1).shared, FIELD)
    reader.read(shared(region, 0, 2).shared, FIELD)
    with pytest.raises(InvalidSample, match=f"want {2 * SIZE} bytes in one request at most, got 1 after {2 * SIZE}"):
        reader.read(shared(region, 5, 1).shared, FIELD)


def test_a_part_named_often_is_copied_once(regions: Regions) -> None:
    region = lent(regions, b"file")
    sample = samples_pb2.Sample(candidate=shared(region, 0, SIZE), reference=shared(region, 0, SIZE))
    read = [one for one in samples_from([sample] * 100, Reader(regions)) if isinstance(one, Sample)]
    assert len(read) == 100
    assert len({id(image) for one in read for image in (one.candidate, one.reference)}) == 1


def test_what_changes_while_it_is_looked_at_is_what_was_copied(regions: Regions) -> None:
    region = regions.lend(SIZE)
    own = list[int]()
    region.hand_out(lambda fd: own.append(os.dup(fd)))
    os.pwrite(own[0], b"before", 0)
    image = image_from(shared(region, 0, 6), FIELD, Reader(regions))
    os.pwrite(own[0], b"after!", 0)
    os.close(own[0])
    assert isinstance(image, EncodedImage)
    assert image.data == b"before"


def test_what_was_handed_out_can_not_change_its_size(regions: Regions) -> None:
    def truncate(fd: int) -> None:
        for size in (0, SIZE - 1, SIZE + 1):
            with pytest.raises(PermissionError):
                os.ftruncate(fd, size)
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", SIZE)

    region = regions.lend(SIZE)
    region.hand_out(truncate)
    assert region.read(0, SIZE) == bytes(SIZE)


def test_no_more_is_lent_than_the_operator_allows(regions: Regions) -> None:
    with pytest.raises(InvalidSample, match="at least 1 byte"):
        regions.lend(0)
    held = [lent(regions) for _ in range(4)]
    with pytest.raises(QueueFull, match="BEHOLDER_SHM_MB"):
        regions.lend(1)
    regions.take_back(held[0])
    lent(regions)


def test_who_wants_more_than_is_left_gets_what_is_left() -> None:
    regions = Regions(3 * LEAST_BYTES, MIB)
    assert lent(regions, size_bytes=2**63).size_bytes == 3 * LEAST_BYTES
    regions = Regions(3 * LEAST_BYTES, MIB)
    lent(regions, size_bytes=2 * LEAST_BYTES + 1)
    with pytest.raises(QueueFull):
        regions.lend(LEAST_BYTES)
    assert lent(regions, size_bytes=LEAST_BYTES - 1).size_bytes == LEAST_BYTES - 1


def test_regions_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REGIONS", 3)
    regions = Regions(MIB, MIB)
    held = [lent(regions, size_bytes=1) for _ in range(3)]
    with pytest.raises(QueueFull, match="3 regions are lent; that is the limit"):
        regions.lend(1)
    for region in held:
        regions.take_back(region)


def test_a_server_that_lends_nothing_says_how_it_would() -> None:
    with pytest.raises(SharingOff, match="BEHOLDER_SHM=PATH") as it:
        image_from(samples_pb2.Image(shared=samples_pb2.SharedImage()), FIELD, Reader(NOTHING_LENT))
    assert it.value.field == f"{FIELD}.shared"
