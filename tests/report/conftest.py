"""Run folders made by hand; see toy_run."""

from collections.abc import Callable
from pathlib import Path

import pytest
from toy_run import fill, toy_artwork

from physadv.artwork.files import save_artwork


@pytest.fixture
def bare_run(tmp_path: Path) -> Path:
    """A run that holds nothing but an artwork."""
    run = tmp_path / "toy run"
    run.mkdir()
    save_artwork(toy_artwork(), run)
    return run


@pytest.fixture
def full_run(bare_run: Path) -> Path:
    """A run with everything."""
    return fill(bare_run)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A full run with other names for target and victim."""

    def make(target: str, victim: str) -> Path:
        run = tmp_path / "odd"
        run.mkdir()
        save_artwork(toy_artwork(target), run)
        return fill(run, target, victim)

    return make
