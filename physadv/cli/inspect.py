"""victims, scenes, doctor: what there is and whether it works."""

import os

from rich.table import Column, Table

from physadv.cli.console import out
from physadv.data.environment import devices, versions
from physadv.data.files import ENVIRONMENT_VARIABLE, external_folder
from physadv.scene.catalog import (
    list_grids,
    list_object_scenes,
    list_scenes,
    load_grid,
    load_object_scene,
    load_scene,
)
from physadv.victim.catalog import list_victims
from physadv.victim.detectors import list_detectors


def victims() -> None:
    """List the victims that can be attacked and judged."""
    table = Table(Column("name", no_wrap=True), "what it is", Column("weights", overflow="fold"))
    for info in (*list_victims(), *list_detectors()):
        table.add_row(info.name, info.description, info.weights)
    out.print(table)
    out.print("Your own: --victim mypkg.models:make, a function that returns a torch.nn.Module.")


def scenes() -> None:
    """List the bundled scenes and grids."""
    table = Table("name", "kind", "what it is")
    for name in list_scenes():
        table.add_row(name, "scene", load_scene(name).description)
    for name in list_object_scenes():
        table.add_row(name, "objects", load_object_scene(name).description)
    for name in list_grids():
        grid = load_grid(name)
        table.add_row(name, "grid", f"{grid.description} ({len(grid.cells)} cells)")
    out.print(table)
    out.print("Your own: give the path of a .yaml file in place of the name.")


def doctor() -> None:
    """Say what is installed, which devices work, and which data are found or missing."""
    table = Table(Column("what", no_wrap=True), "found", "do")
    for name, found in versions().items():
        table.add_row(name, found, "")
    table.add_row("devices", ", ".join(devices()), "")
    table.add_row("CPU cores", str(os.cpu_count()), "")
    folder = external_folder()
    if folder is None:
        table.add_row(
            ENVIRONMENT_VARIABLE,
            "not set",
            "optional: point it at a folder with data/ and weights/ for lisa-cnn and real data",
        )
    else:
        table.add_row(ENVIRONMENT_VARIABLE, str(folder), "")
        for part in ("data/gtsrb", "data/rp2_victim_set", "data/stop_signs", "weights"):
            found = "found" if (folder / part).exists() else "missing"
            table.add_row(
                f"  {part}", found, "" if found == "found" else f"put it at {folder / part}"
            )
    for info in (*list_victims(), *list_detectors()):
        table.add_row(f"victim {info.name}", info.weights, "")
    out.print(table)
