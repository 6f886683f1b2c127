"""What describes a deployment agrees with what the demo runs."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from mdlc_site.local import installation
from mdlc_site.local.installation import ROOT, TOKEN, Ports

TRUSTED = {"engine", "worker-deployments"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the compose file."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return services


@pytest.fixture(scope="module")
def procfile() -> dict[str, str]:
    """The lines of the Procfile, by name."""
    lines = [line for line in (ROOT / "Procfile").read_text().splitlines() if line and not line.startswith("#")]
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines)}


@pytest.fixture
def demo(tmp_path: Path) -> dict[str, installation.Process]:
    """The demo's processes, by name."""
    return {one.name: one for one in installation.processes(tmp_path, Ports(8000, 8600))}


def test_all_three_run_the_same_processes(
    procfile: dict[str, str], services: dict[str, Any], demo: dict[str, installation.Process]
) -> None:
    assert set(procfile) == set(demo)
    assert set(demo) <= set(services)


@pytest.mark.parametrize("name", ["relay", "worker-tests", "worker-deployments", "beat"])
def test_the_same_process_is_started_the_same_way(
    name: str, procfile: dict[str, str], services: dict[str, Any], demo: dict[str, installation.Process]
) -> None:
    assert services[name]["command"] == procfile[name]
    said, runs = shlex.split(procfile[name]), demo[name].command
    assert sorted(said[1:]) == sorted(runs[3:] if runs[1] == "-m" else runs[1:])


def test_only_the_engine_and_the_deployments_worker_hold_the_token(
    services: dict[str, Any], demo: dict[str, installation.Process]
) -> None:
    assert {name for name, service in services.items() if TOKEN in service.get("environment", {})} == TRUSTED
    assert {name for name, one in demo.items() if one.trusted} == TRUSTED


def test_what_the_image_copies_is_there_and_not_left_out() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            source = line.split()[1]
            assert (ROOT / source).exists(), line
            assert source.split("/")[0] in kept or source.startswith("requirements"), line


def test_every_variable_that_must_be_given_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    compose = (ROOT / "compose.yaml").read_text()
    asked = {part.split(":?")[0] for part in compose.split("${")[1:] if ":?" in part.split("}")[0]}
    assert asked
    for name in asked:
        assert f"\n{name}=" in example
