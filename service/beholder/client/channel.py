"""How a channel is set up: replicas, keepalive, message sizes; no environment variable is obeyed."""

import ipaddress
import json

from beholder.errors import ConfigError

Options = list[tuple[str, int | str]]


def options_of(*, keepalive_s: float, round_robin: bool) -> Options:
    """Return gRPC channel options.

    Args:
        keepalive_s: how often a silent connection with calls on it is tested; a dead one is noticed within twice that.
        round_robin: spread calls over all addresses of the target, rather than keeping to one.
    """
    policy = "round_robin" if round_robin else "pick_first"
    keepalive_ms = int(keepalive_s * 1000)
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", keepalive_ms),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5000),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{policy: {}}]})),
    ]


def target_of(target: str) -> str:
    """Return gRPC's name for a target: one it knows (`host:port`, `dns:///name:port`) or IP:port replicas with commas.

    Raises:
        ConfigError: empty, or a list of replicas with one that is not IP:port.
    """
    if not target.strip():
        raise ConfigError("target: want host:port, dns:///name:port or IP:port,IP:port, got nothing")
    if "," not in target or target.startswith(("ipv4:", "ipv6:")):
        return target
    replicas = [part.strip() for part in target.split(",")]
    versions = {_ip_version(replica) for replica in replicas}
    if len(versions) != 1:
        raise ConfigError(f"target: want replicas of one IP version, got {target!r}")
    return f"ipv{versions.pop()}:{','.join(replicas)}"


def _ip_version(replica: str) -> int:
    host, _, port = replica.rpartition(":")
    try:
        if not port.isdecimal():
            raise ValueError
        return ipaddress.ip_address(host.strip("[]")).version
    except ValueError:
        raise ConfigError(
            f"target: want IP:port in a list of replicas (dns:///name:port for names), got {replica!r}"
        ) from None
