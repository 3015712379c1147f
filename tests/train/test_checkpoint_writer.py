"""Writing checkpoints: what is stored, and under which names."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raydnn import storage
from raydnn.errors import DataLossError
from raydnn.model.rows import Rows
from raydnn.model.variable import Variable
from raydnn.train import CheckpointReader, latest_checkpoint, load_checkpoint, save_checkpoint
from raydnn.train.checkpoint.state import read_state
from raydnn.train.checkpoint.writer import write_checkpoint, write_part


def test_floats_are_stored_as_float32_and_integers_as_they_are(tmp_path: Path) -> None:
    reader = load_checkpoint(
        save_checkpoint(
            str(tmp_path), {"w": [[1.5, 2.5]], "n": np.int32([3]), "f": np.asfortranarray([[1, 2], [3, 4]])}, 5
        )
    )
    assert reader.get_variable_to_dtype_map() == {"f": "int64", "global_step": "int64", "n": "int32", "w": "float32"}
    assert reader.get_tensor("w").tolist() == [[1.5, 2.5]]
    assert reader.get_tensor("f").tolist() == [[1, 2], [3, 4]]
    assert reader.global_step == reader.get_tensor("global_step") == 5


def test_each_saved_checkpoint_becomes_the_newest(tmp_path: Path) -> None:
    for step in (3, 10, 3):
        path = save_checkpoint(str(tmp_path), {"w": np.full(1, step)}, step)
        assert path == f"{tmp_path}/model.ckpt-{step}" == latest_checkpoint(str(tmp_path))
    assert read_state(str(tmp_path)) == ["model.ckpt-10", "model.ckpt-3"]


@pytest.mark.parametrize(("variables", "global_step"), [({}, -1), ({"global_step": np.int64(4)}, 5)])
def test_a_step_that_cannot_be_is_refused(tmp_path: Path, variables: dict[str, np.ndarray], global_step: int) -> None:
    with pytest.raises(ValueError, match="global_step"):
        save_checkpoint(str(tmp_path), variables, global_step)
    assert storage.list_folder(str(tmp_path)) == []


def spread(rank: int, size: int) -> list[Variable]:
    rows = Rows(rank, size, 5)
    return [Variable("table", torch.arange(10.0).view(5, 2)[rows.places], rows=rows)]


def test_parts_of_all_replicas_make_a_checkpoint(tmp_path: Path) -> None:
    parts = str(tmp_path / "parts")
    for rank in range(3):
        write_part(parts, rank, 3, spread(rank, 3))
    path = write_checkpoint(str(tmp_path), {}, 1, parts_folder=parts, num_parts=3)
    reader = CheckpointReader(path)
    np.testing.assert_array_equal(reader.get_tensor("table"), np.arange(10.0).reshape(5, 2))
    for step in (1, 2, 3, 4):
        for first in range(step):
            rows = Rows(first, step, 5)
            found = reader.get_tensors(["table"], {"table": rows})["table"]
            np.testing.assert_array_equal(found, np.arange(10.0).reshape(5, 2)[rows.places])
    assert not Path(parts).exists()


def test_a_checkpoint_without_the_part_of_some_replica_is_not_written(tmp_path: Path) -> None:
    write_part(str(tmp_path / "parts"), 0, 2, spread(0, 2))
    with pytest.raises(DataLossError, match="partition-00001-of-00002.json is missing: worker 1"):
        write_checkpoint(str(tmp_path), {}, 1, parts_folder=str(tmp_path / "parts"), num_parts=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts"]


def test_rows_that_no_part_holds_are_data_loss(tmp_path: Path) -> None:
    write_part(str(tmp_path / "parts"), 0, 1, spread(0, 2))
    path = write_checkpoint(str(tmp_path), {}, 1, parts_folder=str(tmp_path / "parts"), num_parts=1)
    with pytest.raises(DataLossError, match="lacks rows of 'table'"):
        CheckpointReader(path).get_tensor("table")
