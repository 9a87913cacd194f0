"""Estimates without labels beside NannyML's own, on its synthetic car loan data, which comes with its package.

pip download nannyml --no-deps && unzip nannyml-*.whl 'nannyml/datasets/data/synthetic_car_loan_*'
python benchmarks/estimates.py nannyml/datasets/data
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mlops_kit.monitoring.estimate import Estimator

CHUNK = 5000
PEER = (0.970744, 0.971011, 0.971407, 0.971091, 0.971123, 0.961090, 0.961825, 0.961073, 0.962533, 0.961316)
PEER_LIMITS = (0.963317, 0.97866)


def main(folder):
    reference = pd.read_csv(folder / "synthetic_car_loan_reference.csv")
    analysis = pd.read_csv(folder / "synthetic_car_loan_analysis.csv")
    scores = analysis["y_pred_proba"].to_numpy()
    estimator = Estimator.fit(reference["y_pred_proba"].to_numpy(), reference["repaid"].to_numpy(), chunk=CHUNK)
    band = estimator.bands["roc_auc"]
    worst = max(abs(band.lower - PEER_LIMITS[0]), abs(band.upper - PEER_LIMITS[1]))
    print(f"limits {band.lower:.6f} {band.upper:.6f}, NannyML {PEER_LIMITS}")
    for number, peer in enumerate(PEER):
        estimated = estimator.estimate(scores[number * CHUNK : (number + 1) * CHUNK])
        warned = "warning" if "roc_auc" in estimator.warnings(estimated) else ""
        worst = max(worst, abs(estimated["roc_auc"] - peer))
        print(f"chunk {number}: ROC AUC {estimated['roc_auc']:.6f}, NannyML {peer:.6f} {warned}")
    print(f"largest difference {worst:.1e}, limit 1e-05")
    return int(not np.isfinite(worst) or worst > 1e-5)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print("Skipped: name the folder of NannyML's data sets; see the top of this file.")
        sys.exit(0)
    sys.exit(main(Path(sys.argv[1])))
