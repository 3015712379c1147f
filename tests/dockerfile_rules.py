"""Rules for a Dockerfile and the folder that it is built in."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

Rule = Callable[["Dockerfile"], Iterator[str]]
RULES: dict[str, Rule] = {}
"""Name of a rule -> what tells where a Dockerfile breaks it."""

_PIP_OPTIONS_WITH_VALUES = ("--constraint", "--index-url")


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile.

    Attributes:
        steps: instruction and arguments, lines joined and comments left out.
        ignored: the lines of its .dockerignore.
        folder: in which it is built.
    """

    steps: list[tuple[str, str]]
    ignored: list[str]
    folder: Path

    @classmethod
    def parse(cls, text: str, ignored: str, folder: Path) -> "Dockerfile":
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        joined = "\n".join(lines).replace("\\\n", " ")
        steps = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
        kept = [line for line in ignored.splitlines() if line and not line.startswith("#")]
        return cls([(name, " ".join(rest.split())) for name, rest in steps], kept, folder)

    def of(self, *names: str) -> list[str]:
        """The arguments of some instructions."""
        return [rest for name, rest in self.steps if name in names]

    @property
    def last_stage(self) -> list[tuple[str, str]]:
        """The steps that make the image itself."""
        start = max(place for place, (name, _) in enumerate(self.steps) if name == "FROM")
        return self.steps[start:]

    def commands(self) -> Iterator[list[str]]:
        """The words of each command that is run."""
        for script in self.of("RUN"):
            for command in re.split(r"&&|;;|;", script):
                yield shlex.split(command, comments=False)

    def is_sent(self, path: str) -> bool:
        """Whether a path is in the folder as it is sent to be built."""
        sent = True
        for line in self.ignored:
            pattern = line.removeprefix("!").removeprefix("**/").rstrip("/")
            if fnmatch(path, pattern) or fnmatch(path.split("/")[0], pattern):
                sent = line.startswith("!")
        return sent


def faults(dockerfile: Dockerfile) -> list[str]:
    """All that is wrong, with the names of the rules."""
    return [f"{name}: {text}" for name, rule in RULES.items() for text in rule(dockerfile)]


def a_rule(function: Rule) -> Rule:
    """Make a function one of RULES."""
    RULES[function.__name__] = function
    return function


@a_rule
def base_images_have_exact_versions(dockerfile: Dockerfile) -> Iterator[str]:
    for image in (rest.split()[0] for rest in dockerfile.of("FROM")):
        if not re.search(r":\d+\.\d+\.\d+-[a-z]+-[a-z]+$", image):
            yield image


@a_rule
def stages_have_one_base(dockerfile: Dockerfile) -> Iterator[str]:
    images = {rest.split()[0] for rest in dockerfile.of("FROM")}
    if len(images) > 1:
        yield f"what is built with one is run with another: {', '.join(sorted(images))}"


@a_rule
def the_last_user_is_that_of_the_pods(dockerfile: Dockerfile) -> Iterator[str]:
    users = [rest for name, rest in dockerfile.last_stage if name == "USER"]
    if users[-1:] != ["1000:100"]:
        yield f"the image runs as {users[-1:] or 'root'}"
    if not any("--uid 1000 --gid 100" in rest for name, rest in dockerfile.last_stage if name == "RUN"):
        yield "nobody makes the user"


@a_rule
def lists_of_packages_are_removed_where_they_were_made(dockerfile: Dockerfile) -> Iterator[str]:
    for script in dockerfile.of("RUN"):
        if "apt-get update" in script and not script.endswith("rm -rf /var/lib/apt/lists/*"):
            yield script
        if "apt-get install" in script and "apt-get update" not in script:
            yield f"old lists: {script}"


@a_rule
def packages_bring_no_others_along(dockerfile: Dockerfile) -> Iterator[str]:
    for words in dockerfile.commands():
        if words[:2] == ["apt-get", "install"] and not {"--yes", "--no-install-recommends"} <= set(words):
            yield " ".join(words)


@a_rule
def nothing_is_added_by_add(dockerfile: Dockerfile) -> Iterator[str]:
    yield from dockerfile.of("ADD")


