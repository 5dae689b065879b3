"""How a target and its options are read."""

import json

import pytest

from beholder.client.channel import options_of, target_of
from beholder.errors import ConfigError


@pytest.mark.parametrize("target", ["host:1", "dns:///beholder:50051", "unix:/run/b.sock", "ipv4:1.2.3.4:5,1.2.3.5:5"])
def test_what_grpc_understands_is_left_alone(target: str) -> None:
    assert target_of(target) == target


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("10.0.0.1:50051, 10.0.0.2:50051", "ipv4:10.0.0.1:50051,10.0.0.2:50051"),
        ("[::1]:1,[::2]:2", "ipv6:[::1]:1,[::2]:2"),
    ],
)
def test_replicas_are_listed_with_commas(target: str, wanted: str) -> None:
    assert target_of(target) == wanted


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "got nothing"),
        ("a:1,b:2", "want IP:port in a list of replicas (dns:///name:port for names), got 'a:1'"),
        ("10.0.0.1,10.0.0.2:1", "got '10.0.0.1'"),
        ("10.0.0.1:1,[::1]:1", "want replicas of one IP version"),
        ("10.0.0.1:1,", "got ''"),
    ],
)
def test_a_target_that_cannot_be_understood_is_told(target: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        target_of(target)
    assert message in caught.value.message


@pytest.mark.parametrize(("round_robin", "policy"), [(True, "round_robin"), (False, "pick_first")])
def test_calls_spread_over_replicas_unless_told_otherwise(round_robin: bool, policy: str) -> None:
    options = dict(options_of(keepalive_s=30, round_robin=round_robin))
    assert json.loads(str(options["grpc.service_config"])) == {"loadBalancingConfig": [{policy: {}}]}


def test_messages_of_any_size_are_sent_and_received() -> None:
    options = dict(options_of(keepalive_s=30, round_robin=True))
    assert options["grpc.max_send_message_length"] == options["grpc.max_receive_message_length"] == -1


def test_keepalive_is_in_milliseconds() -> None:
    assert dict(options_of(keepalive_s=1.5, round_robin=True))["grpc.keepalive_time_ms"] == 1500
