"""What a summary of films says in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from physadv.report import text
from physadv.report.drive_by import DriveSummary
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
        parts = [f"{one.treatment} in {_of(one.unconfirmed)}" for one in found.treatments.values()]
        return (
            f"{name}: never confirmed in these videos: {'; '.join(parts)}. Whether it is in time "
            "for a car to brake they do not tell."
        )
    speeds = _listed([f"{found.speeds[number][0]:g}" for number in told])
    parts = []
    for one in found.treatments.values():
        rates = [one.braking[number].late for number in told]
        if not any(rate.n for rate in rates):
            parts.append(f"{one.treatment}: no video that tells")
            continue
        counts = _listed([_of(rate) if rate.n else "none that tell" for rate in rates])
        parts.append(f"{one.treatment} in {counts}{'' if parts else ' videos'}")
    return f"{name}: not confirmed before the braking point at {speeds} km/h: {'; '.join(parts)}."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _of(rate: Rate) -> str:
    return f"{rate.k} of {rate.n}"


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
    own = [d.film for d in found.drives if d.film["track"].get("by_victim")]
    lost = [film for film in own if film["track"]["samples"] < film["track"]["of"]]
    if lost:
        followed, of = (sum(f["track"][name] for f in lost) for name in ("samples", "of"))
        told.append(
            f"{found.victim} itself looked for the object. In {_count(lost)} it is followed in "
            f"{followed:,} of {of:,} frames looked at; those before its first sighting and after "
            "its last are in no rate of frames, though the object may be in them. Boxes, markers "
            "or another finder would tell."
        )
    few = [one for one in found.treatments.values() if len(one.drives) < MIN_CLUSTERS]
    if few:
        names = ", ".join(f"{one.treatment} {len(one.drives)}" for one in few)
        told.append(
            f"Fewer than {MIN_CLUSTERS} videos ({names}) are too few for an interval over videos: "
            "each video stands for itself, and another drive may go otherwise."
        )
    return told


def _count(films: Sequence[Mapping[str, Any]]) -> str:
    return text.plural(len(films), "video")


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
    """``12/40``, ``30.0 %`` and its interval if it has one, each on a line."""
    if not rate.n:
        return text.NONE
    limits = "" if rate.interval is None else f"\n{text.bare(rate.interval)}"
    return f"{text.counts(rate)}\n{text.percent(rate.value)}{limits}"
