"""What a car runs: a detector finds the sign, a classifier reads what it cut out."""

from dataclasses import dataclass

import torch

from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim


@dataclass(frozen=True)
class ChainVictim:
    """A detector whose boxes of the sign's class are cut out and read by a classifier."""

    detector: DetectorVictim
    classifier: ClassifierVictim

    @property
    def name(self) -> str:
        """``DETECTOR+CLASSIFIER``."""
        return f"{self.detector.name}+{self.classifier.name}"

    @property
    def weights_sha256(self) -> str:
        """Both checksums, joined by a plus sign."""
        return f"{self.detector.weights_sha256}+{self.classifier.weights_sha256}"

    def to(self, device: torch.device | str) -> "ChainVictim":
        """The same chain on ``device``."""
        return ChainVictim(self.detector.to(device), self.classifier.to(device))
