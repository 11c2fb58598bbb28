"""What a summary of films says in sentences."""

from collections.abc import Mapping
from typing import Any

from physadv.report import text
from physadv.report.drive_by import Braking, DriveSummary, TreatmentDrives
from physadv.report.rates import Rate
from physadv.report.summary import ARTWORK
from physadv.stats.intervals import MIN_CLUSTERS


def headline(found: DriveSummary) -> str:
    """The result in one sentence: videos in which a car would not have known in time."""
    told = [
        number
        for number in range(len(found.speeds))
        if any(one.braking[number].late.n for one in found.treatments.values())
    ]
    name = f"{found.victim}, {found.true_class}"
    if not told:
        parts = [
            f"{one.treatment}: never confirmed in {_of(one.unconfirmed)} videos"
            for one in found.treatments.values()
        ]
        return (
            f"{name}. {_sentence('; '.join(parts))} Whether that is before the braking point "
            "cannot be told from these videos."
        )
    parts = []
    for one in found.treatments.values():
        lead = "not confirmed before the braking point in " if not parts else ""
        parts.append(f"{one.treatment}: {lead}{_speeds(one, told, not parts)}")
    return f"{name}. {_sentence('; '.join(parts))}"


def _speeds(one: TreatmentDrives, told: list[int], first: bool) -> str:
    if not any(one.braking[number].late.n for number in told):
        return "no video that tells"
    return ", ".join(_late(one.braking[number], first) for number in told)


def _late(braking: Braking, first: bool) -> str:
    if not braking.late.n:
        return f"no video that tells at {braking.speed_kmh:g} km/h"
    videos = " video" + "s" * (braking.late.n > 1) if first else ""
    return f"{_of(braking.late)}{videos} at {braking.speed_kmh:g} km/h"


def _of(rate: Rate) -> str:
    return f"{rate.k} of {rate.n}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def cautions(found: DriveSummary) -> list[str]:
    """What a reader of the figures must know first; empty if nothing."""
    told = []
    if ARTWORK in found.treatments and len(found.treatments) == 1:
        told.append(
            "There is no video of a control (noise, blank, control, clean): nothing says that it "
            "is the artwork that does it."
        )
    clean = found.treatments.get("clean")
    for braking in clean.braking if clean is not None else ():
        if braking.late.k:
            told.append(
                f"At {braking.speed_kmh:g} km/h the clean object itself is not confirmed in time "
                f"in {_of(braking.late)} videos: little follows from the others at that speed."
            )
    few = [one for one in found.treatments.values() if len(one.drives) < MIN_CLUSTERS]
    if few:
        names = ", ".join(f"{one.treatment} {len(one.drives)}" for one in few)
        told.append(
            f"Fewer than {MIN_CLUSTERS} videos ({names}) are too few for an interval over videos: "
            "each video stands for itself, and another drive may go otherwise."
        )
    return told


def interval_note(found: DriveSummary) -> str:
    """How the intervals were made."""
    many = [one for one in found.treatments.values() if len(one.drives) >= MIN_CLUSTERS]
    if not many:
        return (
            "No intervals: the frames of one video are alike, so that they say little about the "
            f"next drive, and there are fewer than {MIN_CLUSTERS} videos of each treatment."
        )
    agree = {one.fooled.method for one in many} | {one.target.method for one in many}
    collapsed = any(method.startswith("Wilson") for method in agree)
    words = (
        "95 % intervals of frames are a bootstrap over whole videos, since the frames of one are "
        "alike; those of videos are Wilson's, with Clopper-Pearson's in brackets at 0 and 100 %."
    )
    if collapsed:
        words += (
            " Where all videos of a treatment have the same rate a bootstrap would have no width "
            "and claim certainty: there the interval is Wilson's, each video counted as one trial."
        )
    return words


def untold(found: DriveSummary) -> list[tuple[str, str]]:
    """Videos that do not tell whether a car knew in time, at which speeds, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in found.treatments.values():
        for braking in one.braking:
            for film, why in braking.untold:
                reasons.setdefault((film, why), []).append(f"{braking.speed_kmh:g}")
    return [(film, f"at {', '.join(at)} km/h: {why}") for (film, why), at in reasons.items()]


def confirmation_words(facts: Mapping[str, Any]) -> tuple[str, str]:
    """What confirmation and the braking point are, a sentence each."""
    least, of = facts["confirm"]
    return (
        f"The object is confirmed once it was read right in {least} of {of} consecutive frames "
        f"looked at ({facts['sampling']}), and stays so from then on, as a car remembers a sign "
        "that it has seen.",
        "The braking point is d = v t + v² / 2a before the object, the way that a car of speed v "
        f"goes in its reaction time t = {facts['reaction_s']:g} s and then needs to stop at "
        f"a = {facts['deceleration_mps2']:g} m/s²: confirmed any later, the car cannot stop for "
        "it. A faster car passes in less time and has fewer looks, so its confirmation is worked "
        "out from the looks that it would have had.",
    )


def frames_words(rate: Rate) -> str:
    """``12/40 30.0 %``, and its interval if it has one."""
    if not rate.n:
        return text.NONE
    limits = "" if rate.interval is None else f" {text.bare(rate.interval)}"
    return f"{text.counts(rate)} {text.percent(rate.value)}{limits}"
