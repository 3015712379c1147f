"""One run: what its YAML declares, and the objects of the Python API that it stands for.

docs/run.schema.json is the JSON Schema of its keys, for editors. This writes it anew:

    python -c "import json, raydnn.config as c; print(json.dumps(c.Run.model_json_schema(), indent=2))" \\
        > docs/run.schema.json
"""

from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import Field, PrivateAttr, model_validator

from raydnn.config.arguments import REFUSALS
from raydnn.config.columns import build_columns
from raydnn.config.data import Data, Files
from raydnn.config.document import Place
from raydnn.config.features import Feature, SharedEmbedding
from raydnn.config.model import Model
from raydnn.config.paths import absolute_paths
from raydnn.config.rows import RowsInput, rows_input
from raydnn.config.section import Section, Text, refusals
from raydnn.config.settings import Evaluation, ExporterSettings, RunSettings
from raydnn.errors import ConfigError
from raydnn.estimator import (
    DNNClassifier,
    EvalSpec,
    Exporter,
    RunConfig,
    TrainSpec,
    classifier_parse_example_spec,
)
from raydnn.estimator.export import build_parsing_serving_input_receiver_fn, build_raw_serving_input_receiver_fn
from raydnn.feature_column import make_parse_example_spec
from raydnn.feature_column.columns import DenseColumn
from raydnn.feature_column.parse_spec import FeatureSpec

RUN_FILE = "run.yaml"
"""Name of the file in a model_dir that holds the run it was trained with last, overrides included."""


class Run(Section):
    """One run of a classifier: data, features, model, settings, evaluation and exports."""

    data: Data
    features: Annotated[dict[Text, Feature], Field(min_length=1)]
    """Name of a feature -> how it enters the network."""
    shared_embeddings: list[SharedEmbedding] = Field(default_factory=list)
    """Features that use one table of learned vectors together."""
    model: Model
    run: RunSettings = Field(default_factory=RunSettings)
    eval: Evaluation = Field(default_factory=Evaluation)
    exporters: list[ExporterSettings] = Field(default_factory=list)
    """What is exported after evaluations."""

    _variables: dict[Place, str] = PrivateAttr(default_factory=dict)

    def feature_columns(self) -> list[DenseColumn]:
        """The columns of the network, in the order of the features; those of shared embeddings are the last."""
        return build_columns(self.features, self.shared_embeddings)[0]

    def run_config(self) -> RunConfig:
        """The settings of the run."""
        config: RunConfig = self.run.make()
        return config

    def estimator(self) -> DNNClassifier:
        """The classifier."""
        return DNNClassifier(
            feature_columns=self.feature_columns(),
            weight_column=self.data.weight,
            config=self.run_config(),
            **self.model.arguments(),
        )

    def train_input(self) -> RowsInput:
        """The input function to train with."""
        return rows_input(self.data, self._files("train"), self._layout(), trains=True, label=self.data.label)

    def eval_input(self) -> RowsInput:
        """The input function to evaluate with.

        Raises:
            ConfigError: data.eval is not given.
        """
        return rows_input(self.data, self._files("eval"), self._layout(), trains=False, label=self.data.label)

    def predict_input(self) -> RowsInput:
        """The input function to predict with, which reads no labels.

        Raises:
            ConfigError: data.predict is not given.
        """
        layout = make_parse_example_spec(self.feature_columns())
        return rows_input(self.data, self._files("predict"), layout, trains=False, label=None)

    def train_spec(self) -> TrainSpec:
        """How `train_and_evaluate` trains."""
        return TrainSpec(self.train_input(), max_steps=self.eval.max_steps)

    def eval_spec(self) -> EvalSpec:
        """How `train_and_evaluate` evaluates and exports.

        Raises:
            ConfigError: data.eval is not given.
        """
        evaluation = self.eval
        return EvalSpec(
            self.eval_input(),
            steps=evaluation.steps,
            name=evaluation.name,
            exporters=[self._exporter(settings) for settings in self.exporters],
            start_delay_secs=evaluation.start_delay_secs,
            throttle_secs=evaluation.throttle_secs,
        )

    def to_yaml(self, variables: Mapping[str, str] | None = None, *, has_absolute_paths: bool = False) -> str:
        """The run as YAML, which loads as an equal run.

        What environment variables gave is written as `${NAME}`, never as its value.

        Args:
            variables: key such as 'run.model_dir' -> name of the environment variable that gives its value where the
                YAML is read.
            has_absolute_paths: whether paths that are relative to the current directory are written as absolute ones,
                so that the YAML may be read in any other.
        """
        values = self.model_dump(mode="json", exclude_unset=True)
        texts = dict(self._variables)
        if has_absolute_paths:
            texts.update(absolute_paths(self, self._variables))
        texts |= {tuple(key.split(".")): f"${{{name}}}" for key, name in (variables or {}).items()}
        for place, text in texts.items():
            _set(values, place, text)
        return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))

    def _files(self, name: str) -> Files:
        files = self.data.files(name)
        if files is None:
            raise ConfigError(f"data.{name} is not given; add its path under data")
        return files

    def _layout(self) -> dict[str, FeatureSpec]:
        """The layout of an example with its label and weight."""
        dtype = "string" if self.model.label_vocabulary else "int64"
        return classifier_parse_example_spec(
            self.feature_columns(), self.data.label, dtype, weight_column=self.data.weight
        )

    def _exporter(self, settings: Any) -> Exporter:
        build = {
            "raw": build_raw_serving_input_receiver_fn,
            "parsing": build_parsing_serving_input_receiver_fn,
        }[settings.receiver]
        receiver = build(make_parse_example_spec(self.feature_columns()))
        exporter: Exporter = settings.make(serving_input_receiver_fn=receiver)
        return exporter

    @model_validator(mode="after")
    def _fits_together(self) -> "Run":
        columns, problems = build_columns(self.features, self.shared_embeddings)
        for name, feature in self.features.items():
            if self.data.label in _raw_names(name, feature):
                problems.append((("features", name), f"'{self.data.label}' is the label; a model must not read it"))
        names = [exporter.name for exporter in self.exporters]
        for place, name in enumerate(names):
            if name in names[:place]:
                message = f"another exporter has the name '{name}' too; give each its own"
                problems.append((("exporters", place, "name"), message))
        if not problems and not columns:
            problems.append((("features",), "no feature enters the network"))
        if not problems:
            problems += self._unreadable_examples()
        if problems:
            raise refusals(problems)
        return self

    def _unreadable_examples(self) -> list[tuple[Place, str]]:
        files = [self.data.files(name) for name in ("train", "eval", "predict")]
        parses = any(each is not None and each.kind == "tfrecord" for each in files)
        if not parses and all(exporter.receiver == "raw" for exporter in self.exporters):
            return []
        try:
            self._layout()
        except REFUSALS as error:
            return [(("features",), str(error))]
        return []


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes lists of plain values in one line, and equal values twice instead of as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        is_plain = not any(isinstance(item, list | dict) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=is_plain)

    def represent_str(self, data: str) -> Any:
        # Between single quotes a NEL would be folded into a space when it is read again.
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if "\x85" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def _raw_names(name: str, feature: Any) -> set[str]:
    if isinstance(feature, str):
        return {name}
    crossed = getattr(feature, "cross", None)
    names: set[str] = set(crossed) if crossed is not None else {feature.column or name}
    weights = getattr(feature, "weights", None)
    return names if weights is None else names | {weights}


def _set(values: Any, place: Place, text: str) -> None:
    """Put a text in the place of a value below sections and lists."""
    for part in place[:-1]:
        values = values[part]
    values[place[-1]] = text
