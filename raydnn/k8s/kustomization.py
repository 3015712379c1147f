"""Manifests out of a folder with a kustomization.yaml, as `kubectl kustomize` gives them.

Only what the folder k8s/ uses of kustomize is known, and all else is refused: resources, components, generated config
maps, patches of JSON 6902, images and a namespace. What this leaves to kubectl is in `_ELSEWHERE`.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
"""A manifest: plain values as YAML gives them."""

FILE = "kustomization.yaml"

# Tells kustomize where names stand, which matters where an overlay changes them.
_ELSEWHERE = {"apiVersion", "kind", "configurations", "generatorOptions"}
_KNOWN = {"resources", "components", "configMapGenerator", "patches", "images", "namespace"}


def build(folder: Path) -> list[Manifest]:
    """The manifests of a folder.

    Args:
        folder: with a kustomization.yaml of the kind Kustomization.

    Raises:
        FileNotFoundError: it, or what it names, is not there.
        ValueError: it has keys, patches or targets that are not known here.
    """
    return _apply([], folder)


def apply_component(manifests: list[Manifest], folder: Path) -> list[Manifest]:
    """Manifests as a component changes them, with those that it adds.

    Args:
        manifests: that are changed; they stay as they are.
        folder: with a kustomization.yaml of the kind Component.

    Raises:
        FileNotFoundError, ValueError: see `build`.
    """
    return _apply(copy.deepcopy(manifests), folder)


def containers(manifest: Manifest) -> Iterator[Manifest]:
    """All containers of all pods that a manifest makes."""
    for _, template in pod_templates(manifest):
        yield from template["spec"].get("initContainers", [])
        yield from template["spec"]["containers"]


def pod_templates(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """What the pods are like that a manifest makes: the name of each kind of pod in it, and its template."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "RayJob":
        if "submitterPodTemplate" in spec:
            yield "submitter", spec["submitterPodTemplate"]
        cluster = spec["rayClusterSpec"]
        yield "head", cluster["headGroupSpec"]["template"]
        for group in cluster["workerGroupSpecs"]:
            yield group["groupName"], group["template"]
    elif "template" in spec:
        yield manifest["metadata"]["name"], spec["template"]


def _apply(manifests: list[Manifest], folder: Path) -> list[Manifest]:
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    declared = _load(path)[0]
    unknown = sorted(set(declared) - _KNOWN - _ELSEWHERE)
    if unknown:
        raise ValueError(f"{path}: {', '.join(unknown)} is known to kubectl alone; render with kubectl kustomize")
    for name in declared.get("resources", []):
        found = folder / name
        manifests += build(found) if found.is_dir() else _load(found)
    for name in declared.get("components", []):
        manifests = _apply(manifests, folder / name)
    for settings in declared.get("configMapGenerator", []):
        _generate(manifests, settings, folder)
    for patch in declared.get("patches", []):
        _patch(manifests, patch, folder)
    for image in declared.get("images", []):
        for manifest in manifests:
            _retag(manifest, image["name"], image["newTag"])
    if "namespace" in declared:
        for manifest in manifests:
            manifest["metadata"]["namespace"] = declared["namespace"]
    return manifests


def _load(path: Path) -> list[Manifest]:
    # Through a copy each: an anchor would give two places one value.
    return [copy.deepcopy(each) for each in yaml.safe_load_all(path.read_text()) if each is not None]


def _generate(manifests: list[Manifest], settings: Manifest, folder: Path) -> None:
    """Make a config map of files, or add them to one that is there."""
    data = {name: (folder / name).read_text() for name in settings["files"]}
    if settings.get("behavior") == "merge":
        (found,) = (each for each in manifests if _is(each, {"kind": "ConfigMap", "name": settings["name"]}))
        found["data"] |= data
        return
    metadata = {"name": settings["name"], **settings.get("options", {})}
    manifests.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _patch(manifests: list[Manifest], patch: Manifest, folder: Path) -> None:
    text = (folder / patch["path"]).read_text() if "path" in patch else patch["patch"]
    operations = yaml.safe_load(text)
    if not isinstance(operations, list):
        raise ValueError(f"{folder / FILE}: a patch that is no list of operations is known to kubectl alone")
    targets = [each for each in manifests if _is(each, patch["target"])]
    if not targets:
        raise ValueError(f"{folder / FILE}: nothing is there that {patch['target']} names")
    for manifest in targets:
        for operation in operations:
            _operate(manifest, operation)


def _is(manifest: Manifest, target: Manifest) -> bool:
    return manifest["kind"] == target["kind"] and target.get("name") in (None, manifest["metadata"]["name"])


def _operate(manifest: Manifest, operation: Manifest) -> None:
    """Change one place, as JSON 6902 says.

    Raises:
        ValueError: the place is not there, or is not as tested.
    """
    holder: Any = manifest
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
    try:
        for part in way:
            holder = holder[int(part)] if isinstance(holder, list) else holder[part]
        place: Any = int(last) if isinstance(holder, list) and last != "-" else last
        value = copy.deepcopy(operation.get("value"))
        match operation["op"]:
            case "add" if isinstance(holder, list):
                holder.insert(len(holder) if place == "-" else place, value)
            case "add":
                holder[place] = value
            case "replace":
                _ = holder[place]
                holder[place] = value
            case "remove":
                del holder[place]
            case "test":
                if holder[place] != value:
                    raise ValueError(f"{operation['path']} is {holder[place]!r}, not {value!r}")
            case other:
                raise ValueError(f"the operation {other!r} of a patch is known to kubectl alone")
    except (KeyError, IndexError) as error:
        name = manifest["metadata"]["name"]
        raise ValueError(f"{manifest['kind']} {name} has no {operation['path']} to {operation['op']}") from error


def _retag(manifest: Manifest, name: str, tag: str) -> None:
    for container in containers(manifest):
        if image_name(container["image"]) == name:
            container["image"] = f"{name}:{tag}"


def image_name(image: str) -> str:
    """The name of an image without its tag or digest; a colon before a slash is that of a registry's port."""
    name = image.partition("@")[0]
    head, _, tail = name.rpartition(":")
    return head if head and "/" not in tail else name
