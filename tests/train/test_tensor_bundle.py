"""Reading TensorFlow's checkpoints: every value as TensorFlow wrote it, and no damaged byte that goes unseen."""

import json
import shutil
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raydnn import errors, storage
from raydnn.inputs.tfrecord import masked_crc32c
from raydnn.train import save_checkpoint
from raydnn.train.checkpoint.tensor_bundle import TensorBundleReader, find_tensor_bundle, read_table

GOLDENS = Path(__file__).parents[1] / "goldens" / "tf_checkpoints"
PREFIXES = {
    "adam_batch_norm": "model.ckpt-6",
    "adagrad_partitioned": "model.ckpt-5",
    "dtypes_and_slices": "model.ckpt-12",
}
EMBEDDING = "dnn/input_from_feature_columns/input_layer/c_embedding/embedding_weights"
SNAPPY = 1


def golden(name: str) -> str:
    return str(GOLDENS / name / PREFIXES[name])


def expected(name: str) -> dict[str, Any]:
    """Name -> values of the variables that can be read."""
    variables = json.loads((GOLDENS / name / "expected.json").read_text())["variables"]
    return {key: value["values"] if isinstance(value, dict) else value for key, value in variables.items()}


@dataclass(frozen=True)
class Copy:
    """A copy of a golden checkpoint, to be damaged."""

    prefix: str

    @property
    def index(self) -> Path:
        return Path(self.prefix + ".index")

    @property
    def data(self) -> Path:
        return Path(self.prefix + ".data-00000-of-00001")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Copy:
    folder = tmp_path / "tensorflow"
    shutil.copytree(GOLDENS / "adagrad_partitioned", folder)
    return Copy(str(folder / "model.ckpt-5"))


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def everything(prefix: str) -> dict[str, Any]:
    reader = TensorBundleReader(prefix)
    return {
        name: value.tolist() for name, value in reader.get_tensors(list(reader.get_variable_to_shape_map())).items()
    }


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def write_table(path: Path, entries: Mapping[bytes, bytes], block_entries: int = 100, compression: int = 0) -> None:
    """A LevelDB table with whole keys and this many entries a block."""
    file = bytearray()

    def add_block(members: list[tuple[bytes, bytes]]) -> bytes:
        block = b"".join(
            varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in members
        ) + struct.pack("<II", 0, 1)
        if compression == SNAPPY:
            block = pa.compress(block, codec="snappy", asbytes=True)
        handle = varint(len(file)) + varint(len(block))
        block += bytes([compression])
        file.extend(block + struct.pack("<I", masked_crc32c(block)))
        return handle

    items = list(entries.items())
    parts = [items[first : first + block_entries] for first in range(0, len(items), block_entries)]
    index = add_block([(part[-1][0], add_block(part)) for part in parts])
    footer = (add_block([]) + index).ljust(40, b"\0")
    path.write_bytes(bytes(file) + footer + struct.pack("<Q", 0xDB4775248B80FB57))


@pytest.mark.parametrize("name", PREFIXES)
def test_every_variable_has_the_value_that_tensorflow_wrote(name: str) -> None:
    reader = TensorBundleReader(golden(name))
    for variable, values in expected(name).items():
        value = reader.get_tensor(variable)
        np.testing.assert_array_equal(value, np.asarray(values, value.dtype).reshape(value.shape), variable)
        assert value.flags.writeable


@pytest.mark.parametrize("name", PREFIXES)
def test_the_maps_say_what_a_tensor_will_be(name: str) -> None:
    reader = TensorBundleReader(golden(name))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert set(shapes) == set(dtypes)
    assert set(shapes) - set(expected(name)) <= {"dtypes/string", "sliced/gaps"}
    for variable, value in reader.get_tensors(list(expected(name))).items():
        assert shapes[variable] == list(value.shape)
        assert dtypes[variable] == value.dtype.name


@pytest.mark.parametrize(("name", "step"), [("adam_batch_norm", 6), ("adagrad_partitioned", 5)])
def test_the_step_is_that_of_the_variable_global_step(name: str, step: int) -> None:
    reader = TensorBundleReader(golden(name))
    assert reader.global_step == step
    assert reader.path == golden(name)


def test_without_a_global_step_the_step_is_0(checkpoint: Copy) -> None:
    entries = read_table(str(checkpoint.index))
    del entries[b"global_step"]
    write_table(checkpoint.index, entries)
    assert TensorBundleReader(checkpoint.prefix).global_step == 0


def test_several_tensors_come_in_the_order_asked_for() -> None:
    names = ["dnn/logits/kernel", "dnn/hiddenlayer_0/bias", EMBEDDING]
    assert list(TensorBundleReader(golden("adagrad_partitioned")).get_tensors(names)) == names


def test_a_partitioned_variable_is_whole_and_its_slots_are_their_rows() -> None:
    reader = TensorBundleReader(golden("adagrad_partitioned"))
    shapes = reader.get_variable_to_shape_map()
    assert shapes[EMBEDDING] == [6, 2]
    assert shapes[f"{EMBEDDING}/t_0/Adagrad"] == [3, 2]
    assert reader.get_tensor(f"{EMBEDDING}/t_1/Adagrad").shape == (3, 2)


