"""Stores on real servers: the contract of every backend, races, lost answers, and what errors say."""

import pytest

from mlops_kit.store.locate import backend_for
from mlops_kit.testing import BackendContract


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
