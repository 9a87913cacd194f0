from typing import Any

from botocore.config import Config

class Session:
    def get_config_variable(self, logical_name: str) -> Any: ...
    def create_client(
        self, service_name: str, region_name: str | None = None, *, config: Config | None = None
    ) -> Any: ...

def get_session(env_vars: Any = None) -> Session: ...
