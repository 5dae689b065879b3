"""Lends memory to clients on this host, over a Unix socket whose file rights say who may ask.

Each connection says once how much it wants, gets a region, and keeps it by staying open. One that says nothing soon,
says anything else, or ends, is closed, and its region is taken back.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from beholder.errors import BeholderError, ConfigError
from beholder.lease import MAX_PACKET_BYTES, Offer, offer_to, packet_socket, refusal_to, wish_from
from beholder.rpc.regions import MAX_REGIONS, Region, Regions

log = logging.getLogger(__name__)
SILENCE_S = 2.0
"""How long a connection may take to say what it wants."""
PAUSE_S = 0.1
"""How long nobody is let in after the system had no file descriptor left."""
MAX_PATH_BYTES = 107


class Lender:
    """The socket and its connections; all of it in the event loop that calls `start`.

    Args:
        path: of the socket.
        regions: where what is lent is found again.
    """

    def __init__(self, path: Path, regions: Regions) -> None:
        self._path, self._regions = path, regions
        self._tasks: set[asyncio.Task[None]] = set()
        self._door: socket.socket | None = None
        self._is_stopping = False

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: not Linux, no such folder, or the path is somebody else's.
        """
        self._door = _listen(self._path)
        self._begin(self._accept(self._door))

    async def stop(self) -> None:
        """Close the socket and all connections.

        What is lent stays as it is for its borrowers, who send it to the next server.
        """
        if self._door is None:
            return
        self._is_stopping = True
        with contextlib.suppress(OSError):
            self._path.unlink()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._door.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, door: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(door)
            except OSError as error:
                log.warning("memory can't be lent just now: %s", error)
                await asyncio.sleep(PAUSE_S)
                continue
            if len(self._tasks) > MAX_REGIONS:  # this one and a task for each connection
                _refuse(connection, f"{MAX_REGIONS} callers are connected; that is the limit")
                connection.close()
                continue
            self._begin(self._lease(connection))

    async def _lease(self, connection: socket.socket) -> None:
        loop, region = asyncio.get_running_loop(), None
        connection.setblocking(False)
        try:
            async with asyncio.timeout(SILENCE_S):
                wish = wish_from(await loop.sock_recv(connection, MAX_PACKET_BYTES))
            if wish is not None:
                region = await self._lend(connection, wish)
            if region is not None:
                await loop.sock_recv(connection, 1)  # its end, or something that nobody should say
        except (OSError, TimeoutError):
            pass
        finally:
            connection.close()
            if region is not None and not self._is_stopping:
                await asyncio.to_thread(self._regions.take_back, region)

    async def _lend(self, connection: socket.socket, size_bytes: int) -> Region | None:
        try:
            region = await asyncio.to_thread(self._regions.lend, size_bytes)
        except (BeholderError, OSError) as error:
            _refuse(connection, str(error))
            return None
        offer = offer_to(Offer(self._regions.server_id, region.token, region.size_bytes))
        try:
            region.hand_out(lambda fd: socket.send_fds(connection, [offer], [fd]))
        except OSError:
            await asyncio.to_thread(self._regions.take_back, region)
            raise
        return region


def _refuse(connection: socket.socket, reason: str) -> None:
    with contextlib.suppress(OSError):
        connection.send(refusal_to(reason), socket.MSG_DONTWAIT)


def _listen(path: Path) -> socket.socket:
    """Listen on a path, in place of a socket that a server left behind.

    The file is its owner's alone; in a folder whose setgid bit says that a group shares it, the group's too.
    """
    if not hasattr(os, "memfd_create"):
        raise _wrong(path, "lending memory needs Linux")
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise _wrong(path, f"a socket's path may have {MAX_PATH_BYTES} bytes")
    _clear(path)
    door = packet_socket()
    try:
        door.bind(os.fspath(path))
        path.chmod(0o660 if path.parent.stat().st_mode & stat.S_ISGID else 0o600)
        door.listen(MAX_REGIONS)  # nobody connects before this
        door.setblocking(False)
    except OSError as error:
        door.close()
        raise _wrong(path, error.strerror or str(error)) from None
    return door


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on any more.

    Raises:
        ConfigError: somebody does, or it is no socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise _wrong(path, "there is a file of this name that is no socket")
        with packet_socket() as caller:
            caller.connect(os.fspath(path))
        raise _wrong(path, "another server lends memory there")
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ECONNREFUSED:
            raise _wrong(path, error.strerror or str(error)) from None
    path.unlink(missing_ok=True)


def _wrong(path: Path, problem: str) -> ConfigError:
    return ConfigError(f"BEHOLDER_SHM: can't listen on {path}: {problem}")
