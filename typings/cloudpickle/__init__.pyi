# The part of cloudpickle that mlops_kit calls.

from collections.abc import Callable
from types import ModuleType
from typing import Any

__version__: str

def dumps(
    obj: object, protocol: int | None = None, buffer_callback: Callable[[Any], object] | None = None
) -> bytes: ...
def loads(data: bytes | bytearray | memoryview, /, *, buffers: Any = ...) -> Any: ...
def register_pickle_by_value(module: ModuleType) -> None: ...
def unregister_pickle_by_value(module: ModuleType) -> None: ...
