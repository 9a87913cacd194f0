"""Train a model in CI: one version for each run of the workflow, printed as ``spec=tumour:3``."""

import mlops_kit as mk
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Read your own data here. The holdout is fixed: it is snapshotted again only when it changes.
table = load_breast_cancer(as_frame=True).frame
train, holdout = train_test_split(table, test_size=0.4, random_state=0, stratify=table["target"])
mk.Dataset.snapshot(holdout, name="tumour-holdout")


@mk.track(register="tumour")
def fit(data, strength=1.0):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength))
    return model.fit(data.drop(columns="target"), data["target"])


fit(train)
print(f"spec={fit.last_run.models[0]}")
