"""What all rules are made with: the register of rules, and the parts of manifests."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raydnn.k8s.kustomization import Manifest, pod_templates

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

Manifests = list[Manifest]
Rule = Callable[[Manifests], Iterator[str]]
RULES: dict[str, Rule] = {}
"""Name of a rule -> what tells, of the manifests that are applied together, where it is broken."""


def a_rule(function: Rule) -> Rule:
    """Make a function one of RULES."""
    RULES[function.__name__] = function
    return function


def of_kind(manifests: Manifests, kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def name_of(manifest: Manifest) -> str:
    name: str = manifest["metadata"]["name"]
    return name


def named(manifests: Manifests, kind: str) -> dict[str, Manifest]:
    return {name_of(each): each for each in of_kind(manifests, kind)}


def jobs(manifests: Manifests) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Name, spec and cluster of each job."""
    for job in of_kind(manifests, "RayJob"):
        yield name_of(job), job["spec"], job["spec"]["rayClusterSpec"]


def pods(manifests: Manifests) -> Iterator[tuple[str, Manifest]]:
    for manifest in manifests:
        for name, template in pod_templates(manifest):
            yield f"{name_of(manifest)}/{name}", template


def ray_groups(cluster: Manifest) -> list[Manifest]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def variables(container: Manifest) -> dict[str, str]:
    """The environment variables that a container sets itself, with those that they are made of put in."""
    found: dict[str, str] = {}
    for each in container.get("env", []):
        found[each["name"]] = expanded(each.get("value", ""), found)
    return found


def expanded(text: str, values: Mapping[str, str]) -> str:
    """A text with the values of variables put in; others stay as they are."""
    return re.sub(r"\$\((\w+)\)", lambda match: values.get(match[1], match[0]), text)


def requests(container: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = container.get("resources", {}).get("requests", {})
    return found
