# The part of fsspec that mlops_kit calls.

from typing import Any

from fsspec.spec import AbstractFileSystem as AbstractFileSystem

__version__: str

def available_protocols() -> list[str]: ...
def filesystem(protocol: str, **storage_options: Any) -> AbstractFileSystem: ...
