"""The section `data`: where rows are, and how to go through them."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, Tag, ValidationError, model_validator

from raydnn.config.document import Place
from raydnn.config.section import (
    LIST,
    SHORT,
    Flag,
    Int,
    PositiveInt,
    Section,
    Text,
    choice,
    refusals,
    short_or_list,
    tag_of,
)

Format = Literal["parquet", "csv", "tfrecord", "delta", "iceberg"]
_FORMATS_OF_INPUTS = ("parquet", "tfrecord")
"""What raydnn.inputs reads; the other formats are read by Ray Data."""

_SUFFIXES = {".tfrecords": "tfrecord", **{f".{name}": name for name in get_args(Format)}}
_PACKED = (".gz", ".zlib")


class Files(Section):
    """Files, or a table, with rows."""

    path: Annotated[
        Annotated[Text, Tag(SHORT)] | Annotated[list[Text], Field(min_length=1), Tag(LIST)], short_or_list()
    ]
    """A file, a folder, any fsspec URL, or a list of these; of an Iceberg table its name."""
    format: Format | None = None
    """What the files are; null tells it from the suffix of the path."""
    batch_size: PositiveInt | None = None
    """Rows in a global batch of these files; null takes that of data."""
    compression_type: Literal["", "GZIP", "ZLIB"] = ""
    """Of TFRecord files."""
    options: dict[str, Any] = Field(default_factory=dict)
    """More arguments for the function of Ray Data that reads the format, such as catalog_kwargs of read_iceberg."""

    @property
    def paths(self) -> tuple[str, ...]:
        """One path or several."""
        return (self.path,) if isinstance(self.path, str) else tuple(self.path)

    @property
    def kind(self) -> str:
        """The format, given or told from the suffix."""
        return self.format or _format_of(self.paths[0]) or ""

    @model_validator(mode="after")
    def _has_format(self) -> "Files":
        found: list[tuple[Place, str]] = []
        if not self.kind:
            message = (
                f"the format cannot be told from {self.paths[0]!r}; give format: one of {', '.join(get_args(Format))}"
            )
            found.append((("path",), message))
        others = [path for path in self.paths if not self.format and _format_of(path) != self.kind]
        if self.kind and others:
            found.append((("path",), f"{self.paths[0]!r} and {others[0]!r} are of two formats; give format"))
        if self.kind in ("delta", "iceberg") and len(self.paths) > 1:
            found.append((("path",), f"a list is not possible for {self.kind}; give one table"))
        if self.compression_type and self.kind != "tfrecord":
            found.append((("compression_type",), f"is of tfrecord; the format is {self.kind}"))
        if found:
            raise refusals(found)
        return self


def _form(value: Any) -> str:
    if isinstance(value, Mapping):
        return tag_of(Files)
    return LIST if isinstance(value, list) else SHORT


Source = Annotated[
    Annotated[Text, Tag(SHORT)]
    | Annotated[list[Text], Field(min_length=1), Tag(LIST)]
    | Annotated[Files, Tag(tag_of(Files))],
    choice(_form),
]


class Data(Section):
    """Where rows are, and how to go through them."""

    train: Source
    """Rows to train on: a path, a list of paths, or a mapping."""
    eval: Source | None = None
    """Rows to evaluate on."""
    predict: Source | None = None
    """Rows to predict."""
    label: Text
    """The column with the labels."""
    weight: Text | None = None
    """The column whose value multiplies the loss of each row; null counts each row 1."""
    batch_size: PositiveInt = 128
    """Rows in a global batch, which all workers share."""
    epochs: PositiveInt | None = 1
    """How often training goes through its rows; null is without end."""
    shuffle: Flag = False
    """Whether each epoch of training has an order of its own."""
    seed: Int | None = None
    """Of those orders; null takes run.tf_random_seed."""
    drop_remainder: Flag = False
    """Whether the short last batch of an epoch of training is left out."""
    engine: Literal["auto", "ray"] = "auto"
    """What reads: auto takes raydnn.inputs for Parquet and TFRecord and Ray Data for all else; ray always Ray Data."""

    def files(self, name: str) -> Files | None:
        """The files of 'train', 'eval' or 'predict'; None where there are none."""
        source = getattr(self, name)
        return source if source is None or isinstance(source, Files) else Files(path=source)

    def is_read_by_ray(self, files: Files) -> bool:
        """Whether Ray Data reads some files."""
        return self.engine == "ray" or files.kind not in _FORMATS_OF_INPUTS

    @model_validator(mode="after")
    def _can_be_read(self) -> "Data":
        found: list[tuple[Place, str]] = []
        for name in ("train", "eval", "predict"):
            try:
                files = self.files(name)
            except ValidationError as error:
                found += [((name,), line["ctx"]["message"]) for line in error.errors()]
                continue
            if files is None:
                continue
            if files.options and not self.is_read_by_ray(files):
                message = f"are for Ray Data, which does not read {files.kind} here; leave it out, or set engine: ray"
                found.append(((name, "options"), message))
            if files.kind == "tfrecord" and self.engine == "ray":
                found.append((("engine",), f"Ray Data does not read the TFRecord files of {name}; leave engine: auto"))
        if self.weight is not None and self.weight == self.label:
            found.append((("weight",), f"'{self.weight}' is the label; the weight must be another column"))
        if found:
            raise refusals(found)
        return self


def _format_of(path: str) -> str | None:
    suffixes = [suffix for suffix in PurePosixPath(path.rstrip("/")).suffixes if suffix.lower() not in _PACKED]
    return _SUFFIXES.get(suffixes[-1].lower()) if suffixes else None