def test_slices_that_leave_gaps_are_refused() -> None:
    with pytest.raises(errors.DataLossError, match="'sliced/gaps' leave gaps"):
        TensorBundleReader(golden("dtypes_and_slices")).get_tensor("sliced/gaps")


def test_strings_are_listed_but_not_read() -> None:
    reader = TensorBundleReader(golden("dtypes_and_slices"))
    assert reader.get_variable_to_shape_map()["dtypes/string"] == [2]
    assert reader.get_variable_to_dtype_map()["dtypes/string"] == "string"
    with pytest.raises(errors.UnimplementedError, match="'dtypes/string'.*dtype string"):
        reader.get_tensor("dtypes/string")


@pytest.mark.parametrize(
    "dtype",
    [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    + ["float16", "float32", "float64", "complex64", "complex128", "bool"],
)
def test_a_tensor_has_the_dtype_it_was_saved_with(dtype: str) -> None:
    reader = TensorBundleReader(golden("dtypes_and_slices"))
    assert reader.get_tensor(f"dtypes/{dtype}").dtype == np.dtype(dtype)


def test_a_bfloat16_is_read_as_float32() -> None:
    reader = TensorBundleReader(golden("dtypes_and_slices"))
    assert reader.get_variable_to_dtype_map()["dtypes/bfloat16"] == "float32"
    assert reader.get_tensor("dtypes/bfloat16").tolist() == [1.5, -2.25, 3.140625]


@pytest.mark.parametrize("compression", [0, SNAPPY])
@pytest.mark.parametrize("block_entries", [1, 4, 100])
def test_an_index_may_have_many_blocks_and_be_compressed(
    checkpoint: Copy, block_entries: int, compression: int
) -> None:
    write_table(checkpoint.index, read_table(str(checkpoint.index)), block_entries, compression)
    assert everything(checkpoint.prefix) == everything(golden("adagrad_partitioned"))


def test_a_checkpoint_may_lie_on_an_object_store() -> None:
    folder = f"memory://{uuid.uuid4().hex}"
    for file in (GOLDENS / "adagrad_partitioned").iterdir():
        storage.write_bytes(storage.join(folder, file.name), file.read_bytes())
    prefix = find_tensor_bundle(folder)
    assert prefix == f"{folder}/model.ckpt-5"
    assert everything(prefix) == everything(golden("adagrad_partitioned"))


def test_only_the_bytes_of_the_asked_for_variable_are_read(checkpoint: Copy) -> None:
    checkpoint.data.write_bytes(flip(checkpoint.data.read_bytes(), 0))
    reader = TensorBundleReader(checkpoint.prefix)
    assert reader.get_tensor("global_step") == 5
    with pytest.raises(errors.DataLossError, match=r"data-00000-of-00001 is damaged.*'dnn/hiddenlayer_0/bias'"):
        reader.get_tensor("dnn/hiddenlayer_0/bias")


def test_an_unknown_variable_is_not_found_and_the_known_ones_are_named() -> None:
    reader = TensorBundleReader(golden("adam_batch_norm"))
    assert reader.has_tensor("dnn/logits/bias")
    assert not reader.has_tensor("dnn/logits/gamma")
    with pytest.raises(errors.NotFoundError, match=r"'dnn/logits/gamma'.*dnn/logits/bias"):
        reader.get_tensors(["dnn/logits/bias", "dnn/logits/gamma"])


def test_a_prefix_without_an_index_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError, match=r"is not a TensorFlow checkpoint: there is no .*nothing\.index"):
        TensorBundleReader(str(tmp_path / "nothing"))


def test_no_flipped_byte_of_the_index_changes_what_is_read(checkpoint: Copy) -> None:
    sound, values = checkpoint.index.read_bytes(), everything(checkpoint.prefix)
    seen = 0
    for place in range(len(sound)):
        checkpoint.index.write_bytes(flip(sound, place))
        try:
            read = everything(checkpoint.prefix)
        except errors.DataLossError:
            seen += 1
        else:
            assert read == values
    assert seen > len(sound) - 48, "only the padding of the footer and the unused block do not matter"


def test_a_damaged_index_is_named(checkpoint: Copy) -> None:
    checkpoint.index.write_bytes(flip(checkpoint.index.read_bytes(), 100))
    with pytest.raises(
        errors.DataLossError, match=r"model\.ckpt-5\.index is damaged: its block at byte 0 does not match"
    ):
        TensorBundleReader(checkpoint.prefix)


def test_every_flipped_byte_of_the_data_is_seen(checkpoint: Copy) -> None:
    sound = checkpoint.data.read_bytes()
    for place in range(len(sound)):
        checkpoint.data.write_bytes(flip(sound, place))
        with pytest.raises(errors.DataLossError, match=r"data-00000-of-00001 is damaged: the bytes of '.*'"):
            everything(checkpoint.prefix)


