"""What a client and a server on one host say when memory is lent: one packet each way on a Unix socket, then silence.

The connection is the lease: the region is the client's until either end closes it.
"""

import socket
import struct
from dataclasses import dataclass

TOKEN_BYTES = 16
MAX_PACKET_BYTES = 512
_WISH = struct.Struct("!4sQ")
_OFFER = struct.Struct("!4s16s16sQ")
_WANTED, _LENT, _REFUSED = b"BHW1", b"BHL1", b"BHR1"


@dataclass(frozen=True, slots=True)
class Offer:
    """A region is lent; its file descriptor comes with this.

    Attributes:
        server_id: 16 bytes, those that `GetServer` tells.
        token: 16 bytes that name the region in requests.
    """

    server_id: bytes
    token: bytes
    size_bytes: int


def packet_socket() -> socket.socket:
    """Return a Unix socket that keeps packets apart, so that nothing has to be put together from parts."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def wish_to(size_bytes: int) -> bytes:
    """Write what a client asks for."""
    return _WISH.pack(_WANTED, size_bytes)


def wish_from(packet: bytes) -> int | None:
    """Return the bytes that a client asks for; None where it asks for nothing of the kind."""
    if len(packet) != _WISH.size:
        return None
    kind, size_bytes = _WISH.unpack(packet)
    return int(size_bytes) if kind == _WANTED else None


def offer_to(offer: Offer) -> bytes:
    """Write an offer."""
    return _OFFER.pack(_LENT, offer.server_id, offer.token, offer.size_bytes)


def refusal_to(reason: str) -> bytes:
    """Write why nothing is lent."""
    return (_REFUSED + reason.encode())[:MAX_PACKET_BYTES]


def answer_from(packet: bytes) -> Offer | str:
    """Return an offer, or why there is none."""
    if packet.startswith(_REFUSED):
        return packet.removeprefix(_REFUSED).decode(errors="replace")
    if len(packet) != _OFFER.size or not packet.startswith(_LENT):
        return f"the socket answers what no server of ours says ({len(packet)} bytes)"
    _, server_id, token, size_bytes = _OFFER.unpack(packet)
    return Offer(server_id, token, size_bytes)
