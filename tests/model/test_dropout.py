"""Dropout by hashes of seed, layer, row and column."""

import pytest
import torch

from raydnn.model.dropout import Dropout


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.9])
def test_dropped_values_are_zero_and_the_others_scaled_up(rate: float) -> None:
    x = torch.full((300, 300), 3.0)
    dropped = Dropout(1)(x, rate)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], (x / (1 - rate))[kept])
    assert kept.double().mean().item() == pytest.approx(1 - rate, abs=0.01)
    assert dropped.mean().item() == pytest.approx(3.0, rel=0.05)


def test_the_gradient_flows_through_kept_values_only() -> None:
    x = torch.ones(100, requires_grad=True)
    dropped = Dropout(1)(x, 0.5)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, dropped.detach())


def test_parts_of_a_batch_are_dropped_as_in_the_whole() -> None:
    x = torch.ones(10, 7)
    whole = Dropout(5)(x, 0.5)
    parts = [Dropout(5, start)(x[start:stop], 0.5) for start, stop in ((0, 3), (3, 3), (3, 10))]
    assert torch.equal(torch.cat(parts), whole)


def test_masks_of_seeds_layers_rows_and_columns_are_not_alike() -> None:
    x = torch.ones(200, 300)
    masks = [Dropout(seed)(x, 0.5, layer) - 1 for seed in (1, 2, 2**40 + 1) for layer in (0, 1)]
    for place, mask in enumerate(masks):
        assert abs(float(mask.mean())) < 0.015
        for other in masks[:place]:
            assert abs(float((mask * other).mean())) < 0.02
        rows, columns = mask @ mask.T / 300, mask.T @ mask / 200
        assert float((rows - torch.eye(200) * rows).abs().max()) < 0.35
        assert float((columns - torch.eye(300) * columns).abs().max()) < 0.4


@pytest.mark.parametrize("shape", [(5,), (5, 2, 3), (0, 4)])
def test_any_shape_is_dropped(shape: tuple[int, ...]) -> None:
    assert Dropout(3)(torch.ones(shape), 0.5).shape == shape
