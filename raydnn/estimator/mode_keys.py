"""What a model function is called for."""


class ModeKeys:
    """The modes of a model, with TensorFlow's values."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"
