from collections.abc import Mapping
from typing import Any

class Config:
    def __init__(
        self,
        *,
        connect_timeout: float = ...,
        read_timeout: float = ...,
        retries: Mapping[str, Any] | None = ...,
        max_pool_connections: int = ...,
        user_agent_extra: str | None = ...,
    ) -> None: ...
