"""What a serving model receives, under the name of `tf.estimator.export`."""

from raydnn.export.receivers import ServingInputReceiver, build_raw_serving_input_receiver_fn

__all__ = ["ServingInputReceiver", "build_raw_serving_input_receiver_fn"]
