"""Pasting views into frames."""

import pytest
import torch

from physadv.imaging.frames import paste_views


def test_pixels_and_gradient_are_the_views_own():
    frames = torch.rand(2, 3, 20, 30)
    views = torch.rand(2, 3, 4, 5, requires_grad=True)
    out = paste_views(frames, views, [(0, 0), (25, 16)])
    assert torch.allclose(out[0, :, :4, :5], views[0])
    assert torch.allclose(out[1, :, 16:, 25:], views[1])
    assert torch.equal(out[0, :, 4:], frames[0, :, 4:])
    weight = torch.rand_like(out)
    (out * weight).sum().backward()
    assert torch.equal(views.grad[0], weight[0, :, :4, :5])
    assert torch.equal(views.grad[1], weight[1, :, 16:, 25:])


def test_a_view_beyond_its_frame_is_refused():
    with pytest.raises(ValueError, match="leaves its frame"):
        paste_views(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4), [(5, 0)])
