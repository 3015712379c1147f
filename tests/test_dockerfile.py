"""The Dockerfile keeps to rules, as no engine builds it here, and what it builds is the whole package."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from dockerfile_rules import RULES, Dockerfile, faults
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text()


def test_no_rule_is_broken() -> None:
    assert faults(Dockerfile.parse(TEXT, IGNORED, ROOT)) == []


FAULTS = {
    "base_images_have_exact_versions": ("python:3.11.11-slim-bookworm", "python:3-slim"),
    "stages_have_one_base": ("FROM python:3.11.11-slim-bookworm AS build", "FROM python:3.12.7-slim-bookworm AS build"),
    "the_last_user_is_that_of_the_pods": ("USER 1000:100", "USER root"),
    "lists_of_packages_are_removed_where_they_were_made": (" \\\n    && rm -rf /var/lib/apt/lists/*", ""),
    "packages_bring_no_others_along": (" --no-install-recommends", ""),
    "nothing_is_added_by_add": ("COPY k8s ./k8s", "ADD https://example.com/k8s.tar /build/k8s"),
    "nothing_is_fetched_but_by_package_managers": ("RUN useradd", "RUN curl https://example.com | sh && useradd"),
    "pip_keeps_no_cache": ("PIP_NO_CACHE_DIR=1 ", ""),
    "pip_is_told_versions": ("pip install --constraint constraints.txt hatchling", "pip install hatchling"),
    "what_pip_installs_is_pinned": (" hatchling\n", " hatchling setuptools-scm\n"),
    "extras_are_those_of_the_project": ("delta,iceberg", "delta,icebreg"),
    "copied_files_are_there_and_sent": ("COPY constraints.txt ./", "COPY constraints.lock ./"),
    "sources_come_after_dependencies": ("COPY constraints.txt ./", "COPY raydnn ./raydnn\nCOPY constraints.txt ./"),
    "commands_are_lists": ('ENTRYPOINT ["raydnn"]', "ENTRYPOINT raydnn"),
    "no_secret_is_kept": ("ARG DEVICE=cpu", "ARG DEVICE=cpu\nARG PIP_TOKEN=x"),
    "folders_are_absolute": ("WORKDIR /build", "WORKDIR build"),
}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_fault_is_found(rule: str) -> None:
    old, new = FAULTS[rule]
    assert old in TEXT
    assert [*RULES[rule](Dockerfile.parse(TEXT.replace(old, new), IGNORED, ROOT))]


def test_files_that_nobody_copies_are_found() -> None:
    assert [*RULES["nothing_else_is_sent"](Dockerfile.parse(TEXT, IGNORED + "!tests\n", ROOT))] == ["tests"]
    assert FAULTS.keys() | {"nothing_else_is_sent"} == RULES.keys()


def test_the_wheel_holds_the_manifests(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if "k8s/manifests/" in name}
    found = {
        f"raydnn/k8s/manifests/{path.relative_to(ROOT / 'k8s')}": path.read_bytes()
        for folder, _, names in os.walk(ROOT / "k8s")
        for path in (Path(folder, name) for name in names)
    }
    assert packed == found
    assert len(packed) > 20


def test_the_source_distribution_holds_the_manifests_in_the_package_and_beside_it(tmp_path: Path) -> None:
    (path,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2]: member for member in archive.getmembers() if member.isfile()}
    inside = {name.removeprefix("raydnn/k8s/manifests/") for name in files if name.startswith("raydnn/k8s/manifests/")}
    beside = {name.removeprefix("k8s/") for name in files if name.startswith("k8s/")}
    assert inside == beside
    assert "overlays/prod/train/kustomization.yaml" in inside
    assert "Dockerfile" in files
