"""Fixtures that give the address of an empty store on each real server."""

import secrets

import pytest
import servers
from fake_gcs import fake_gcs


@pytest.fixture(scope="session")
def _moto():
    with servers.moto() as url:
        yield url


@pytest.fixture(scope="session")
def _gcs():
    with fake_gcs() as url:
        yield url


@pytest.fixture(scope="session")
def _azurite():
    with servers.needed(), servers.azurite() as url:
        from azure.storage.blob import ContainerClient

        key = {"account_name": servers.AZURITE_ACCOUNT, "account_key": servers.AZURITE_KEY}
        with ContainerClient(url, "bucket", credential=key) as container:
            container.create_container()
        yield url


@pytest.fixture(scope="session")
def _sshd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sshd")
    with servers.needed(), servers.sshd(folder):
        yield folder


@pytest.fixture
def s3(_moto, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": _moto,
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{secrets.token_hex(4)}"


@pytest.fixture
def gcs(_gcs, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", _gcs)
    return f"gs://bucket/{secrets.token_hex(4)}"


@pytest.fixture
def azure(_azurite, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection(_azurite))
    return f"az://bucket/{secrets.token_hex(4)}"


def azure_connection(endpoint):
    account = f"AccountName={servers.AZURITE_ACCOUNT};AccountKey={servers.AZURITE_KEY}"
    return f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={endpoint};"


@pytest.fixture
def sftp(_sshd, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(_sshd))
    return f"sftp://store-server{tmp_path}/remote/store"


@pytest.fixture
def local(tmp_path):
    return f"{tmp_path}/local/store"


@pytest.fixture
def generic(tmp_path):
    return f"local://{tmp_path}/generic/store"


@pytest.fixture
def server_home(_sshd):
    return _sshd
