import sys

import pytest

from mlops_kit.errors import InvalidInput, StoreError
from mlops_kit.store.locate import backend_for


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("s3://bucket/a//b/", "s3://bucket/a/b"),
        ("s3://bucket", "s3://bucket"),
        ("gs://bucket/", "gs://bucket"),
        ("gcs://bucket/x", "gcs://bucket/x"),
        ("az://container/x", "az://container/x"),
        (
            "abfss://container@account.dfs.core.windows.net/x/",
            "abfss://container@account.dfs.core.windows.net/x",
        ),
        ("sftp://me@host:2222/srv/mlops/", "sftp://me@host:2222/srv/mlops"),
    ],
)
def test_one_store_has_one_address(url, clean):
    assert backend_for(url).url == clean


@pytest.mark.parametrize("url", ["sftp://me:hunter2@host/x", "s3://id:hunter2@bucket", "ftp://me:hunter2@host/x"])
def test_a_password_in_an_address_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidInput, match="holds a password") as caught:
        backend_for(url)
    assert "hunter2" not in str(caught.value)


def test_a_query_in_an_address_is_refused():
    with pytest.raises(InvalidInput, match="holds a query") as caught:
        backend_for("az://container/x?sig=hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://", "gs:///x", "sftp://"])
def test_an_address_without_a_place_is_refused(url):
    with pytest.raises(InvalidInput, match="names no bucket"):
        backend_for(url)


def test_a_port_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="not the address of a store"):
        backend_for("sftp://host:port/x")


def test_an_unknown_scheme_lists_what_there_is():
    with pytest.raises(InvalidInput, match=r"unknown scheme 'carrier'.*s3://.*sftp://"):
        backend_for("carrier://pigeon")


@pytest.mark.parametrize(
    ("url", "library", "extra"),
    [
        ("s3://bucket", "botocore", "s3"),
        ("gs://bucket", "google.auth", "gcs"),
        ("az://container", "azure.storage.blob", "azure"),
        ("sftp://host/x", "paramiko", "sftp"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, url, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(StoreError, match=rf"pip install 'mlops-kit\[{extra}\]'"):
        backend_for(url)


def test_opening_an_address_imports_no_library_of_a_provider():
    import subprocess

    script = (
        "import sys; from mlops_kit.store.locate import backend_for\n"
        "for url in ('s3://b', 'gs://b', 'az://b', 'sftp://h/x'): backend_for(url)\n"
        "print([name for name in ('botocore', 'requests', 'azure.core', 'paramiko', 'fsspec') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
