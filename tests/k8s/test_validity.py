"""All manifests are what Kubernetes and KubeRay's operator take, and all names in them lead somewhere."""

from pathlib import Path

import pytest
from kuberay_renderings import COMPONENTS, FOLDER, FOLDERS, JOBS, RUNS, kustomized, rendered, with_components
from kuberay_rules import faults
from kuberay_schemas import cel_faults, core_faults, needs_crds, pod_faults, schema_faults
from yamllint import linter
from yamllint.config import YamlLintConfig

from raydnn.k8s.kustomization import Manifest

TIDY = YamlLintConfig(
    "{extends: default, rules: {document-start: disable, line-length: {max: 140}, comments-indentation: disable, "
    "indentation: {indent-sequences: whatever}}}"
)
CASES = {
    **{folder: ("folder", folder) for folder in FOLDERS},
    **{f"{job} with {name}": (job, name) for job in JOBS for name in COMPONENTS},
    **{f"rendered {name}": ("rendered", name) for name in RUNS},
    "with a prefix": ("prefix", ""),
}


@pytest.fixture(params=CASES, scope="module")
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    kind, name = CASES[request.param]
    if kind == "rendered":
        return rendered(name)
    if kind == "folder":
        return kustomized(FOLDER / name)
    folder: Path = tmp_path_factory.mktemp("overlay")
    if kind == "prefix":
        return with_components(folder, "train", namePrefix="mine-")
    return with_components(folder, kind, name)


def test_no_rule_is_broken(manifests: list[Manifest]) -> None:
    assert faults(manifests) == []


def test_core_kinds_and_pods_fit_the_schemas_of_kubernetes(manifests: list[Manifest]) -> None:
    core = [each for each in manifests if each["kind"] != "RayJob"]
    assert [fault for each in core for fault in core_faults(each)] == []
    assert [fault for each in manifests for fault in pod_faults(each)] == []


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_files_are_tidy_yaml(path: Path) -> None:
    assert [str(problem) for problem in linter.run(path.read_text(), TIDY)] == []


@needs_crds
def test_jobs_fit_the_schema_and_the_rules_of_kuberay(manifests: list[Manifest]) -> None:
    found = [each for each in manifests if each["kind"] == "RayJob"]
    assert len(found) == 1
    assert [*schema_faults(found[0]), *cel_faults(found[0])] == []
