"""Estimators, under TensorFlow's names."""

from raydnn.estimator import experimental, export, inputs
from raydnn.estimator.dnn_classifier import DNNClassifier
from raydnn.estimator.estimator import Estimator
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.exporters import BestExporter, Exporter, FinalExporter, LatestExporter
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.parse_spec import classifier_parse_example_spec
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.specs import EvalSpec, TrainSpec
from raydnn.estimator.train_and_evaluate import train_and_evaluate
from raydnn.estimator.warm_start import VocabInfo, WarmStartSettings

__all__ = [
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
]
