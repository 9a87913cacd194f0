"""A pipeline for schedules: from data to a promoted model, with parameters that a shell can give."""

import mlops_kit as mk
from mlops_kit import steps
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@mk.step
def tumours():
    return load_breast_cancer(as_frame=True).frame


@mk.pipeline
def nightly(C: float = 1.0, test: float = 0.25):
    """Train on the tumours, and promote the model if it is not worse than the one that is live."""
    train, held_out = steps.split(tumours(), test=test)
    model = steps.train(make_pipeline(StandardScaler(), LogisticRegression(C=C)), train, "target")
    steps.evaluate(model, held_out, "target", metrics=["auc", "recall"])
    gate = mk.Gate(mk.conditions.not_worse_than("champion", "auc", margin=0.02), on=held_out, target="target")
    version = steps.register(model, "tumour")
    steps.promote(version, gate=gate)
    return version.spec
