"""What tests of the usual road share."""

import numpy as np
import pandas as pd
import pytest

import mlops_kit as mk


@pytest.fixture
def store(tmp_path):
    """Give a store of the test's own, which is not that of the project."""
    return mk.Store(tmp_path / "store")


@pytest.fixture
def people():
    """Give a table whose label can be learned from it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": range(400),
            "x": rng.normal(size=400),
            "age": rng.integers(20, 70, 400),
            "shop": rng.choice(["a", "b"], 400),
        }
    )
    return frame.assign(late=(frame["x"] + rng.normal(size=400) > 0).astype(int))
