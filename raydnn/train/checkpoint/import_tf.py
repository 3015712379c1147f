"""Bringing TensorFlow's checkpoints over."""

from raydnn import errors
from raydnn.train.checkpoint.tensor_bundle import TensorBundleReader, find_tensor_bundle
from raydnn.train.checkpoint.writer import GLOBAL_STEP, name_newest, write_checkpoint


def import_tf_checkpoint(path: str, model_dir: str) -> str:
    """Copy a TensorFlow checkpoint into a model_dir, optimizer slots included; TensorFlow is not needed.

    The next train, evaluate or predict of an estimator with the same columns and layers goes on from it.

    Args:
        path: prefix of a checkpoint, a folder with TensorFlow's `checkpoint` file, or a SavedModel.
        model_dir: where it goes, local or any fsspec URL.

    Returns:
        The path of the new checkpoint.

    Raises:
        NotFoundError: there is no TensorFlow checkpoint.
        DataLossError: it is damaged.
    """
    prefix = find_tensor_bundle(str(path))
    if prefix is None:
        raise errors.NotFoundError(f"{path} is neither a TensorFlow checkpoint nor a folder with one")
    reader = TensorBundleReader(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    names = [name for name, dtype in dtypes.items() if dtype != "string" and name != GLOBAL_STEP]
    written = write_checkpoint(str(model_dir), reader.get_tensors(names), reader.global_step)
    name_newest(str(model_dir), written)
    return written
