"""What is said when memory is lent: what one side writes the other reads, and nothing else."""

import pytest

from beholder.lease import MAX_PACKET_BYTES, Offer, answer_from, offer_to, refusal_to, wish_from, wish_to

OFFER = Offer(b"s" * 16, b"t" * 16, 2**40)


def test_what_is_said_is_what_is_heard() -> None:
    assert wish_from(wish_to(2**33)) == 2**33
    assert answer_from(offer_to(OFFER)) == OFFER
    assert answer_from(refusal_to("no room")) == "no room"


@pytest.mark.parametrize(
    "packet", [b"", b"BHW1", wish_to(1)[:-1], wish_to(1) + b"x", b"GET " + bytes(8), offer_to(OFFER)]
)
def test_anything_else_is_no_wish(packet: bytes) -> None:
    assert wish_from(packet) is None


@pytest.mark.parametrize("packet", [b"", b"BHL1", offer_to(OFFER)[:-1], offer_to(OFFER) + b"x", wish_to(1)])
def test_anything_else_is_no_offer(packet: bytes) -> None:
    assert "what no server of ours says" in str(answer_from(packet))


def test_a_long_refusal_is_cut_to_a_packet() -> None:
    assert len(refusal_to("ü" * MAX_PACKET_BYTES)) == MAX_PACKET_BYTES
    assert str(answer_from(refusal_to("ü" * MAX_PACKET_BYTES))).startswith("üü")
