"""The identity of content: of data, of code, of values. Pure: nothing here reads or writes a store."""

from mlops_kit.fingerprints.dispatch import fingerprint

__all__ = ["fingerprint"]
