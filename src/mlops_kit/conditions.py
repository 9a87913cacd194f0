"""What must hold of a model before an alias may point to it: the conditions of a `mlops_kit.Gate`.

What a condition cannot establish does not hold: no rows, one class only, a prediction that is NaN, training data that
was not kept. The result then says why.
"""

from mlops_kit.registry.condition import Condition
from mlops_kit.registry.conditions import (
    at_least,
    at_most,
    better_than,
    business_value,
    calibration,
    metric,
    not_worse_than,
    on_slices,
)
from mlops_kit.registry.requirements import (
    approvals,
    data_quality,
    model_size,
    no_leak,
    predict_latency,
    same_environment,
    signature_compatible,
)

__all__ = [
    "Condition",
    "approvals",
    "at_least",
    "at_most",
    "better_than",
    "business_value",
    "calibration",
    "data_quality",
    "metric",
    "model_size",
    "no_leak",
    "not_worse_than",
    "on_slices",
    "predict_latency",
    "same_environment",
    "signature_compatible",
]
