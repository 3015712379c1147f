"""How large pods are."""

from typing import Any

import pytest
from checked_runs import run_of

from raydnn.config.checks.memory import PROCESS_BYTES, needed_memory
from raydnn.config.profile import Profile
from raydnn.errors import ConfigError
from raydnn.inputs.windows import WINDOW_ROWS
from raydnn.k8s.sizing import HEAD_CPUS, HEAD_RAY, MARGIN, OBJECT_STORE, STEP, WORKER_RAY, PodSize, size_cluster

GIB = 1 << 30
TABLE = 20_000_000 * 16 * 4


def sizes(features: dict[str, Any] | None = None, data: dict[str, Any] | None = None, **run: Any) -> Any:
    return size_cluster(run_of(features, data=data or {}, run={"num_workers": 2} | run))


def big(**run: Any) -> Any:
    return sizes({"x": {"hash": 20_000_000, "embed": 16}}, **run)


def test_the_formula_is_that_of_the_text() -> None:
    run = run_of({"x": {"hash": 100_000, "embed": 8}}, run={"num_workers": 3})
    need, found = needed_memory(run, Profile(WINDOW_ROWS)), size_cluster(run)
    beside = PROCESS_BYTES + need.windows
    worker = MARGIN * (need.of_worker + beside) / (1 - OBJECT_STORE) + WORKER_RAY
    head = MARGIN * (PROCESS_BYTES + need.windows + beside) / (1 - OBJECT_STORE) + HEAD_RAY
    for size, exact in ((found.worker, worker), (found.head, head)):
        assert exact <= size.memory < exact + STEP
        assert size.memory % STEP == 0
    assert (found.least, found.most, found.head.cpus) == (3, 3, HEAD_CPUS)


def test_tables_count_with_their_slots_and_a_margin() -> None:
    # Adagrad has one slot.
    share = MARGIN / (1 - OBJECT_STORE)
    assert big().worker.memory - sizes().worker.memory == pytest.approx(share * 2 * TABLE, rel=0.05)
    assert big().head == sizes().head


def test_spread_tables_are_divided_by_the_workers() -> None:
    whole, spread = (big(num_workers=4, num_ps_replicas=count) for count in (0, 4))
    plain = sizes(num_workers=4).worker.memory
    assert spread.worker.memory - plain == pytest.approx((whole.worker.memory - plain) / 4, rel=0.05)


def test_elastic_workers_are_as_large_as_the_fewest_need() -> None:
    elastic = big(num_workers=[2, 8], num_ps_replicas=8, max_failures=1)
    assert (elastic.least, elastic.most) == (2, 8)
    assert elastic.worker == big(num_workers=2, num_ps_replicas=8).worker


def test_evaluation_holds_all_tables_in_whole_wherever_it_runs() -> None:
    features = {"x": {"hash": 20_000_000, "embed": 16}}
    train, both = (sizes(features, {"eval": path}, num_ps_replicas=2) for path in (None, "b.parquet"))
    for pod in ("worker", "head"):
        more = getattr(both, pod).memory - getattr(train, pod).memory
        assert more == pytest.approx(MARGIN / (1 - OBJECT_STORE) * TABLE, rel=0.1)


def test_larger_batches_need_more_memory() -> None:
    model = {"hidden_units": [4096, 4096]}
    small, large = (
        size_cluster(run_of(model=model, data={"batch_size": size}, run={"num_workers": 2})) for size in (100, 100_000)
    )
    assert large.worker.memory > small.worker.memory + 3 * GIB


@pytest.mark.parametrize(
    ("run", "cpus", "gpus"),
    [
        ({}, 2, 0),
        ({"resources_per_worker": {"CPU": 4}}, 5, 0),
        ({"resources_per_worker": {"CPU": 0.5}}, 2, 0),
        ({"use_gpu": True}, 2, 1),
        ({"resources_per_worker": {"CPU": 2, "GPU": 1.5}}, 3, 2),
    ],
)
def test_a_pod_has_the_cpus_of_its_worker_and_one_more(run: dict[str, Any], cpus: int, gpus: int) -> None:
    worker = sizes(**run).worker
    assert (worker.cpus, worker.gpus) == (cpus, gpus)


def test_memory_that_is_asked_for_is_had() -> None:
    memory = sizes(resources_per_worker={"CPU": 1, "memory": 20 * GIB}).worker.memory
    assert memory * (1 - OBJECT_STORE) >= 20 * GIB


def test_resources_that_no_pod_has_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"run\.resources_per_worker: pods have CPU, GPU, memory, not disk; leave"):
        sizes(resources_per_worker={"CPU": 1, "disk": 1})


def test_quantities_are_whole() -> None:
    assert [PodSize(1, size).memory_quantity for size in (4 * GIB, 4 * GIB + STEP)] == ["4Gi", "4352Mi"]
