"""Times plain torch loops on a workload's shapes; see `benchmarks/speed.py`.

dense   the hidden layers alone: no embeddings, no strings, no input; what the machine allows
plain   what one would write: nn.EmbeddingBag(sparse=True) for each column, torch.optim.Adagrad, ids made beforehand
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import nn


def tower(width: int, hidden: list[int]) -> nn.Sequential:
    """Hidden layers and one logit."""
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 1))


def main() -> None:
    """Train on made-up numbers, and print rows a second as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", type=Path)
    parser.add_argument("loop", choices=["dense", "plain"])
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    workload, batch = json.loads(arguments.workload.read_text()), arguments.batch
    words, num_floats = list(workload["words"].values()), len(workload["floats"])
    width = num_floats + sum(column["dimension"] for column in words)
    net = tower(width, workload["hidden"])
    loss_fn = nn.BCEWithLogitsLoss(reduction="sum")
    labels = torch.randint(0, 2, (batch,)).float()
    dense_optimizer = torch.optim.Adagrad(net.parameters(), lr=0.05, initial_accumulator_value=0.1, fused=True)
    if arguments.loop == "dense":
        inputs = torch.randn(batch, width, requires_grad=True)

        def step() -> None:
            loss_fn(net(inputs).squeeze(1), labels).backward()
            dense_optimizer.step()
            dense_optimizer.zero_grad()
            inputs.grad = None

    else:
        tables = nn.ModuleList(nn.EmbeddingBag(c["buckets"], c["dimension"], mode="mean", sparse=True) for c in words)
        sparse_optimizer = torch.optim.Adagrad(tables.parameters(), lr=0.05, initial_accumulator_value=0.1)
        numbers = torch.randn(batch, num_floats)
        batches = []
        for _ in range(16):
            # Zipf-like: most ids are few.
            uniform = torch.rand(len(words), batch, 5)
            ids = [(column["buckets"] ** uniform[place]).long() - 1 for place, column in enumerate(words)]
            batches.append([i if c["is_multivalent"] else i[:, :1] for i, c in zip(ids, words, strict=True)])
        turn = iter(range(10**9))

        def step() -> None:
            ids = batches[next(turn) % len(batches)]
            vectors = [table(i) for table, i in zip(tables, ids, strict=True)]
            loss_fn(net(torch.cat([numbers, *vectors], 1)).squeeze(1), labels).backward()
            dense_optimizer.step()
            sparse_optimizer.step()
            dense_optimizer.zero_grad()
            sparse_optimizer.zero_grad()

    for _ in range(arguments.warm_up):
        step()
    start = time.perf_counter()
    for _ in range(arguments.steps - arguments.warm_up):
        step()
    seconds = time.perf_counter() - start
    print(json.dumps({"train": (arguments.steps - arguments.warm_up) * batch / seconds}))


if __name__ == "__main__":
    main()
