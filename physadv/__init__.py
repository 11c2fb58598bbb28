"""physadv: physical-world adversarial attacks on vision models, and their measurement.

The public names below are the whole Python interface; they are loaded on first use.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physadv.artwork.files import Artwork, load_artwork, save_artwork
    from physadv.checks import UserError
    from physadv.evaluate.examples import write_views
    from physadv.evaluate.grid import evaluate_grid
    from physadv.evaluate.photos import evaluate_photos
    from physadv.evaluate.trials import load_trials, save_trials
    from physadv.export.pdf import write_pdf
    from physadv.optimize.generate import Recipe, generate
    from physadv.optimize.problem import Settings
    from physadv.report.html import write_report
    from physadv.report.summary import summarise
    from physadv.scene.catalog import load_grid, load_scene
    from physadv.types import Trial
    from physadv.victim.catalog import list_victims, load_victim

_HOMES = {
    "Artwork": "artwork.files",
    "Recipe": "optimize.generate",
    "Settings": "optimize.problem",
    "Trial": "types",
    "UserError": "checks",
    "evaluate_grid": "evaluate.grid",
    "evaluate_photos": "evaluate.photos",
    "generate": "optimize.generate",
    "list_victims": "victim.catalog",
    "load_artwork": "artwork.files",
    "load_grid": "scene.catalog",
    "load_scene": "scene.catalog",
    "load_trials": "evaluate.trials",
    "load_victim": "victim.catalog",
    "save_artwork": "artwork.files",
    "save_trials": "evaluate.trials",
    "summarise": "report.summary",
    "write_pdf": "export.pdf",
    "write_report": "report.html",
    "write_views": "evaluate.examples",
}

__all__ = [
    "Artwork",
    "Recipe",
    "Settings",
    "Trial",
    "UserError",
    "evaluate_grid",
    "evaluate_photos",
    "generate",
    "list_victims",
    "load_artwork",
    "load_grid",
    "load_scene",
    "load_trials",
    "load_victim",
    "save_artwork",
    "save_trials",
    "summarise",
    "write_pdf",
    "write_report",
    "write_views",
]

__version__ = version("physadv")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'physadv' has no attribute {name!r}")
    return getattr(import_module(f"physadv.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
