"""Distributions with all that they require, as far as it is installed."""

from importlib import metadata

from mlops_kit.fingerprints.requirements import with_requirements


def test_what_is_required_is_followed_to_the_end_and_extras_are_not():
    found = with_requirements(["scikit-learn"])
    assert {"scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"} <= found.keys()
    assert "matplotlib" not in found  # of an extra
    assert found["numpy"] == metadata.version("numpy")
    assert list(found) == sorted(found)


def test_names_are_normalised_and_what_is_not_installed_is_left_out():
    assert with_requirements(["Scikit_Learn"]) == with_requirements(["scikit-learn"])
    assert with_requirements(["no-such-distribution"]) == {}
    assert with_requirements([]) == {}
