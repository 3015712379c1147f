"""A sweep as it goes in a cluster: its folder on the shared storage, and pods for the trials that run at once."""

import math

import yaml

from raydnn import config
from raydnn.config.document import Document
from raydnn.config.loader import read_text
from raydnn.k8s.job import Job
from raydnn.k8s.run_in_cluster import in_cluster, shared
from raydnn.k8s.sizing import ClusterSize, size_of_trials
from raydnn.tune import Sweep
from raydnn.tune.space import random_configuration
from raydnn.tune.sweep import reads_by_ray

AT_ONCE = 4
"""Trials that pods are asked for, where trials.max_concurrent does not say."""
DRAWN = 20
"""Configurations whose memory is looked at: a space may hold models much larger than that of the base run."""
RUN_FILE = "/etc/raydnn/run.yaml"
"""Where the head finds the base run."""


def is_sweep(path: str) -> bool:
    """Whether a file declares a sweep and no run: its key run is the name of a file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    values = Document.parse(read_text(path)).values
    return isinstance(values, dict) and isinstance(values.get("run"), str)


def job_of_sweep(sweep: Sweep, name: str) -> Job:
    """What the manifests of a sweep have to know.

    Args:
        sweep: as it was declared.
        name: of its job, and of its folder on the shared storage.

    Raises:
        ConfigError: a path of this machine that the cluster does not have.
    """
    settings = sweep.settings
    base = config.load(settings.run, settings.set)
    _, text = in_cluster(base, name)
    declared = {key: value for key, value in sweep.source["sweep"].items() if key != "set"}
    declared |= {"run": RUN_FILE, "name": name, "storage": shared("storage", settings.storage)}
    tracking = settings.tracking_settings
    if tracking is not None and tracking.tracking_uri is None:
        given = declared["tracking"] if isinstance(declared["tracking"], dict) else {}
        declared["tracking"] = {**given, "tracking_uri": "${MLFLOW_TRACKING_URI}"}
    return Job(
        name=name,
        kind="tune",
        files={"run.yaml": text, "sweep.yaml": yaml.safe_dump(declared, sort_keys=False, width=120)},
        size=_size(sweep),
        is_stored=True,
    )


def _size(sweep: Sweep) -> ClusterSize:
    settings = sweep.settings
    trials, budget = settings.trials, settings.budget
    template = sweep.trial_template()
    drawn = [random_configuration(sweep.space, settings.seed, number) for number in range(DRAWN)]
    total = None if budget.trials is None else budget.trials + budget.with_default
    at_once = trials.max_concurrent or min(AT_ONCE, total or AT_ONCE)
    cpus = math.ceil(trials.cpus)
    # Beside workers another process evaluates; Ray Data reads with one more.
    others = (0 if trials.workers is None else at_once) + (1 if reads_by_ray(sweep.base) else 0)
    pods = at_once * (trials.workers or 1) + math.ceil(others / cpus)
    return size_of_trials([template.run(values) for values in ({}, *drawn)], cpus, pods)
