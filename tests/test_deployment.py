"""The image and the manifests agree with the service: settings, ports, probes, drain."""

import re
import shutil
import subprocess
import tomllib
from dataclasses import fields

import pytest

from beholder.config import Config, config_from, split_address
from server_process import REPO

DOCKERFILE = (REPO / "Dockerfile").read_text()
DEPLOYMENT = (REPO / "k8s/base/deployment.yaml").read_text()
IMAGE_SETTINGS = dict(re.findall(r"(BEHOLDER_[A-Z_]+)=(\S+?)(?= ?\\?\n)", DOCKERFILE.rpartition("FROM")[2]))
TASTES = REPO / "k8s/overlays/tastes"
POD_SETTINGS = dict(re.findall(r'name: (BEHOLDER_[A-Z_]+)\n\s+value: "(.*)"', DEPLOYMENT))


def test_the_image_and_the_pod_set_only_what_the_service_reads() -> None:
    config = config_from(IMAGE_SETTINGS | POD_SETTINGS | {"BEHOLDER_MODELS": ""})
    assert IMAGE_SETTINGS
    assert POD_SETTINGS
    assert split_address(config.address) == ("0.0.0.0", 50051)  # noqa: S104 - a container's only way out


def test_a_pod_has_time_to_drain() -> None:
    config = config_from(POD_SETTINGS)
    grace_s = re.search(r"terminationGracePeriodSeconds: (\d+)", DEPLOYMENT)
    assert grace_s
    assert int(grace_s[1]) > config.drain_delay_s + config.drain_s


def test_ports_of_image_pod_and_service_are_those_listened_on() -> None:
    config = config_from(IMAGE_SETTINGS | {"BEHOLDER_MODELS": ""})
    ports = [str(split_address(address)[1]) for address in (config.address, config.metrics_address)]
    assert re.findall(r"EXPOSE (.*)", DOCKERFILE) == [" ".join(ports)]
    assert re.findall(r"containerPort: (\d+)", DEPLOYMENT) == ports
    assert re.findall(r" port: (\d+)", (REPO / "k8s/base/service.yaml").read_text()) == ports
    assert set(re.findall(r" port: (\d+)", DEPLOYMENT)) == {ports[0]}


def test_pods_that_share_tastes_take_the_address_of_their_store_from_a_secret() -> None:
    patch = (TASTES / "deployment.yaml").read_text()
    (setting,) = re.findall(r"name: (BEHOLDER_[A-Z_]+)\n\s+valueFrom:\n\s+secretKeyRef:", patch)
    address = "postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full&sslrootcert=/etc/beholder/ca.crt"
    assert config_from({setting: address}).taste_store == address
    assert f"--from-literal=address=\\\n#   '{address}'" in (TASTES / "kustomization.yaml").read_text()
    assert re.findall(r"mountPath: (.*)", patch) == ["/etc/beholder"]
    assert "postgresql:" not in patch, "an address holds a password"
    secrets = re.findall(r"secretName: (.*)|secretKeyRef:\n\s+name: (.*)", patch)
    assert {name for pair in secrets for name in pair if name} == {"beholder-tastes"}


def test_the_image_has_the_client_that_a_shared_store_of_tastes_needs() -> None:
    (extras,) = re.findall(r'/opt/beholder/bin/python install --no-cache-dir "\.\[(.*)\]"', DOCKERFILE)
    known = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras.split(",") == ["${EXTRA}", "postgres"]
    assert any(requirement.startswith("psycopg[binary]") for requirement in known["postgres"])


def test_tastes_are_laid_over_the_base_as_it_is() -> None:
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl here")

    def made_of(folder: str) -> list[str]:
        command = [kubectl, "kustomize", REPO / "k8s" / folder]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    base, tastes = made_of("base"), made_of("overlays/tastes")
    lines = iter(tastes)
    assert all(line in lines for line in base), "a line of the base was changed or moved"
    assert "              name: beholder-tastes" in tastes
    assert [line.split()[-1] for line in tastes if "- port:" in line][-3:] == ["5432", "53", "53"]


def test_addresses_default_to_this_machine_alone() -> None:
    hosts = {split_address(str(field.default))[0] for field in fields(Config) if field.name.endswith("address")}
    assert hosts == {"127.0.0.1"}


def test_a_serving_install_asks_for_no_torch() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    serving = [*project["dependencies"], *extras["cpu"], *extras["gpu"]]
    names = {re.split(r"[\[<>=~! ]", requirement)[0] for requirement in serving}
    assert not names & {"torch", "onnx", "onnxscript"}
    assert not any("onnxruntime" in requirement for requirement in project["dependencies"]), "cpu and gpu would clash"


def test_the_image_is_built_from_the_graphs_that_git_holds() -> None:
    kept = [
        {line for line in (REPO / name).read_text(encoding="utf-8").splitlines() if line.startswith("!models/")}
        for name in (".gitignore", ".dockerignore")
    ]
    assert kept[0] == kept[1] - {"!models"}


def test_git_holds_the_graphs_whose_cards_say_so() -> None:
    kept = set(re.findall(r"^!models/(.+)/\*\.onnx$", (REPO / ".gitignore").read_text(encoding="utf-8"), re.MULTILINE))
    cards = {card.parent.name: card.read_text(encoding="utf-8") for card in REPO.glob("models/*/CARD.md")}
    assert kept == {name for name, card in cards.items() if re.search(r"\bin\s+git\b", card)}
