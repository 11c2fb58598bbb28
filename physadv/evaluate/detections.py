"""The detection store: ``detections.parquet``, everything that detectors reported to the judge.

Trials say what became of each object; false positives belong to none. Average precision needs
them, so what was seen on every photograph is kept beside the Trials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from physadv.evaluate.tables import TableRules, load_table, save_table
from physadv.types import TREATMENTS, Detections, Treatment

DETECTIONS_NAME = "detections.parquet"
OBJECT, IGNORED, DETECTION = "object", "ignored", "detection"

SCHEMA = pl.Schema(
    {
        "victim": pl.String(),
        "artwork": pl.String(),
        "group": pl.String(),
        "sha256": pl.String(),
        "kind": pl.String(),
        "draw": pl.Int64(),
        "treatment": pl.String(),
        "class_name": pl.String(),
        "x1": pl.Float64(),
        "y1": pl.Float64(),
        "x2": pl.Float64(),
        "y2": pl.Float64(),
        "score": pl.Float64(),
    }
)
"""Columns of the store.

``kind`` is "detection", or for an annotated box "object" (it carries the patch) or "ignored" (too
low to be judged, or a crowd: a detection there is neither right nor wrong). ``sha256`` is the
photograph's, boxes are in its pixels. Annotated boxes hold for all draws and treatments, which are
empty there, as is ``score``.
"""

_RULES = TableRules(
    "detections",
    "physadv evaluate objects RUN --victim NAME --data COCO.json",
    SCHEMA,
    ("victim", "group"),
    ("draw", "treatment", "score"),
    {"kind": (OBJECT, IGNORED, DETECTION), "treatment": TREATMENTS},
)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """Whose detections on what: the columns that all rows of one judgement share."""

    victim: str
    artwork: str
    group: str

    def annotated(
        self, sha256: str, class_name: str, objects: Array, ignored: Array
    ) -> pl.DataFrame:
        """Rows of a photograph's boxes xyxy [P,4] and [I,4], in its pixels."""
        return pl.concat(
            self._rows(sha256, kind, None, None, [class_name] * len(boxes), boxes, None)
            for kind, boxes in ((OBJECT, objects), (IGNORED, ignored))
        )

    def detected(
        self,
        sha256: str,
        draw: int,
        found: Mapping[Treatment, Detections],
        class_names: Sequence[str],
    ) -> pl.DataFrame:
        """Rows of what was reported on one draw of a photograph."""
        return pl.concat(
            self._rows(
                sha256,
                DETECTION,
                draw,
                treatment,
                [class_names[int(index)] for index in seen.classes],
                seen.boxes,
                seen.scores,
            )
            for treatment, seen in found.items()
        )

    def _rows(
        self,
        sha256: str,
        kind: str,
        draw: int | None,
        treatment: str | None,
        names: Sequence[str],
        boxes: Array,
        scores: Array | None,
    ) -> pl.DataFrame:
        count = len(boxes)
        shared = {
            "victim": self.victim,
            "artwork": self.artwork,
            "group": self.group,
            "sha256": sha256,
            "kind": kind,
            "draw": draw,
            "treatment": treatment,
        }
        columns: dict[str, object] = {name: [value] * count for name, value in shared.items()}
        columns["class_name"] = list(names)
        corners = np.asarray(boxes, np.float64).reshape(count, 4).T
        columns |= dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))
        columns["score"] = [None] * count if scores is None else scores
        return pl.DataFrame(columns, schema=SCHEMA)


def save_detections(path: Path, rows: pl.DataFrame) -> None:
    """Add rows with the columns of ``SCHEMA`` to the store at ``path``; never leaves half a file.

    Rows already there with a (victim, group) that occurs among them are replaced, as in the trial
    store.

    Raises:
        UserError: If there are no rows, the store is not one, or it cannot be written.
    """
    save_table(path, rows, _RULES)


def load_detections(path: Path) -> pl.DataFrame:
    """Read a detection store.

    Raises:
        UserError: If the file is missing, not parquet, or not such a store.
    """
    return load_table(path, _RULES)
