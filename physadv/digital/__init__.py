"""Standard digital attacks: one attack, one file, one function that returns Adversarials."""

from physadv.digital.apgd import apgd
from physadv.digital.bim import bim
from physadv.digital.carlini_wagner import carlini_wagner
from physadv.digital.carlini_wagner_l0 import carlini_wagner_l0
from physadv.digital.carlini_wagner_linf import carlini_wagner_linf
from physadv.digital.ddn import ddn
from physadv.digital.deepfool import deepfool
from physadv.digital.detector_pgd import detector_pgd
from physadv.digital.fgsm import fgsm
from physadv.digital.hop_skip_jump import hop_skip_jump
from physadv.digital.momentum import momentum
from physadv.digital.noise import noise
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import pgd
from physadv.digital.semantic import semantic
from physadv.digital.square import square
from physadv.digital.substitute import train_substitute
from physadv.digital.transfer import transfer_matrix, transferred
from physadv.digital.universal import train_universal, universal

__all__ = [
    "Adversarials",
    "apgd",
    "bim",
    "carlini_wagner",
    "carlini_wagner_l0",
    "carlini_wagner_linf",
    "ddn",
    "deepfool",
    "detector_pgd",
    "fgsm",
    "hop_skip_jump",
    "momentum",
    "noise",
    "pgd",
    "semantic",
    "square",
    "train_substitute",
    "train_universal",
    "transfer_matrix",
    "transferred",
    "universal",
]
