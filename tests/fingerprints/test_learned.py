"""The fingerprint of a model is of what it was told and learned, not of how its training went."""

import copy
import io
import os
import pickle
import subprocess
import sys
import textwrap
from collections import OrderedDict

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from mlops_kit.fingerprints import fingerprint

X = np.random.default_rng(0).normal(size=(60, 3))
y = (X[:, 0] > 0).astype(int)


def in_another_process(code, **variables):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_threads_that_openmp_had_are_no_part_of_a_model():
    code = """
        import numpy as np
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from mlops_kit.fingerprints import fingerprint
        X = np.random.default_rng(0).normal(size=(60, 3))
        y = (X[:, 0] > 0).astype(int)
        boosted = HistGradientBoostingClassifier(max_iter=2, random_state=0)
        for model in (
            boosted,
            HistGradientBoostingRegressor(max_iter=2, random_state=0),
            make_pipeline(StandardScaler(), boosted),
            GridSearchCV(boosted, {"max_depth": [1, 2]}, cv=2),
        ):
            print(fingerprint(model.fit(X, y)))
    """
    one, more = (in_another_process(code, OMP_NUM_THREADS=threads) for threads in ("1", "2"))
    assert one == more


def test_the_threads_of_a_clustering_are_no_part_of_it():
    model = KMeans(2, n_init=1, random_state=0).fit(X)
    before = fingerprint(model)
    vars(model)["_n_threads"] += 1
    assert fingerprint(model) == before


def test_how_many_jobs_a_model_may_use_is_no_part_of_it():
    one, many = (RandomForestClassifier(3, n_jobs=jobs, random_state=0).fit(X, y) for jobs in (1, 2))
    assert fingerprint(one) == fingerprint(many)
    assert fingerprint(one) != fingerprint(RandomForestClassifier(4, random_state=0).fit(X, y))
    one, many = (make_column_transformer((StandardScaler(), [0]), n_jobs=jobs).fit(X) for jobs in (None, 2))
    assert fingerprint({"steps": [one]}) == fingerprint({"steps": [many]})


def test_the_threads_of_lightgbm_are_no_part_of_a_model():
    lightgbm = pytest.importorskip("lightgbm")
    fitted = (lightgbm.LGBMClassifier(n_estimators=2, n_jobs=jobs, verbose=-1).fit(X, y) for jobs in (1, 2))
    assert len({fingerprint(model) for model in fitted}) == 1
    trained = [
        lightgbm.train({"verbose": -1, "seed": 0, **more}, lightgbm.Dataset(X, y), num_boost_round=2)
        for more in ({"num_threads": 1}, {"nthread": 2}, {"lambda_l2": 1.0})
    ]
    one, more, other = map(fingerprint, trained)
    assert one == more
    assert one != other


def test_when_a_talkative_model_was_trained_is_no_part_of_it(capsys):
    one, other = (GaussianMixture(2, random_state=0, verbose=2).fit(X) for _ in range(2))
    assert fingerprint(one) == fingerprint(other)
    assert capsys.readouterr().out


class TestCatBoost:
    @pytest.fixture(autouse=True)
    def library(self):
        self.catboost = pytest.importorskip("catboost")

    def trained(self, kind="CatBoostClassifier", **options):
        settings = {"iterations": 3, "verbose": 0, "random_seed": 0, "allow_writing_files": False}
        model = getattr(self.catboost, kind)
        taken = {**settings, **options}
        return (model(taken) if kind == "CatBoost" else model(**taken)).fit(X, y)

    @pytest.mark.parametrize("kind", ["CatBoostClassifier", "CatBoostRegressor", "CatBoost"])
    def test_two_trainings_that_learned_the_same_give_one_fingerprint(self, kind):
        one, other = self.trained(kind, thread_count=1), self.trained(kind, thread_count=2)
        assert fingerprint(one) == fingerprint(other)
        assert fingerprint([one]) == fingerprint([other])

    def test_what_it_learned_and_was_told_counts(self):
        models = [
            self.trained(),
            self.trained(iterations=4),
            self.trained(random_seed=1),
            self.trained(metadata={"owner": "us"}),
            self.catboost.CatBoostClassifier(iterations=3),
        ]
        assert len(set(map(fingerprint, models))) == len(models)

    def test_a_copy_and_a_loaded_model_are_the_model_which_is_left_as_it_was(self):
        model = self.trained()
        notes = dict(model.get_metadata().items())
        same = [model, copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        assert len(set(map(fingerprint, same))) == 1
        assert dict(model.get_metadata().items()) == notes
        model.get_feature_importance()
        assert fingerprint(model) == fingerprint(same[1])


class TestTorch:
    @pytest.fixture(autouse=True)
    def library(self):
        self.torch = pytest.importorskip("torch")

    def net(self):
        nn = self.torch.nn
        self.torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.LSTM(2, 2))

    def test_a_module_is_what_it_holds_wherever_it_was_copied(self):
        net, buffer = self.net(), io.BytesIO()
        self.torch.save(net, buffer)
        buffer.seek(0)
        same = [net, copy.deepcopy(net), self.torch.load(buffer, weights_only=False), self.net()]
        assert len(set(map(fingerprint, same))) == 1

    def test_a_weight_a_buffer_a_layer_and_the_mode_count(self):
        nets = [self.net() for _ in range(5)]
        with self.torch.no_grad():
            nets[1][0].weight[0, 0] += 1
        nets[2][1].running_mean += 1
        nets[3].append(self.torch.nn.ReLU())
        nets[4].eval()
        assert len(set(map(fingerprint, nets))) == len(nets)

    def test_what_may_be_trained_is_no_content(self):
        net = self.net().requires_grad_(requires_grad=False)
        assert fingerprint(net) == fingerprint(self.net())

    def test_how_many_hooks_the_process_has_made_is_no_content(self):
        nets = []
        for _ in range(2):
            nets.append(self.net())
            nets[-1].register_forward_hook(print)
            nets[-1].register_forward_hook(max, with_kwargs=True)
        assert fingerprint(nets[0]) == fingerprint(nets[1])
        assert fingerprint(nets[0]) != fingerprint(self.net())

    def test_a_state_dict_is_its_items(self):
        weights, buffer = self.net().state_dict(), io.BytesIO()
        self.torch.save(weights, buffer)
        buffer.seek(0)
        by_items = OrderedDict((name, tensor.clone()) for name, tensor in weights.items())
        same = [weights, copy.deepcopy(weights), self.torch.load(buffer), by_items]
        assert len(set(map(fingerprint, same))) == 1
        by_items["0.bias"] = by_items["0.bias"] + 1
        assert fingerprint(by_items) != fingerprint(weights)

    def test_an_optimizer_is_its_settings_and_moments(self):
        def stepped(rate):
            net = self.net()
            optimizer = self.torch.optim.Adam(net.parameters(), lr=rate)
            net[0](self.torch.ones(1, 3)).sum().backward()
            optimizer.step()
            return optimizer

        assert fingerprint(stepped(0.1)) == fingerprint(stepped(0.1)) != fingerprint(stepped(0.2))

    def test_a_module_has_the_same_fingerprint_in_another_process(self):
        code = """
            import torch
            from mlops_kit.fingerprints import fingerprint
            torch.manual_seed(0)
            [torch.nn.Linear(1, 1).register_forward_hook(print) for _ in range(3)]
            torch.manual_seed(0)
            nn = torch.nn
            print(fingerprint(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.LSTM(2, 2))))
        """
        assert in_another_process(code, PYTHONHASHSEED="5").strip() == fingerprint(self.net())
