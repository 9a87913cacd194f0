"""Stores on real servers: the contract of every backend, races, lost answers, and what errors say."""

import json
import os
import pickle
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import race
import servers
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit.errors import ReadOnlyStore, StoreError
from mlops_kit.store import retry
from mlops_kit.store.backend import Found
from mlops_kit.store.drive import PASSING, SINGLE_WRITER, Page, Trouble
from mlops_kit.store.locate import backend_for
from mlops_kit.store.remote import RemoteBackend
from mlops_kit.testing import BackendContract

SHARED = ["s3", "gcs", "azure", "sftp"]
BY_HTTP = ["s3", "gcs", "azure"]
MEANS = {"s3": "if-none-match", "gcs": "generation-match", "azure": "if-none-match", "sftp": "rename"}


class RemoteContract(BackendContract):
    """The same address for all backends of one test."""

    @pytest.fixture(autouse=True)
    def _address(self, request):
        self.url = request.getfixturevalue(self.provider)

    def make(self, tmp_path):
        return backend_for(self.url)


class TestS3(RemoteContract):
    provider = "s3"


class TestGCS(RemoteContract):
    provider = "gcs"


class TestAzure(RemoteContract):
    provider = "azure"


class TestSFTP(RemoteContract):
    provider = "sftp"


class TestGeneric(RemoteContract):
    provider = "generic"

    test_of_many_creators_at_once_exactly_one_wins = None  # it is for one writer at a time, and says so
    test_reading_beside_a_writer_sees_whole_values = None  # as whole as the file system does it