@pytest.mark.parametrize("size", [0, 47, 48, 1000, -1])
def test_a_truncated_index_is_data_loss(checkpoint: Copy, size: int) -> None:
    checkpoint.index.write_bytes(checkpoint.index.read_bytes()[:size])
    with pytest.raises(errors.DataLossError, match=r"index is not a TensorFlow checkpoint, or is truncated"):
        TensorBundleReader(checkpoint.prefix)


@pytest.mark.parametrize("size", [0, 500, -1])
def test_truncated_data_is_data_loss(checkpoint: Copy, size: int) -> None:
    checkpoint.data.write_bytes(checkpoint.data.read_bytes()[:size])
    with pytest.raises(errors.DataLossError, match=r"data-00000-of-00001 is truncated.*the bytes of '.*'"):
        everything(checkpoint.prefix)


def test_a_missing_shard_is_data_loss_once_it_is_needed(tmp_path: Path) -> None:
    folder = tmp_path / "sharded"
    shutil.copytree(GOLDENS / "dtypes_and_slices", folder)
    (folder / "model.ckpt-12.data-00001-of-00002").unlink()
    reader = TensorBundleReader(str(folder / "model.ckpt-12"))
    assert reader.get_tensor("shapes/scalar") == -1.5
    with pytest.raises(errors.DataLossError, match=r"data-00001-of-00002 is missing; the checkpoint is incomplete"):
        reader.get_tensor("sliced/columns")


def test_a_foreign_file_is_said_to_be_no_checkpoint(checkpoint: Copy) -> None:
    checkpoint.index.write_bytes(b"a book has an index too\n" * 50)
    with pytest.raises(errors.DataLossError, match=r"is not a TensorFlow checkpoint"):
        TensorBundleReader(checkpoint.prefix)


def test_a_table_of_something_else_is_said_to_be_no_checkpoint(checkpoint: Copy) -> None:
    write_table(checkpoint.index, {b"key": b"value"})
    with pytest.raises(errors.DataLossError, match=r"is not a TensorFlow checkpoint: it is a table without a header"):
        TensorBundleReader(checkpoint.prefix)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (b"dnn/logits/bias", b"\xff", "damaged"),
        (b"dnn/logits/bias\xff", b"", "damaged"),
        (b"dnn/logits/bias", bytes.fromhex("0801 1202 1200 3a06 0a04 0800 1001"), "no entry for the slice"),
    ],
)
def test_an_entry_without_sense_is_data_loss(checkpoint: Copy, key: bytes, value: bytes, message: str) -> None:
    write_table(checkpoint.index, {**read_table(str(checkpoint.index)), key: value})
    with pytest.raises(errors.DataLossError, match=message):
        TensorBundleReader(checkpoint.prefix)


def test_an_unknown_compression_is_data_loss(checkpoint: Copy) -> None:
    write_table(checkpoint.index, read_table(str(checkpoint.index)), compression=7)
    with pytest.raises(errors.DataLossError, match=r"unknown compression \(7\)"):
        TensorBundleReader(checkpoint.prefix)


def test_a_big_endian_checkpoint_is_refused(checkpoint: Copy) -> None:
    write_table(checkpoint.index, {**read_table(str(checkpoint.index)), b"": bytes.fromhex("0801 1001")})
    with pytest.raises(errors.FailedPreconditionError, match="big-endian"):
        TensorBundleReader(checkpoint.prefix)


def test_a_prefix_and_the_folder_with_its_state_file_mean_the_prefix(checkpoint: Copy) -> None:
    assert find_tensor_bundle(checkpoint.prefix) == checkpoint.prefix
    assert find_tensor_bundle(str(checkpoint.index.parent)) == checkpoint.prefix


def test_a_state_file_may_name_an_absolute_path(checkpoint: Copy, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{checkpoint.prefix}"\n')
    assert find_tensor_bundle(str(tmp_path)) == checkpoint.prefix


def test_the_folder_of_a_saved_model_means_its_variables(checkpoint: Copy, tmp_path: Path) -> None:
    folder = tmp_path / "saved_model"
    (folder / "variables").mkdir(parents=True)
    for file in (checkpoint.index, checkpoint.data):
        shutil.copy(file, folder / "variables" / file.name.replace("model.ckpt-5", "variables"))
    prefix = find_tensor_bundle(str(folder))
    assert prefix == f"{folder}/variables/variables"
    assert TensorBundleReader(prefix).global_step == 5


def test_what_is_no_tensorflow_checkpoint_means_none(checkpoint: Copy, tmp_path: Path) -> None:
    assert find_tensor_bundle(str(tmp_path)) is None
    assert find_tensor_bundle(str(tmp_path / "absent")) is None
    assert find_tensor_bundle(str(checkpoint.data)) is None
    checkpoint.index.unlink()
    assert find_tensor_bundle(str(checkpoint.index.parent)) is None


def test_a_model_dir_of_raydnn_means_none(tmp_path: Path) -> None:
    save_checkpoint(str(tmp_path), {"bias": np.zeros(2, np.float32)}, 7)
    assert find_tensor_bundle(str(tmp_path)) is None
    assert find_tensor_bundle(str(tmp_path / "model.ckpt-7")) is None
