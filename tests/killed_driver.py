"""A driver that trains with two Ray workers on the cluster that RAY_ADDRESS names, until somebody kills it.

    python killed_driver.py MODEL_DIR SEED

leaves the rows of each step, and the ids of the workers' processes, in MODEL_DIR.ledger; see `resumed_calls`.
"""

import sys
from pathlib import Path

import ray.cloudpickle
import resumed_calls

# Workers cannot import it by name.
ray.cloudpickle.register_pickle_by_value(resumed_calls)

if __name__ == "__main__":
    resumed_calls.two_epochs(Path(sys.argv[1]), int(sys.argv[2]), num_workers=2)