@pytest.fixture
def url(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(retry, "pause", lambda failures, elapsed, fraction: 0.0 if failures < 3 else None)


# One winner


@pytest.mark.parametrize("count", [25, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("url", ["local", *SHARED], indirect=True)
def test_of_eight_processes_that_create_a_key_exactly_one_wins(url, count):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", race.__file__, url, "8", str(count)],  # 3.12 warns of forks beside threads
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["codes"] == [0] * 8, done.stderr
    winners = [key for won in result["won"] for key in won]
    assert sorted(winners) == [f"race/{number:06d}" for number in range(count)]
    for number, value in enumerate(result["values"]):
        assert f"race/{number:06d}" in result["won"][int(value.split()[0])]
    assert result["before"] == "1"  # the parent goes on with the connection that it had before the forks


@pytest.mark.parametrize("provider", SHARED)
def test_the_probe_finds_the_means_of_each_provider(request, provider):
    backend = backend_for(request.getfixturevalue(provider))
    assert backend.capabilities() == {"create": MEANS[provider]}
    assert not backend.single_writer


@pytest.mark.parametrize("url", ["generic"], indirect=True)
def test_a_file_system_without_put_if_absent_says_so(url):
    backend = backend_for(url)
    assert backend.single_writer
    assert backend.capabilities() == {"create": SINGLE_WRITER}
    assert backend.create("k", b"1")
    assert not backend.create("k", b"2")


# Lost answers


@pytest.fixture
def cutter(request, provider, monkeypatch):
    """Lead the provider's connections through a proxy, and give it with the address of the store."""
    url = request.getfixturevalue(provider)
    if provider == "sftp":
        home = request.getfixturevalue("_sshd")
        config = (home / ".ssh" / "config").read_text()
        made = servers.Cutter(int(config.split("Port ")[1].split()[0]))
        with (home / ".ssh" / "known_hosts").open("a") as known:
            known.write(f"[127.0.0.1]:{made.port} {(home / '.ssh' / 'host.pub').read_text()}")
        url = url.replace("store-server", f"store-server:{made.port}")
    else:
        endpoint = urlsplit(request.getfixturevalue({"s3": "_moto", "gcs": "_gcs", "azure": "_azurite"}[provider]))
        made = servers.Cutter(endpoint.port)
        through = f"http://127.0.0.1:{made.port}{endpoint.path}"
        for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
            monkeypatch.setenv(name, through)
        connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection.replace(endpoint.geturl(), through))
    yield made, url
    made.close()


VALUE = b'{"some": "value"}' * 10
OPERATIONS = {
    "get": (lambda place: place.get("d/k"), VALUE),
    "get, absent": (lambda place: place.get("absent"), None),
    "put": (lambda place: place.put("d/k", VALUE), None),
    "create": (lambda place: place.create("d/new", VALUE), True),
    "create, taken": (lambda place: place.create("d/k", b"another"), False),
    "stat": (lambda place: place.stat("d/k").size, len(VALUE)),
    "stat, absent": (lambda place: place.stat("absent"), None),
    "touch": (lambda place: place.touch("d/k"), None),
    "walk": (lambda place: [found.key for found in place.walk("")], ["d/k"]),
    "folders": (lambda place: place.folders(""), ["d"]),
    "delete": (lambda place: place.delete("d/k"), None),
    "now": (lambda place: place.now() > 0, True),
}


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
@pytest.mark.parametrize("provider", BY_HTTP)
def test_an_answer_cut_in_its_body_is_a_failed_request_whatever_its_status(request, provider, kept, monkeypatch):
    monkeypatch.setattr(retry, "pause", lambda failures, elapsed, fraction: 0.0 if failures < 4 else None)
    url = request.getfixturevalue(provider)
    endpoint = urlsplit(request.getfixturevalue({"s3": "_moto", "gcs": "_gcs", "azure": "_azurite"}[provider]))
    proxy = servers.Shortener(endpoint.port)
    through = f"http://127.0.0.1:{proxy.port}{endpoint.path}"
    for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, through)
    connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection.replace(endpoint.geturl(), through))
    backend, cut = backend_for(url), 0
    for name, (act, expected) in OPERATIONS.items():
        for key in ("d/k", "d/new"):
            backend.delete(key)
        backend.put("d/k", VALUE)
        backend._clock = None
        proxy.kept, proxy.cut = kept, 0
        assert act(backend) == expected, name
        proxy.kept = None
        assert proxy.asked or not proxy.cut, f"{name}: what was cut was taken for an answer"
        cut += proxy.cut
        expected_value = None if name == "delete" else VALUE
        assert backend.get("d/k") == expected_value
    proxy.close()
    assert cut >= 2


@pytest.mark.parametrize("provider", SHARED)
def test_a_creation_whose_answer_is_lost_is_known_to_be_ours(cutter, provider):
    proxy, url = cutter
    backend = backend_for(url)
    backend.put("warm", b"")
    for lost in range(8 if provider == "sftp" else 1):  # an SFTP creation is a handful of requests
        proxy.skip, proxy.lose = lost, 1
        assert backend.create(f"j/{lost}", b"nonce %d" % lost)
        assert backend.get(f"j/{lost}") == b"nonce %d" % lost
        assert not backend.create(f"j/{lost}", b"another")
        proxy.lose = 0
    assert [found.key for found in backend.walk("j/")] == [f"j/{number}" for number in range(lost + 1)]


@pytest.mark.parametrize("provider", SHARED)
def test_a_creation_that_lost_is_known_to_be_lost_though_the_answer_is_lost(cutter, provider):
    proxy, url = cutter
    backend = backend_for(url)
    assert backend.create("j/1", b"theirs")
    proxy.lose = 1
    assert not backend.create("j/1", b"ours")
    assert backend.get("j/1") == b"theirs"


