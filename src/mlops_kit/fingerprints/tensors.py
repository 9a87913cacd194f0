"""Tensors of torch, and of whatever speaks ``__array__`` or DLPack, as arrays of numpy.

No library is imported to find out: a tensor of a library that is not loaded cannot be at hand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mlops_kit.errors import UnsupportedData

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PROTOCOLS = ("__array__", "__dlpack__")
_OTHERS = frozenset({"numpy", "pandas", "polars", "pyarrow"})
_LABELS = ("coords", "dims")


def is_tensor(obj: object) -> bool:
    """Return whether an object is a tensor, or another array that is not numpy's.

    Parameters
    ----------
    obj : object
        Any object.

    Returns
    -------
    bool
        True if its type has ``__array__`` or ``__dlpack__`` and belongs to no library of tables or of plain arrays.

    Examples
    --------
    >>> import numpy as np
    >>> is_tensor(np.zeros(3)), is_tensor([0.0])
    (False, False)
    """
    kind = type(obj)
    if not any(hasattr(kind, name) for name in _PROTOCOLS):
        return False
    return _OTHERS.isdisjoint(cls.__module__.partition(".")[0] for cls in kind.__mro__)


def tensor_content(tensor: Any) -> tuple[str | None, NDArray[Any]] | None:
    """Return what a tensor holds, on the CPU and in one piece.

    Parameters
    ----------
    tensor : object
        Of which `is_tensor` is true.

    Returns
    -------
    tuple, or None
        The name of a dtype that numpy lacks, else None, and the values; those of such a dtype as their bits. None
        for what is more than its array (labelled arrays, arrays of Python objects) or does not give it.

    Raises
    ------
    UnsupportedData
        A tensor of torch has no values of its own (meta, fake), or is sparse, nested or quantized.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(tensor, torch.Tensor):
        return _torch_content(torch, tensor)
    if any(hasattr(type(tensor), name) for name in _LABELS):
        return None
    import numpy as np  # noqa: PLC0415 - loaded once data is at hand

    try:
        array = np.asarray(tensor) if hasattr(type(tensor), "__array__") else np.from_dlpack(tensor)
    except Exception:  # noqa: BLE001 - a foreign library may raise anything; the object is then taken apart like any other
        return None
    return None if array.dtype.hasobject else (None, array)


def as_array(tensor: object) -> NDArray[Any]:
    """Return a tensor as an array of numpy, of the same values and dtype.

    Parameters
    ----------
    tensor : object
        Of which `is_tensor` is true.

    Returns
    -------
    numpy.ndarray
        A view where the tensor is on the CPU.

    Raises
    ------
    UnsupportedData
        Numpy has no such dtype, or the tensor does not give its values.
    """
    name, array = tensor_content(tensor) or (type(tensor).__qualname__, None)
    if name is not None or array is None:
        raise UnsupportedData(f"No array of numpy is the same as this {name} tensor, so it cannot be kept as a table.")
    return array


def _torch_content(torch: Any, tensor: Any) -> tuple[str | None, NDArray[Any]]:
    _refuse_odd(torch, tensor)
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    try:
        return None, plain.numpy()
    except TypeError:
        name = str(tensor.dtype).removeprefix("torch.")
    try:
        return name, torch.view_as_real(plain).numpy() if plain.is_complex() else _bits(torch, plain)
    except (KeyError, RuntimeError) as error:
        raise UnsupportedData(f"A tensor of dtype {tensor.dtype} has no fingerprint: {error}.") from error


def _bits(torch: Any, plain: Any) -> NDArray[Any]:
    """Return the bits of small floats, every NaN as the one that ``float("nan")`` becomes."""
    kind = {1: torch.uint8, 2: torch.uint16}[plain.element_size()]
    bits: NDArray[Any] = plain.contiguous().view(kind).numpy()
    every = torch.arange(2 ** (8 * bits.itemsize), dtype=torch.int32).to(kind).view(plain.dtype)
    nans = every.float().isnan().numpy()[bits]
    if nans.any():
        bits = bits.copy()
        bits[nans] = torch.tensor(float("nan")).to(plain.dtype).view(kind).item()
    return bits


def _refuse_odd(torch: Any, tensor: Any) -> None:
    what = next((what for test, what in _ODD if test(torch, tensor)), None)
    if what is not None:
        raise UnsupportedData(f"A tensor of type {type(tensor).__qualname__} and dtype {tensor.dtype} {what}.")


_ODD: tuple[tuple[Callable[[Any, Any], Any], str], ...] = (
    (
        lambda torch, tensor: torch.nn.parameter.is_lazy(tensor),
        "is not initialised yet, so it has no values: run one batch through its module first",
    ),
    (lambda _, tensor: tensor.is_meta, "is on the device 'meta', so it has no values: load it to the CPU"),
    (
        lambda _, tensor: hasattr(type(tensor), "__tensor_flatten__") or tensor.is_nested,
        "is made of other tensors: fingerprint those",
    ),
    (lambda torch, tensor: tensor.layout != torch.strided, "is sparse: fingerprint `tensor.to_dense()`"),
    (lambda _, tensor: tensor.is_quantized, "is quantized: fingerprint `tensor.dequantize()`"),
)
