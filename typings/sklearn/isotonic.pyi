from typing import Any, Self

class IsotonicRegression:
    X_thresholds_: Any
    y_thresholds_: Any
    def __init__(self, *, increasing: bool | str = ..., out_of_bounds: str = ...) -> None: ...
    def fit(self, x: Any, y: Any, /) -> Self: ...
