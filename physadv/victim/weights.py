"""Reading weights: safetensors only, checked against a known checksum."""

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn, uint8

from physadv.checks import UserError
from physadv.data.files import BUNDLED, read_json, sha256_of

FOLDER = BUNDLED / "weights"
_CHECKSUMS = "sha256.json"
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt")


def expected_sha256(file_name: str) -> str:
    """The committed checksum of a weight file.

    Raises:
        UserError: If none is recorded.
    """
    checksums = read_json(FOLDER / _CHECKSUMS)
    if file_name not in checksums:
        raise UserError(
            f"checksum of {file_name}", f"not in {_CHECKSUMS}", "Install physadv again."
        )
    return checksums[file_name]


def load_weights(module: nn.Module, path: Path, expected: str | None = None) -> str:
    """Load a safetensors file into ``module``.

    Args:
        module: Must have exactly the file's tensors, by name and shape.
        path: The file.
        expected: SHA-256 that the file must have; None to accept any.

    Returns:
        The file's SHA-256.

    Raises:
        UserError: If the file is missing, is a pickle, is damaged, has another checksum, or does
            not fit the module. The module is then unchanged.
    """
    if path.suffix.lower() in _PICKLES:
        raise UserError(
            f"weights {path}",
            "a pickle: loading it can run any code that its author put in",
            "Convert it to .safetensors where you trust it, or wait for the allow-listed importer.",
        )
    if not path.is_file():
        raise UserError(f"weights {path}", "no such file", "Check the path.")
    found = sha256_of(path)
    if expected is not None and found != expected:
        raise UserError(
            f"weights {path}",
            f"SHA-256 {found[:12]}..., expected {expected[:12]}...",
            "The file is damaged or another version; get it again.",
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"weights {path}", f"not a safetensors file ({error})", "Get the file again."
        ) from error
    wanted = module.state_dict()
    misfits = [
        *(f"{name} is missing" for name in sorted(wanted.keys() - tensors.keys())),
        *(f"{name} is not expected" for name in sorted(tensors.keys() - wanted.keys())),
        *(
            f"{name} is {list(tensors[name].shape)}, not {list(wanted[name].shape)}"
            for name in sorted(wanted.keys() & tensors.keys())
            if tensors[name].shape != wanted[name].shape
        ),
    ]
    if misfits:
        shown = "; ".join(misfits[:3]) + ("; ..." if len(misfits) > 3 else "")
        raise UserError(
            f"weights {path} for {type(module).__name__}",
            f"{len(misfits)} tensors do not fit: {shown}",
            "Give the weights of this architecture.",
        )
    module.load_state_dict(tensors)
    return found


def module_sha256(module: nn.Module) -> str:
    """SHA-256 over names and bytes of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(uint8).numpy().data)
    return digest.hexdigest()
