"""What a report is made of: the run, its data, and what the model makes of the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np

from raydnn.config import Run
from raydnn.config.checks import Finding
from raydnn.config.profile import Profile
from raydnn.report.curves import Ranking
from raydnn.report.history import History
from raydnn.report.importance import Importance
from raydnn.report.scored import Scored
from raydnn.report.slices import Slice
from raydnn.train.checkpoint import CheckpointReader
from raydnn.train.ledger import LedgerEntry


@dataclass(frozen=True, eq=False)
class Material:
    """All that the sections of a report show.

    Attributes:
        run: as it was declared.
        model_dir: of the model.
        checkpoint: which the rows were scored with.
        kept: all checkpoints that model_dir keeps, oldest first.
        train: profile of the rows of data.train.
        evaluation: profile of the rows of data.eval; None where there are none, and rows of data.train were scored.
        findings: of the checks of the run against its data.
        scored: rows with their probabilities.
        total_rows: of which those were taken.
        slices: column -> its slices.
        importances: of the columns that the model reads, the largest first.
        history: of the training.
        ledger: what became of its rows.
    """

    run: Run
    model_dir: str
    checkpoint: CheckpointReader
    kept: Sequence[CheckpointReader]
    train: Profile
    evaluation: Profile | None
    findings: Sequence[Finding]
    scored: Scored
    total_rows: int
    slices: Mapping[str, Sequence[Slice]]
    importances: Sequence[Importance]
    history: History
    ledger: Sequence[LedgerEntry]

    @property
    def source(self) -> str:
        """Where the scored rows come from."""
        return "data.train" if self.evaluation is None else "data.eval"

    @property
    def second_class(self) -> str:
        """What the scores of two classes are probabilities of, such as 'late = 1'."""
        return f"{self.run.data.label} = {self.scored.classes[1]}"

    @cached_property
    def ranking(self) -> Ranking:
        """Of two classes, the rows by the probability of the second."""
        return self.ranking_of(1)

    def ranking_of(self, place: int) -> Ranking:
        """The rows by the probability of a class."""
        scored = self.scored
        return Ranking.of(scored.probabilities[:, place], scored.members[:, place], scored.weights)

    @cached_property
    def class_shares(self) -> list[float]:
        """The share of each class among the scored rows, weighted."""
        return [self.scored.mean(self.scored.members[:, place]) for place in range(len(self.scored.classes))]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The numbers that matter most, by name, as an evaluation calls them where it knows them."""
        scored = self.scored
        found = {
            "average_loss": scored.mean(scored.losses),
            "average_loss_baseline": -sum(share * log(share) for share in self.class_shares if share > 0),
            "accuracy": scored.mean(scored.right),
            "accuracy_baseline": float(np.max(self.class_shares)),
        }
        if scored.is_binary:
            found |= {
                "auc": self.ranking.area,
                "average_precision": self.ranking.average_precision,
                "label/mean": scored.mean(scored.labels),
                "prediction/mean": scored.mean(scored.scores),
            }
        return found
