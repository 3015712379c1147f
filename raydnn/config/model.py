"""The section `model`: the arguments of DNNClassifier that make the network and train it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Tag, model_validator

from raydnn.config.arguments import REFUSALS, Arguments, arguments_model, made
from raydnn.config.messages import nearest
from raydnn.config.optimizers import Initializer, Optimizer
from raydnn.config.section import (
    LIST,
    SHORT,
    Flag,
    PositiveInt,
    Section,
    Text,
    as_number,
    choice,
    place_in,
    refusal,
    refusals,
    short_or,
    short_or_list,
    tag_of,
)
from raydnn.estimator import VocabInfo, WarmStartSettings
from raydnn.model.activations import ACTIVATION_NAMES
from raydnn.model.heads import classification_head
from raydnn.model.partitioners import (
    Partitioner,
    fixed_size_partitioner,
    min_max_variable_partitioner,
    variable_axis_size_partitioner,
)

_VocabInfo: Any = arguments_model("VocabInfo", VocabInfo, types={"backup_initializer": (Initializer | None, None)})
_Patterns = Annotated[Annotated[str, Tag(SHORT)] | Annotated[list[Text], Tag(LIST)], short_or_list()]

if TYPE_CHECKING:
    WarmStart = Arguments
else:
    WarmStart = arguments_model(
        "WarmStart",
        WarmStartSettings,
        types={
            "ckpt_to_initialize_from": Text,
            "vars_to_warm_start": (_Patterns | None, ".*"),
            "var_name_to_vocab_info": (dict[str, _VocabInfo], {}),
            "var_name_to_prev_var_name": (dict[str, Text], {}),
        },
    )


class MinMaxPartitioner(Section):
    """min_max_variable_partitioner: up to max_shards slices of at least min_slice_size bytes."""

    max_shards: PositiveInt = 1
    """Slices at most."""
    min_slice_size: PositiveInt = 256 << 10
    """Bytes of a slice at least."""


class FixedPartitioner(Section):
    """fixed_size_partitioner: a number of slices, at most one a row."""

    num_shards: PositiveInt
    """How many slices."""


class AxisSizePartitioner(Section):
    """variable_axis_size_partitioner: slices of at most max_shard_bytes."""

    max_shard_bytes: PositiveInt
    """Bytes of a slice at most."""
    max_shards: PositiveInt | None = None
    """Slices at most; null is without limit."""


def _partitioner_form(value: Any) -> str:
    keys = value if isinstance(value, Mapping) else ()
    if "num_shards" in keys:
        return tag_of(FixedPartitioner)
    return tag_of(AxisSizePartitioner if "max_shard_bytes" in keys else MinMaxPartitioner)


_Partitioner = Annotated[
    Annotated[MinMaxPartitioner, Tag(tag_of(MinMaxPartitioner))]
    | Annotated[FixedPartitioner, Tag(tag_of(FixedPartitioner))]
    | Annotated[AxisSizePartitioner, Tag(tag_of(AxisSizePartitioner))],
    choice(_partitioner_form),
]


def _known_activation(name: str) -> str:
    if name not in ACTIVATION_NAMES:
        raise refusal(f"there is no activation '{name}'; {nearest(name, ACTIVATION_NAMES)}")
    return name


class Model(Section):
    """The classifier: a network with hidden layers, its loss and its optimizer."""

    hidden_units: list[PositiveInt]
    """Sizes of the hidden layers; may be empty."""
    n_classes: Annotated[int, Field(ge=2), BeforeValidator(as_number)] = 2
    """Number of classes."""
    label_vocabulary: list[str] | None = None
    """Names of the classes, where labels are text; the place is the class."""
    optimizer: Optimizer = "Adagrad"
    """Name of an optimizer, whose learning rate is 0.05, or a mapping of its name and its own arguments."""
    activation_fn: (
        Annotated[str, Field(json_schema_extra={"enum": list(ACTIVATION_NAMES)}), AfterValidator(_known_activation)]
        | None
    ) = "relu"
    """Name of an activation in tf.nn; null is linear."""
    dropout: Annotated[float, Field(ge=0, lt=1), BeforeValidator(as_number)] | None = None
    """Probability of dropping a hidden value in training; null drops nothing."""
    batch_norm: Flag = False
    """Whether hidden layers end with batch normalisation."""
    loss_reduction: Literal[
        "weighted_sum", "weighted_mean", "weighted_sum_over_batch_size", "weighted_sum_by_nonzero_weights"
    ] = "weighted_sum"
    """How the losses of a batch become one number."""
    warm_start_from: (
        Annotated[Annotated[Text, Tag(SHORT)] | Annotated[WarmStart, Tag(tag_of("WarmStart"))], short_or("WarmStart")]
        | None
    ) = None
    """Path of an earlier model, or the arguments of WarmStartSettings."""
    partitioner: _Partitioner | None = None
    """Into how many slices tables are cut; null cuts those of more than 64 MiB into up to run.num_ps_replicas."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of DNNClassifier that were written."""
        arguments = {name: made(value) for name, value in self.given().items()}
        if "partitioner" in arguments:
            arguments["input_layer_partitioner"] = _partitioner(arguments.pop("partitioner"))
        return arguments

    @model_validator(mode="after")
    def _can_be_made(self) -> "Model":
        try:
            classification_head(self.n_classes, self.label_vocabulary, self.loss_reduction)
        except REFUSALS as error:
            raise refusals([(place_in(str(error), type(self).model_fields), str(error))]) from error
        return self


def _partitioner(settings: Section | None) -> Partitioner | None:
    if settings is None:
        return None
    if isinstance(settings, FixedPartitioner):
        return fixed_size_partitioner(settings.num_shards)
    if isinstance(settings, AxisSizePartitioner):
        return variable_axis_size_partitioner(settings.max_shard_bytes, max_shards=settings.max_shards)
    assert isinstance(settings, MinMaxPartitioner)
    return min_max_variable_partitioner(settings.max_shards, min_slice_size=settings.min_slice_size)