@pytest.mark.parametrize("provider", SHARED)
def test_reading_writing_and_listing_survive_lost_answers(cutter, provider):
    proxy, url = cutter
    backend = backend_for(url)
    backend.put("a/1", b"1")
    acts = [
        lambda: backend.put("a/1", b"2"),
        lambda: backend.get("a/1") == b"2",
        lambda: backend.stat("a/1").size == 1,
        lambda: backend.touch("a/1"),
        lambda: [found.key for found in backend.walk("a/")] == ["a/1"],
        lambda: "a" in backend.folders(""),
        lambda: backend.delete("a/1"),
    ]
    for number, act in enumerate(acts):
        proxy.lose = 1
        assert act() in {None, True}, f"act {number}"
        assert proxy.lose == 0
    assert backend.get("a/1") is None


class Scripted:
    """A drive in memory whose requests fail as a script says: before they take place, or after."""

    means = "script"
    remedies = {Trouble.BUSY: "Wait."}  # noqa: RUF012 - read only

    def __init__(self, script):
        self.values = {}
        self.script = list(script)
        self.requests = 0

    def _do(self, act):
        self.requests += 1
        fault = self.script.pop(0) if self.script else None
        if fault is None:
            return act()
        trouble, applied = fault
        if applied:
            act()
        raise Refusal(trouble)

    def read(self, key, begin=0, end=None):
        return self._do(lambda: self._at(key)[begin:end])

    def write(self, key, data):
        return self._do(lambda: self.values.update({key: data}))

    def write_new(self, key, data):
        def new():
            if key in self.values:
                raise Refusal(Trouble.TAKEN)
            self.values[key] = data

        return self._do(new)

    def remove(self, key):
        return self._do(lambda: self.values.pop(key, None))

    def look(self, key):
        return self._do(lambda: Found(key, len(self._at(key)), 0.0))

    def refresh(self, key):
        return self._do(lambda: self._at(key))

    def page(self, prefix, token, *, deep):
        return self._do(lambda: Page([Found(key, len(value), 0.0) for key, value in self.values.items()], [], None))

    def clock(self):
        return self._do(lambda: 1e9)

    def judge(self, error):
        return error.trouble if isinstance(error, Refusal) else Trouble.OTHER

    def close(self):
        pass

    def _at(self, key):
        if key not in self.values:
            raise Refusal(Trouble.ABSENT)
        return self.values[key]


class Refusal(Exception):
    def __init__(self, trouble):
        super().__init__("refused by script at https://host/x?sig=hunter2")
        self.trouble = trouble


passing = st.tuples(st.sampled_from(sorted(PASSING, key=lambda trouble: trouble.name)), st.booleans())


@given(st.lists(st.none() | passing, max_size=8))
def test_a_creation_is_true_exactly_if_the_value_is_ours(script):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "pause", lambda failures, elapsed, fraction: 0.0)
        drive = Scripted(script)
        backend = RemoteBackend("test://x", lambda: drive, "script")
        assert backend.create("k", b"ours")
        assert drive.values == {"k": b"ours"}
        drive.script = list(script)
        assert not backend.create("k", b"theirs")
        assert drive.values == {"k": b"ours"}


def test_a_trouble_that_does_not_pass_ends_the_attempts_and_says_what_is_in_doubt(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    drive = Scripted([(Trouble.BUSY, False)] * 100)
    backend = RemoteBackend("test://x", lambda: drive, "script")
    with pytest.raises(StoreError, match=r"Cannot write 'k' in the store test://x.*6 times over.*not known\. Wait\."):
        backend.put("k", b"")
    assert drive.requests == retry.ATTEMPTS


def test_a_trouble_that_stays_is_not_tried_again_and_keeps_signatures_to_itself():
    drive = Scripted([(Trouble.DENIED, False)])
    backend = RemoteBackend("test://x", lambda: drive, "script")
    with pytest.raises(ReadOnlyStore, match="no permission") as caught:
        backend.put("k", b"")
    assert drive.requests == 1
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("broken", ["ignores the condition", "does not know the condition"])
def test_a_place_that_fails_the_probe_is_for_a_single_writer(broken):
    drive = Scripted([])
    if broken == "ignores the condition":
        drive.write_new = drive.write
    else:
        drive.script = [(Trouble.UNSUPPORTED, False)] * 2
    backend = RemoteBackend("test://x", lambda: drive, "script")
    assert backend.capabilities() == {"create": SINGLE_WRITER}
    assert backend.single_writer
    assert drive.values == {}
    other = RemoteBackend("test://x", lambda: drive, "script")
    other.choose({"create": SINGLE_WRITER})
    assert other.create("k", b"1")
    assert not other.create("k", b"2")
    assert drive.values == {"k": b"1"}


def test_the_clock_is_asked_once_until_this_machine_s_clock_steps(monkeypatch):
    drive = Scripted([])
    backend = RemoteBackend("test://x", lambda: drive, "script")
    assert all(abs(backend.now() - 1e9) < 10 for _ in range(5))
    assert drive.requests == 1
    import time

    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 86_400)
    assert abs(backend.now() - 1e9) < 10
    assert drive.requests == 2


