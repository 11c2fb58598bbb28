"""Imports run one way (see the layer list): a module may import only from layers above its own."""

import ast
from pathlib import Path

import physadv

ROOT = Path(physadv.__file__).parent
BASE = {"units", "checks", "types", "seeding"}
ALLOWED: dict[str, set[str]] = {name: {"checks", "units"} for name in BASE}
ALLOWED |= {
    "data": BASE,
    "artwork": BASE | {"data"},
    "scene": BASE | {"data"},
    "stats": BASE | {"data"},
    "engine": BASE,
    "imaging": BASE | {"data", "artwork", "scene"},
    "victim": BASE | {"data"},
    "objective": BASE | {"victim", "artwork"},
    "digital": BASE | {"data", "stats", "victim", "objective"},
    "defend": BASE | {"data", "stats", "victim", "objective", "digital"},
    "optimize": BASE | {"data", "artwork", "scene", "imaging", "victim", "objective"},
    "export": BASE | {"data", "artwork"},
    "calibrate": BASE | {"data", "artwork", "scene", "imaging", "export"},
    "evaluate": BASE
    | {"data", "artwork", "scene", "stats", "victim", "objective", "export", "calibrate"}
    | {"digital", "engine"},
    "report": BASE | {"data", "artwork", "stats", "evaluate"},
    "cli": BASE
    | {"data", "artwork", "scene", "optimize", "victim", "export", "calibrate", "evaluate"}
    | {"report", "stats", "engine"},
}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name for name in names if name.startswith("physadv.")}
    return found


def test_imports_run_one_way():
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts == ("__init__",):
            continue
        for name in _imports(path):
            layer = name.split(".")[1]
            if layer != parts[0] and layer not in ALLOWED[parts[0]]:
                wrong.append(f"{'/'.join(parts)} imports {name}")
            if (
                parts[0] == "report"
                and name.startswith("physadv.evaluate")
                and not name.startswith(("physadv.evaluate.trials", "physadv.evaluate.detections"))
            ):
                wrong.append(f"{'/'.join(parts)} imports {name}: only the stores are allowed")
    assert not wrong, "\n".join(wrong)


def test_files_stay_readable():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in ROOT.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 320
    }
    assert not long
