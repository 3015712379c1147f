"""The public names: adding, renaming or losing one has to be done here too."""

from importlib import import_module

import pytest

import raydnn

PUBLIC_NAMES = {
    "raydnn": [
        "DNNClassifier",
        "Estimator",
        "EstimatorSpec",
        "MLflowSettings",
        "ModeKeys",
        "RunConfig",
        "SparseTensor",
        "config",
        "errors",
        "estimator",
        "export",
        "feature_column",
        "fixed_size_partitioner",
        "get_module",
        "import_tf_checkpoint",
        "initializers",
        "inputs",
        "layers",
        "losses",
        "metrics",
        "min_max_variable_partitioner",
        "report",
        "summary",
        "train",
        "tune",
        "variable_axis_size_partitioner",
    ],
    "raydnn.config": [
        "Run",
        "load",
        "loads",
        "parse_overrides",
    ],
    "raydnn.errors": [
        "AbortedError",
        "ConfigError",
        "DataLossError",
        "FailedPreconditionError",
        "InvalidArgumentError",
        "NanLossDuringTrainingError",
        "NotFoundError",
        "OpError",
        "OutOfRangeError",
        "PermissionDeniedError",
        "ResourceExhaustedError",
        "TrainingStoppedError",
        "UnavailableError",
        "UnimplementedError",
    ],
    "raydnn.estimator": [
        "BestExporter",
        "DNNClassifier",
        "Estimator",
        "EstimatorSpec",
        "EvalSpec",
        "Exporter",
        "FinalExporter",
        "LatestExporter",
        "ModeKeys",
        "RunConfig",
        "TrainSpec",
        "VocabInfo",
        "WarmStartSettings",
        "classifier_parse_example_spec",
        "experimental",
        "export",
        "inputs",
        "train_and_evaluate",
    ],
    "raydnn.estimator.export": [
        "ClassificationOutput",
        "ExportOutput",
        "PredictOutput",
        "RegressionOutput",
        "ServingInputReceiver",
        "SupervisedInputReceiver",
        "TensorServingInputReceiver",
        "build_parsing_serving_input_receiver_fn",
        "build_raw_serving_input_receiver_fn",
        "build_raw_supervised_input_receiver_fn",
    ],
    "raydnn.export": [
        "ExportedModel",
        "load",
    ],
    "raydnn.inputs": [
        "Dataset",
        "InputContext",
        "SparseTensor",
        "from_arrow",
        "from_numpy",
        "from_pandas",
        "from_parquet",
        "from_ray",
        "from_tfrecord",
        "parse_examples",
    ],
    "raydnn.layers": [
        "batch_normalization",
        "dense",
        "dropout",
        "input_layer",
    ],
    "raydnn.losses": [
        "Reduction",
        "compute_weighted_loss",
        "mean_squared_error",
        "sigmoid_cross_entropy",
        "softmax_cross_entropy",
        "sparse_softmax_cross_entropy",
    ],
    "raydnn.metrics": [
        "Metric",
        "accuracy",
        "auc",
        "false_negatives",
        "false_positives",
        "mean",
        "mean_absolute_error",
        "mean_squared_error",
        "precision",
        "recall",
        "root_mean_squared_error",
        "true_negatives",
        "true_positives",
    ],
    "raydnn.report": [
        "ReportPlaces",
        "write_report",
    ],
    "raydnn.summary": [
        "histogram",
        "scalar",
    ],
    "raydnn.train": [
        "AdadeltaOptimizer",
        "AdagradOptimizer",
        "AdamOptimizer",
        "CheckpointReader",
        "CheckpointSaverHook",
        "CheckpointSaverListener",
        "FeedFnHook",
        "FinalOpsHook",
        "FtrlOptimizer",
        "GlobalStepWaiterHook",
        "GradientDescentOptimizer",
        "LedgerEntry",
        "LoggingTensorHook",
        "MomentumOptimizer",
        "NanTensorHook",
        "Optimizer",
        "ProfilerHook",
        "ProximalAdagradOptimizer",
        "ProximalGradientDescentOptimizer",
        "RMSPropOptimizer",
        "Scaffold",
        "SecondOrStepTimer",
        "SessionRunArgs",
        "SessionRunContext",
        "SessionRunHook",
        "SessionRunValues",
        "StepCounterHook",
        "StopAtStepHook",
        "SummarySaverHook",
        "all_sum",
        "checkpoints_iterator",
        "cosine_decay",
        "cosine_decay_restarts",
        "exponential_decay",
        "get_global_step",
        "get_variable",
        "inverse_time_decay",
        "latest_checkpoint",
        "linear_cosine_decay",
        "list_variables",
        "load_checkpoint",
        "load_variable",
        "natural_exp_decay",
        "noisy_linear_cosine_decay",
        "piecewise_constant",
        "placeholder_with_default",
        "polynomial_decay",
        "read_ledger",
        "save_checkpoint",
        "stop_on_signals",
        "variable_scope",
    ],
    "raydnn.tune": [
        "Sweep",
        "SweepReportPlaces",
        "SweepResult",
        "SweepSettings",
        "TrialResult",
        "Watch",
        "first_configurations",
        "load",
        "loads",
        "plan",
        "run",
        "write_sweep_report",
    ],
}


@pytest.mark.parametrize("module", PUBLIC_NAMES)
def test_public_names_are_these_in_sorted_order(module: str) -> None:
    assert PUBLIC_NAMES[module] == sorted(PUBLIC_NAMES[module])
    assert PUBLIC_NAMES[module] == list(import_module(module).__all__)


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PUBLIC_NAMES.items() for name in names]
)
def test_public_name_resolves_and_is_listed(module: str, name: str) -> None:
    home = import_module(module)
    assert getattr(home, name) is not None
    assert name in dir(home)


def test_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="DNNRegressor"):
        _ = raydnn.DNNRegressor


def test_every_error_class_is_also_the_natural_python_one() -> None:
    natural = {
        "AbortedError": RuntimeError,
        "DataLossError": OSError,
        "FailedPreconditionError": RuntimeError,
        "InvalidArgumentError": ValueError,
        "NotFoundError": LookupError,
        "OutOfRangeError": EOFError,
        "PermissionDeniedError": PermissionError,
        "ResourceExhaustedError": OSError,
        "UnavailableError": ConnectionError,
        "UnimplementedError": NotImplementedError,
    }
    for name, kind in natural.items():
        error = getattr(raydnn.errors, name)
        assert issubclass(error, kind)
        assert issubclass(error, raydnn.errors.OpError)
    assert issubclass(raydnn.errors.NanLossDuringTrainingError, RuntimeError)
