"""Tensors of torch: their values are content, and how they lie in memory is not."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlops_kit.errors import UnsupportedData
from mlops_kit.fingerprints import fingerprint

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support:UserWarning")

SMALL_FLOATS = [
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz,
    torch.complex32,
]
NUMPY_DTYPES = st.sampled_from(["?", "i1", "u1", "i2", "u2", "i4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"])


@given(hnp.arrays(NUMPY_DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_a_tensor_has_the_fingerprint_of_the_array_that_holds_the_same(array):
    tensor = torch.from_numpy(array.copy())
    assert fingerprint(tensor) == fingerprint(np.asarray(array))
    assert fingerprint({"a": [tensor]}) == fingerprint({"a": [array]})


@pytest.mark.parametrize("dtype", SMALL_FLOATS, ids=str)
def test_dtypes_that_numpy_lacks_go_by_their_bits(dtype):
    tensor = torch.tensor([1.0, -0.0, 2.0, 4.0]).to(dtype)
    assert fingerprint(tensor) == fingerprint(copy.deepcopy(tensor))
    assert fingerprint(tensor[::2]) == fingerprint(torch.tensor([1.0, 2.0]).to(dtype))
    others = [
        tensor[:2],
        tensor.reshape(2, 2),
        torch.tensor([1.0, -0.0, 2.0, 8.0]).to(dtype),
        tensor.to(torch.complex64),
    ]
    assert len({fingerprint(each) for each in [tensor, *others]}) == 1 + len(others)


@pytest.mark.parametrize("dtype", [torch.float32, *SMALL_FLOATS], ids=str)
def test_every_nan_is_the_same_one(dtype):
    one, other = (torch.tensor([sign * float("nan"), 1.0]).to(dtype) for sign in (1, -1))
    assert fingerprint(one) == fingerprint(other)


def test_how_a_tensor_lies_in_memory_and_what_torch_notes_on_it_is_no_content():
    tensor = torch.arange(6.0).reshape(2, 3)
    same = [
        tensor.clone().requires_grad_(),
        torch.nn.Parameter(tensor),
        tensor.T.contiguous().T,
        torch.stack([tensor, tensor])[1],
        torch.cat([tensor, tensor])[:2],
    ]
    assert {fingerprint(each) for each in same} == {fingerprint(tensor)}
    turned = torch.tensor([1 - 1j]).conj()
    assert fingerprint(turned) == fingerprint(torch.tensor([1 + 1j]))
    assert fingerprint(turned.imag) == fingerprint(torch.tensor([1.0]))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: torch.empty(2, device="meta"), "meta"),
        (lambda: torch.eye(2).to_sparse(), "to_dense"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "dequantize"),
        (lambda: torch.nn.LazyLinear(1).weight, "run one batch"),
        (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.bits8), "bits8"),
    ],
    ids=["meta", "sparse", "quantized", "lazy", "bits"],
)
def test_a_tensor_without_values_of_its_own_is_refused(make, remedy):
    tensor = make()
    with pytest.raises(UnsupportedData, match=remedy):
        fingerprint(tensor)
    with pytest.raises(UnsupportedData, match=remedy):
        fingerprint({"weights": [tensor]})
