"""What ``evaluate digital`` writes to run.json of its attacks."""

from collections.abc import Mapping, Sequence
from typing import Any

from physadv.report.crossing import Crossing
from physadv.report.digital import AttackSummary

Record = dict[str, object]


def attack_records(
    summaries: Sequence[AttackSummary],
    notes: Mapping[str, Sequence[str]],
    settings: Mapping[str, Mapping[str, Any]],
) -> list[Record]:
    """One record an attack and budget."""
    return [
        {
            "attack": one.title,
            "settings": dict(settings[one.title]),
            "success": one.success.to_dict(),
            "success_8bit": one.success_8bit.to_dict(),
            "accuracy": one.after.to_dict(),
            "statuses": dict(one.statuses),
            "notes": notes[one.title],
        }
        for one in summaries
    ]


def transfer_records(matrices: Sequence[Crossing]) -> list[Record]:
    """One record for each attack, victim attacked and victim shown."""
    return [
        {
            "attack": matrix.title,
            "made_on": made_on,
            "judged_by": judged_by,
            "fooled": plain.to_dict(),
            "fooled_8bit": eight.to_dict(),
        }
        for matrix in matrices
        for made_on, plains, eights in zip(
            matrix.names, matrix.cells, matrix.cells_8bit, strict=True
        )
        for judged_by, plain, eight in zip(matrix.names, plains, eights, strict=True)
    ]
