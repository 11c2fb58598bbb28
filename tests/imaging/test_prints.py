"""How much prints differ: an assumed spread, or the one that a printer's profile measured."""

import numpy as np
import torch

from physadv.artwork.printer import PrinterProfile
from physadv.imaging.light import print_responses
from physadv.imaging.tiles import sample_tiles
from physadv.imaging.views import sample_views
from physadv.scene.schema import Scene
from physadv.seeding import generator_for

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0))


def measured(*residual_sd: float) -> PrinterProfile:
    return PrinterProfile("affine", (IDENTITY,), ((1.0, 1.0, 1.0),), residual_sd, 0.0)


def assuming(scene: Scene, sd: float) -> Scene:
    return scene.model_copy(update={"imaging": scene.imaging.model_copy(update={"printer_sd": sd})})


def test_a_measured_printer_spreads_as_measured_and_no_more(scene: Scene) -> None:
    ranges = assuming(scene, 0.2).imaging
    printer = measured(0.0, 0.05, 0.01)
    gain, offset = print_responses(ranges, printer, 20000, generator_for(0, "prints"))
    assert (gain == 1).all()
    np.testing.assert_allclose(offset.std(axis=0), [0.0, 0.05, 0.01], rtol=0.03)
    np.testing.assert_allclose(offset.mean(axis=0), 0, atol=0.002)
    gain, offset = print_responses(ranges, None, 20000, generator_for(0, "prints"))
    np.testing.assert_allclose([gain.std(), offset.std()], 0.2, rtol=0.03)


def test_views_have_it_and_are_otherwise_the_same(scene: Scene) -> None:
    assumed = assuming(scene, 0.2)
    how = {"seed": 0, "keys": ("prints",), "pool": 3}
    plain = sample_views(assumed, 8, 16, **how)
    views = sample_views(assumed, 8, 16, printer=measured(0.0, 0.05, 0.0), **how)
    assert (views.print_gain == 1).all()
    assert (views.print_offset[:, [0, 2]] == 0).all()
    assert (views.print_offset[:, 1] != 0).all()
    assert not (plain.print_gain == 1).any()
    for same in ("light", "colour", "noise", "to_texture", "quality"):
        torch.testing.assert_close(getattr(views, same), getattr(plain, same), rtol=0, atol=0)


def test_patches_on_objects_likewise(scene: Scene) -> None:
    ranges = assuming(scene, 0.2).imaging
    place = (np.zeros(4, int), np.full((4, 2), 40.0), np.full(4, 20.0), np.zeros(4))

    def tiles(printer: PrinterProfile | None) -> torch.Tensor:
        generator, device = generator_for(0, "tiles"), torch.device("cpu")
        return sample_tiles(ranges, *place, generator, device, printer=printer).bias

    exact = tiles(measured(0.0, 0.0, 0.0))
    torch.testing.assert_close(tiles(measured(0.0, 0.0, 0.0)), exact, rtol=0, atol=0)
    assert (tiles(measured(0.1, 0.1, 0.1)) - exact).abs().min() > 1e-4
    assert (tiles(None) - exact).abs().min() > 1e-4
