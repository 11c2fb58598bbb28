"""Scenes and grids by name or by file; drawn ones are bundled."""

from pathlib import Path

from physadv.checks import UserError, check_name
from physadv.data.files import BUNDLED
from physadv.scene.objects import ObjectScene, scene_kind
from physadv.scene.schema import Grid, Scene, parse_yaml


def scenes_folder() -> Path:
    """The ``scenes`` folder: package data in a wheel, the top-level folder in a checkout."""
    packaged = BUNDLED / "scenes"
    return packaged if packaged.is_dir() else BUNDLED.parent.parent / "scenes"


def list_scenes() -> list[str]:
    """Names of the bundled scenes of signs."""
    return _of_kind("sign")


def list_object_scenes() -> list[str]:
    """Names of the bundled scenes of people and things in photographs."""
    return _of_kind("objects")


def _of_kind(kind: str) -> list[str]:
    return sorted(path.stem for path in scenes_folder().glob("*.yaml") if scene_kind(path) == kind)


def list_grids() -> list[str]:
    """Names of the bundled grids."""
    return sorted(path.stem for path in (scenes_folder() / "grids").glob("*.yaml"))


def load_scene(name_or_path: str | Path) -> Scene:
    """Load a bundled scene by name, or any scene file by path (a name that ends in .yaml).

    Raises:
        UsageError: If the name is unknown (the known names are listed).
        UserError: If the file does not fit the schema.
    """
    path = _locate("scene", str(name_or_path), scenes_folder(), list_scenes())
    if path.is_file() and scene_kind(path) == "objects":
        raise UserError(
            f"sign scene {path}",
            "it is a scene of objects in photographs",
            "Make a patch for it with `physadv patch`.",
        )
    return parse_yaml(path, Scene, folder=str(path.parent))


def load_object_scene(name_or_path: str | Path) -> ObjectScene:
    """Load a bundled scene of objects by name, or any scene file by path.

    Raises:
        UsageError: If the name is unknown (the known names are listed).
        UserError: If the file does not fit the schema.
    """
    path = _locate("scene of objects", str(name_or_path), scenes_folder(), list_object_scenes())
    return parse_yaml(path, ObjectScene, folder=str(path.parent))


def load_grid(name_or_path: str | Path) -> Grid:
    """Load a bundled grid by name, or any grid file by path (a name that ends in .yaml).

    Raises:
        UsageError: If the name is unknown (the known names are listed).
        UserError: If the file does not fit the schema.
    """
    path = _locate("grid", str(name_or_path), scenes_folder() / "grids", list_grids())
    return parse_yaml(path, Grid)


def _locate(kind: str, name: str, folder: Path, known: list[str]) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    check_name(kind, name, known, f"Or give the path of a {kind} file that ends in .yaml.")
    return folder / f"{name}.yaml"