@a_rule
def nothing_is_fetched_but_by_package_managers(dockerfile: Dockerfile) -> Iterator[str]:
    for words in dockerfile.commands():
        if words[:1] in (["curl"], ["wget"], ["git"], ["sudo"]):
            yield " ".join(words)


@a_rule
def pip_keeps_no_cache(dockerfile: Dockerfile) -> Iterator[str]:
    place = [name == "ENV" and "PIP_NO_CACHE_DIR=1" in rest for name, rest in dockerfile.steps]
    first = [name == "RUN" and "pip install" in rest for name, rest in dockerfile.steps]
    if True not in place or place.index(True) > first.index(True):
        yield "PIP_NO_CACHE_DIR is not set before pip is used"


@a_rule
def pip_is_told_versions(dockerfile: Dockerfile) -> Iterator[str]:
    for words in dockerfile.commands():
        if words[:2] == ["pip", "install"] and "--no-deps" not in words and "constraints.txt" not in words:
            yield " ".join(words)


@a_rule
def what_pip_installs_is_pinned(dockerfile: Dockerfile) -> Iterator[str]:
    pinned = {line.partition("==")[0].lower() for line in (dockerfile.folder / "constraints.txt").read_text().split()}
    for words in dockerfile.commands():
        if words[:2] != ["pip", "install"]:
            continue
        values = {after for word, after in pairwise(words) if word in _PIP_OPTIONS_WITH_VALUES}
        for name in words[2:]:
            if not name.startswith((".", "-")) and name not in values and name.lower() not in pinned:
                yield name


@a_rule
def extras_are_those_of_the_project(dockerfile: Dockerfile) -> Iterator[str]:
    project = (dockerfile.folder / "pyproject.toml").read_text()
    for script in dockerfile.of("RUN"):
        for extra in ",".join(re.findall(r'"\.\[([\w,]+)\]"', script)).split(","):
            if extra and not re.search(rf"(?m)^{extra} = \[", project):
                yield extra


@a_rule
def copied_files_are_there_and_sent(dockerfile: Dockerfile) -> Iterator[str]:
    for rest in dockerfile.of("COPY"):
        if rest.startswith("--from"):
            continue
        for path in rest.split()[:-1]:
            if not (dockerfile.folder / path).exists() or not dockerfile.is_sent(path) or path == ".":
                yield path


@a_rule
def nothing_else_is_sent(dockerfile: Dockerfile) -> Iterator[str]:
    copied = {path for rest in dockerfile.of("COPY") if "--from" not in rest for path in rest.split()[:-1]}
    for path in (each.name for each in dockerfile.folder.iterdir()):
        if dockerfile.is_sent(path) and path not in copied:
            yield path


@a_rule
def sources_come_after_dependencies(dockerfile: Dockerfile) -> Iterator[str]:
    lines = [f"{name} {rest}" for name, rest in dockerfile.steps]
    sources = next(place for place, line in enumerate(lines) if line.startswith("COPY raydnn"))
    heavy = [place for place, line in enumerate(lines) if "pip install" in line and "--constraint" in line]
    yield from (lines[place] for place in heavy if place > sources)


@a_rule
def commands_are_lists(dockerfile: Dockerfile) -> Iterator[str]:
    found = [(name, rest) for name, rest in dockerfile.last_stage if name in ("ENTRYPOINT", "CMD")]
    if [name for name, _ in found] != ["ENTRYPOINT", "CMD"]:
        yield f"there are {[name for name, _ in found]}"
    for name, rest in found:
        try:
            json.loads(rest)
        except ValueError:
            yield f"{name} {rest} is run by a shell"


@a_rule
def no_secret_is_kept(dockerfile: Dockerfile) -> Iterator[str]:
    for rest in dockerfile.of("ENV", "ARG"):
        if re.search("(?i)password|secret|token|key", rest):
            yield rest


@a_rule
def folders_are_absolute(dockerfile: Dockerfile) -> Iterator[str]:
    yield from (rest for rest in dockerfile.of("WORKDIR") if not rest.startswith("/"))
    for words in dockerfile.commands():
        if words[:1] == ["cd"]:
            yield " ".join(words)
