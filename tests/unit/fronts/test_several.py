"""What each of several processes is told, and the address that they share."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from beholder.config import Config, config_from
from beholder.errors import ConfigError
from beholder.several import Description, _of_engine, reserved, serve, shared_out


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Leave signals as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_limits_are_those_of_all_fronts_together() -> None:
    config = Config(fronts=4, max_queue_rows=4001, max_prepared_mb=512, cache_mb=64, taste_memory_mb=10)
    part = shared_out(config, cores=16)
    assert (part.max_queue_rows, part.max_prepared_mb, part.cache_mb, part.taste_memory_mb) == (1001, 128, 16, 3)
    assert part.decode_threads == 4


def test_a_front_has_room_for_one_whole_request() -> None:
    part = shared_out(Config(fronts=64, max_queue_rows=4096, max_queue_mb=1024), cores=2)
    assert part.max_queue_rows == part.max_samples
    assert part.max_queue_mb == part.max_message_mb
    assert part.decode_threads == 1


def test_a_limit_that_is_off_stays_off() -> None:
    assert shared_out(Config(fronts=3, cache_mb=0), cores=2).cache_mb == 0


def test_engines_after_the_first_take_their_device_or_nothing() -> None:
    config = Config(device_id=(2, 5), fronts=1)
    assert _of_engine(config, 0, None, 1) == config
    found = Description("cuda", 2, ())
    second = _of_engine(config, 1, found, 1)
    assert (second.device, second.device_id) == ("cuda", (5,))
    assert _of_engine(config, 0, found, 1).device_id == (2,)


def test_engines_on_the_cpu_share_its_runners() -> None:
    assert _of_engine(Config(runners=8), 1, Description("cpu", 4, ()), 2).runners == 4


def test_device_ids_are_a_list_of_numbers() -> None:
    assert config_from({"BEHOLDER_DEVICE_ID": "0, 3"}).device_id == (0, 3)
    assert config_from({"BEHOLDER_DEVICE_ID": "1"}).device_id == (1,)
    assert Config().device_id == (0,)
    with pytest.raises(ConfigError, match="BEHOLDER_DEVICE_ID: want a whole number, got '0,x'"):
        config_from({"BEHOLDER_DEVICE_ID": "0,x"})
    with pytest.raises(ConfigError, match="BEHOLDER_DEVICE_ID: want 0 to 255, got 256"):
        config_from({"BEHOLDER_DEVICE_ID": "0,256"})
    with pytest.raises(ConfigError, match="BEHOLDER_DEVICE_ID: want at least one, got none"):
        config_from({"BEHOLDER_DEVICE_ID": ","})


def test_an_address_is_held_for_those_who_share_it_and_refused_to_others() -> None:
    with reserved("127.0.0.1:0") as address:
        host, _, port = address.rpartition(":")
        with socket.socket() as front:
            front.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            front.bind((host, int(port)))
            front.listen()
        with pytest.raises(ConfigError, match="the port is in use"), reserved(address):
            pass
    with reserved(address) as again:
        assert again == address


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"can't listen on 192\.0\.2\.1:0"), reserved("192.0.2.1:0"):
        pass


def test_a_socket_that_cant_be_had_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ConfigError, match=r"BEHOLDER_SHM: can't listen on .*file of this name that is no socket"):
        serve(Config(fronts=1, address="127.0.0.1:0", metrics_address="127.0.0.1:0", shm=str(path)))
