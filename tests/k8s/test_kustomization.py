"""The manifests that the package makes of k8s/ are those that kubectl makes."""

from pathlib import Path

import pytest
import yaml
from kuberay_renderings import COMPONENTS, FOLDER, FOLDERS, by_name, kustomized, with_components

from raydnn.k8s.kustomization import apply_component, build, image_name


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_gives_what_kubectl_makes_of_it(folder: str) -> None:
    assert by_name(build(FOLDER / folder)) == by_name(kustomized(FOLDER / folder))


@pytest.mark.parametrize("names", [*([name] for name in COMPONENTS), ["gpu", "spot"], ["spot", "gpu"]], ids="-".join)
def test_components_change_what_they_change_for_kubectl(tmp_path: Path, names: list[str]) -> None:
    manifests = plain = build(FOLDER / "train")
    before = yaml.safe_dump(plain)
    for name in names:
        manifests = apply_component(manifests, FOLDER / "components" / name)
    assert by_name(manifests) == by_name(with_components(tmp_path, "train", *names))
    assert by_name(manifests) != by_name(plain)
    assert yaml.safe_dump(plain) == before


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"replacements": []}, "replacements is known to kubectl alone"),
        ({"patches": [{"target": {"kind": "Pod"}, "patch": "[]"}]}, "nothing is there that .*Pod.* names"),
        ({"patches": [{"target": {"kind": "RayJob"}, "patch": "spec: {}"}]}, "no list of operations"),
        (
            {"patches": [{"target": {"kind": "RayJob"}, "patch": "[{op: replace, path: /spec/nope, value: 1}]"}]},
            "RayJob flights has no /spec/nope to replace",
        ),
        (
            {"patches": [{"target": {"kind": "RayJob"}, "patch": "[{op: test, path: /kind, value: Pod}]"}]},
            "/kind is 'RayJob', not 'Pod'",
        ),
        (
            {"patches": [{"target": {"kind": "RayJob"}, "patch": "[{op: move, path: /kind, from: /spec}]"}]},
            "the operation 'move' of a patch is known to kubectl alone",
        ),
    ],
)
def test_what_only_kubectl_knows_is_refused(tmp_path: Path, declared: dict[str, object], message: str) -> None:
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(declared))
    with pytest.raises(ValueError, match=message):
        apply_component(build(FOLDER / "train"), tmp_path)


def test_a_folder_without_its_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no .*kustomization\.yaml"):
        build(tmp_path)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("raydnn", "raydnn"),
        ("raydnn:1", "raydnn"),
        ("host:5000/raydnn", "host:5000/raydnn"),
        ("host:5000/team/raydnn:1", "host:5000/team/raydnn"),
        ("raydnn@sha256:12", "raydnn"),
    ],
)
def test_images_are_told_apart_by_their_names(image: str, name: str) -> None:
    assert image_name(image) == name