# What errors say


def s3_error(code):
    return {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()


def gcs_error(message):
    return {"Content-Type": "application/json"}, json.dumps({"error": {"message": message}}).encode()


def azure_error(code, message="m"):
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return {"Content-Type": "application/xml", "x-ms-error-code": code}, xml.encode()


REFUSALS = [
    ("s3", 404, s3_error("NoSuchBucket"), "no such bucket.*Create the bucket"),
    ("s3", 403, s3_error("InvalidAccessKeyId"), "does not accept them.*AWS_ACCESS_KEY_ID"),
    ("s3", 403, s3_error("SignatureDoesNotMatch"), "does not accept them"),
    ("s3", 400, s3_error("ExpiredToken"), "have expired.*aws sso login"),
    ("s3", 403, s3_error("AccessDenied"), "no permission.*s3:PutObject"),
    ("s3", 503, s3_error("SlowDown"), "did not answer.*3 times over"),
    ("s3", 500, s3_error("InternalError"), "did not answer.*3 times over"),
    ("s3", 501, s3_error("NotImplemented"), "cannot do that"),
    ("gcs", 404, gcs_error("The specified bucket does not exist."), "no such bucket.*Create the bucket"),
    ("gcs", 401, gcs_error("Invalid Credentials"), "does not accept them.*gcloud auth"),
    ("gcs", 403, gcs_error("no storage.objects.get access"), r"no permission.*storage\.objectUser"),
    ("gcs", 429, gcs_error("rate"), "did not answer.*3 times over"),
    ("gcs", 503, ({}, b"no json"), "did not answer.*3 times over.*503 no json"),
    ("azure", 404, azure_error("ContainerNotFound"), "no such bucket, container.*Create the container"),
    ("azure", 403, azure_error("AuthenticationFailed"), "does not accept them.*AZURE_STORAGE_CONNECTION_STRING"),
    (
        "azure",
        403,
        azure_error("AuthenticationFailed", "Signature not valid in the specified time frame"),
        "have expired.*Renew",
    ),
    ("azure", 403, azure_error("AuthorizationPermissionMismatch"), "no permission.*Storage Blob Data Contributor"),
    ("azure", 503, azure_error("ServerBusy"), "did not answer.*3 times over"),
]


def point(monkeypatch, provider, endpoint):
    """Lead a provider to another endpoint, with credentials that nobody checks, and give an address."""
    if provider == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        return "s3://bucket/x"
    if provider == "gcs":
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
        return "gs://bucket/x"
    signed = f"BlobEndpoint={endpoint}/account;SharedAccessSignature=sv=2024&sig=hunter2"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", signed)
    return "az://bucket/x"


@pytest.mark.parametrize(("provider", "status", "answer", "message"), REFUSALS)
@pytest.mark.usefixtures("no_pause")
def test_a_refusal_is_told_with_its_reason_and_remedy(monkeypatch, provider, status, answer, message):
    with servers.refusing(status, *answer) as (endpoint, asked):
        backend = backend_for(point(monkeypatch, provider, endpoint))
        with pytest.raises(StoreError, match=message) as caught:
            backend.get("k")
        assert "Cannot read 'k' in the store " + backend.url in str(caught.value)
        reads = len(asked)
        with pytest.raises(StoreError, match=message) as caught:
            backend.put("k", b"1")
    assert reads == (3 if "times over" in message else 1)  # nothing below tries again on its own
    assert isinstance(caught.value, ReadOnlyStore) == ("no permission" in message)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("provider", BY_HTTP)
@pytest.mark.usefixtures("no_pause")
def test_an_endpoint_that_is_away_is_told(monkeypatch, provider):
    url = point(monkeypatch, provider, f"http://127.0.0.1:{servers.free_port()}")
    with pytest.raises(StoreError, match=r"cannot be reached, 3 times over.*Check the network") as caught:
        backend_for(url).get("k")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("provider", BY_HTTP)
def test_a_bucket_that_does_not_exist_is_told_by_the_real_server(request, provider):
    url = request.getfixturevalue(provider).replace("://bucket", "://no-such-bucket")
    backend = backend_for(url)
    for act in (lambda: backend.get("k"), lambda: backend.put("k", b""), lambda: list(backend.walk(""))):
        with pytest.raises(StoreError, match="no such bucket"):
            act()


def test_missing_credentials_of_s3_are_told(s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match=r"no credentials.*Set AWS_ACCESS_KEY_ID"):
        backend_for(s3).get("k")


def test_an_unknown_profile_of_s3_is_told(s3, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreError, match=r"no credentials.*nobody.*AWS_PROFILE"):
        backend_for(s3).get("k")


def test_missing_credentials_of_gcs_are_told(monkeypatch):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(StoreError, match=r"no credentials.*gcloud auth application-default login"):
        backend_for("gs://bucket/x").get("k")


def test_a_missing_account_of_azure_is_told():
    with pytest.raises(StoreError, match=r"no credentials.*names a storage account.*AZURE_STORAGE_ACCOUNT_NAME"):
        backend_for("az://bucket/x").get("k")


def test_a_server_that_is_not_known_is_refused(sftp, server_home, monkeypatch, tmp_path):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    config = (server_home / ".ssh" / "config").read_text()
    (home / ".ssh" / "config").write_text(config.replace(f"{server_home}/.ssh/known_hosts", "/nowhere"))
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(StoreError, match=r"could not prove who it is.*Connect once with `ssh`"):
        backend_for(sftp).get("k")


def test_a_key_that_the_server_does_not_know_is_told(sftp, server_home, monkeypatch, tmp_path):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    config = (server_home / ".ssh" / "config").read_text()
    (home / ".ssh" / "config").write_text(config.replace(f"{server_home}/.ssh/user", f"{server_home}/.ssh/host"))
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(StoreError, match=r"does not accept them.*IdentityFile"):
        backend_for(sftp).get("k")


@pytest.mark.usefixtures("no_pause")
def test_a_port_where_nobody_listens_is_told():
    with pytest.raises(StoreError, match=r"cannot be reached, 3 times over"):
        backend_for(f"sftp://127.0.0.1:{servers.free_port()}/x").get("k")


# Large values


def test_a_large_object_of_s3_is_put_in_parts_and_only_once(s3):
    from mlops_kit.store.s3 import S3Drive

    root = f"{urlsplit(s3).path[1:]}/"
    size = 5 << 20  # the smallest part that S3 takes
    value = os.urandom(2 * size + 7)
    backend = RemoteBackend(s3, lambda: S3Drive("bucket", root, one_put=size, one_copy=size), "if-none-match")
    assert backend.create("big", value)
    assert backend.get("big") == value
    assert not backend.create("big", value[:-1] + b"!")
    assert backend.get("big") == value
    backend.touch("big")
    assert backend.get("big") == value
    backend.put("big", value[::-1])
    assert backend.get("big") == value[::-1]


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_listing_of_many_pages_is_complete(url, monkeypatch):
    if url.startswith("az"):
        monkeypatch.setattr("mlops_kit.store.azure._PAGE", 7)
    backend = backend_for(url)
    keys = [f"d/{number:03d}/v" for number in range(23)]
    for key in keys:
        backend.put(key, b"")
    assert [found.key for found in backend.walk("d/")] == keys
    assert backend.folders("d/") == [key.split("/")[1] for key in keys]


# The library on it


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_the_doctor_finds_what_each_place_promises_and_leaves_nothing(url):
    store = mk.Store(url)
    report = store.doctor()
    assert report.ok, report
    assert report.promises[0] == "Many writers at once may use this store."
    assert report.promises[1].startswith(
        "Pickles from here are not loaded, for who may write to it cannot be seen from here"
    )
    assert list(store.backend.walk("")) == []


@pytest.mark.parametrize("url", ["generic"], indirect=True)
def test_the_doctor_says_that_a_place_without_put_if_absent_is_for_one_writer(url):
    report = mk.Store(url).doctor()
    (race,) = [finding for finding in report.findings if finding.probe == "create race"]
    assert race.ok
    assert "one writer at a time" in race.message
    assert {finding.probe for finding in report.problems} <= {"whole values"}  # which this file system does not promise


@pytest.mark.parametrize("url", ["generic"], indirect=True)
def test_on_a_place_for_one_writer_a_promotion_that_relies_on_what_others_do_is_refused(url):
    models = mk.ModelStore(url)
    for version in ([1], [2]):
        models.register("m", version)
    assert models.promote("m:1").version == 1
    with pytest.raises(StoreError, match=r"has no put-if-absent.*expect= cannot be kept"):
        models.promote("m:2", expect=1)
    assert [entry.kind for entry in models.history("m")] == ["create", "register", "register", "promote"]
    assert models.promote("m:2").previous == 1
    assert models.rollback("m").version == 1


def test_a_folder_on_a_server_that_may_not_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "k").write_bytes(b"1")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with servers.needed(), servers.sshd(tmp_path / "home", options="-R"):
        backend = backend_for(f"sftp://store-server{tmp_path}/store")
        assert backend.get("k") == b"1"
        for act in (lambda: backend.put("k", b"2"), lambda: backend.create("j", b"2"), lambda: backend.delete("k")):
            with pytest.raises(ReadOnlyStore, match="no permission for it"):
                act()
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["k"]


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_pickled_store_is_its_address(url):
    store = mk.Store(url)
    store.ensure()
    other = pickle.loads(pickle.dumps(store))
    assert other.url == url
    assert other.describe() == store.describe()
    assert len(pickle.dumps(store)) < 300


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_model_is_trained_registered_promoted_and_loaded_elsewhere(url, monkeypatch, tmp_path):
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    store = mk.Store(url)
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "label": [0, 0, 1, 1]})

    @mk.track(register="fraud", store=store)
    def train(data):
        mk.log_metric("rows", len(data))
        return LogisticRegression().fit(data[["x"]], data["label"])

    model = train(frame)
    mk.Dataset.snapshot(frame, name="customers", store=store)
    mk.ModelStore(store).promote("fraud:1")
    report = store.fsck()
    assert report.ok, report.problems

    script = f"""
import mlops_kit as mk
models = mk.ModelStore({url!r})
print(models.load("fraud@champion").coef_.tolist(), mk.Dataset.load("customers@latest", store={url!r}).n_rows)
"""
    refused = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"MLOPS_KIT_TRUST='{url}'" in refused.stderr
    monkeypatch.setenv("MLOPS_KIT_TRUST", url.rpartition("/")[0])
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert loaded.stdout.strip() == f"{model.coef_.tolist()} 4", loaded.stderr
