# The part of skops that mlops_kit calls.

from collections.abc import Sequence
from typing import Any

def dumps(obj: Any) -> bytes: ...
def loads(data: bytes, trusted: Sequence[str] | None = None) -> Any: ...
