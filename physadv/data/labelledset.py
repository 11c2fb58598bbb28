"""Images with the class that each shows, whatever set they are of."""

import hashlib
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from physadv.seeding import generator_for

Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImages:
    """``images`` [N,C,H,W] uint8 (RGB or grey), ``labels`` [N], names of classes and of files.

    ``tracks``: where several images show one object (frames of one sign), its name for each.
    ``spare``: which were drawn besides those asked for; empty for none. ``by_wordnet``: classes are
    numbered in the order of folders that go by WordNet's numbers, as ImageNet's own.
    """

    kind: str
    images: Array
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    files: tuple[str, ...]
    tracks: tuple[str, ...] = ()
    spare: tuple[bool, ...] = ()
    by_wordnet: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """One name an image: images of one name are of one object."""
        return self.tracks or tuple(str(n) for n in range(len(self.images)))

    def chosen(self, keep: npt.NDArray[np.bool_]) -> "LabelledImages":
        """The images where ``keep`` [N] is True."""
        return replace(
            self,
            images=self.images[keep],
            labels=self.labels[keep],
            files=tuple(compress(self.files, keep)),
            tracks=tuple(compress(self.tracks, keep)),
            spare=tuple(compress(self.spare, keep)),
        )

    def listed_sha256(self) -> str:
        """Checksum of the names of files and their labels: of what is shown, at whatever size."""
        return hashlib.sha256(
            repr((self.kind, self.files, self.labels.tolist())).encode()
        ).hexdigest()

    def sha256(self) -> str:
        """Checksum of the images and their labels, as 64 hex digits."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def tensors(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Images [N,C,H,W] float32 in [0,1] and labels [N] int64."""
        images = torch.from_numpy(self.images).to(device).float() / 255
        return images, torch.from_numpy(self.labels).to(device)


@dataclass
class Choice:
    """Which images of a set are taken: ``count``, drawn by ``seed``, and ``more`` besides."""

    count: int | None
    seed: int
    more: int = 0
    spare: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def of(self, total: int) -> npt.NDArray[np.int64]:
        """Sorted indices of what is taken; ``spare`` then says which are more than asked for."""
        first = np.arange(total)
        if self.count is not None and self.count < total:
            first = generator_for(self.seed, "labelled").choice(total, self.count, replace=False)
        rest = np.setdiff1d(np.arange(total), first)
        more = min(self.more, len(rest))
        others = generator_for(self.seed, "labelled more").choice(rest, more, replace=False)
        taken = np.sort(np.concatenate([first, others]))
        self.spare = np.isin(taken, others)
        return taken
