"""Figures of photographs as JSON."""

from physadv.report.captures import CaptureSummary, cell_order
from physadv.report.rates import Rate


def records(found: CaptureSummary) -> dict[str, object]:
    """For JSON."""

    def rate(value: Rate) -> dict[str, object]:
        limits = None if value.interval is None else [value.interval.low, value.interval.high]
        return {"k": value.k, "n": value.n, "interval": limits, "method": value.method}

    return {
        "victim": found.victim,
        "true_class": found.true_class,
        "target_class": found.target_class,
        "success": found.aim,
        "pooled": {name: rate(value) for name, value in found.pooled.items()},
        "effective_size": {name: round(size, 1) for name, size in found.effective.items()},
        "outcomes": {
            name: {verdict: rate(value) for verdict, value in rates.items()}
            for name, rates in found.outcomes.items()
        },
        "effects": [
            {
                "control": one.control,
                "difference": one.value,
                "interval": [one.interval.low, one.interval.high],
                "interval_over_sessions": one.by_session,
                "adjusted": None
                if one.adjusted is None
                else {
                    "difference": one.adjusted.difference,
                    "interval": [one.adjusted.interval.low, one.adjusted.interval.high],
                    "p_value": one.adjusted.p_value,
                    "cells": one.adjusted.strata,
                },
            }
            for one in found.contrasts
        ],
        "cells": {
            cell: {
                name: {"success": rate(value), "right": rate(found.cell_hits[cell][name])}
                for name, value in by.items()
            }
            for cell, by in found.cells.items()
        },
        "clean_fails": sorted(found.clean_fails, key=cell_order),
    }
