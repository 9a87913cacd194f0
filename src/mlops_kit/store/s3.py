"""Amazon S3 and what speaks its language, by botocore; put-if-absent is ``If-None-Match: *``."""

from __future__ import annotations

import contextlib
import functools
from typing import Any, ClassVar

import botocore.session
from botocore import exceptions as failures
from botocore.config import Config
from botocore.parsers import ResponseParserError

from mlops_kit.store.backend import Found
from mlops_kit.store.drive import Page, Trouble, by_status, http_time
from mlops_kit.store.patience import answer_seconds, connect_seconds

_ONE_PUT = 64 << 20
_ONE_COPY = 5 << 30
_MOST_PARTS = 10_000
_UNLESS_THERE = {"IfNoneMatch": "*"}
_CODES = {
    "NoSuchBucket": Trouble.NO_PLACE,
    "InvalidBucketName": Trouble.NO_PLACE,
    "NoSuchUpload": Trouble.BUSY,  # completed already, or swept: the next attempt begins a new upload
    "RequestTimeout": Trouble.BUSY,
    "SlowDown": Trouble.BUSY,
    "InternalError": Trouble.BUSY,
    "InvalidAccessKeyId": Trouble.CREDENTIALS,
    "SignatureDoesNotMatch": Trouble.CREDENTIALS,
    "ExpiredToken": Trouble.EXPIRED,
    "TokenRefreshRequired": Trouble.EXPIRED,
    "InvalidToken": Trouble.EXPIRED,
    "NotImplemented": Trouble.UNSUPPORTED,
}
_ERRORS: dict[type[Exception], Trouble] = {
    failures.NoCredentialsError: Trouble.CREDENTIALS,
    failures.PartialCredentialsError: Trouble.CREDENTIALS,
    failures.CredentialRetrievalError: Trouble.CREDENTIALS,
    failures.ProfileNotFound: Trouble.CREDENTIALS,
    failures.UnauthorizedSSOTokenError: Trouble.EXPIRED,
    failures.TokenRetrievalError: Trouble.EXPIRED,
    failures.SSOTokenLoadError: Trouble.EXPIRED,
    failures.ParamValidationError: Trouble.NO_PLACE,
    failures.EndpointConnectionError: Trouble.UNREACHABLE,
    failures.ConnectTimeoutError: Trouble.UNREACHABLE,
    failures.ProxyConnectionError: Trouble.UNREACHABLE,
    failures.HTTPClientError: Trouble.BUSY,
    failures.ConnectionError: Trouble.BUSY,
    failures.IncompleteReadError: Trouble.BUSY,
    ResponseParserError: Trouble.BUSY,
}


class S3Drive:
    """Objects below a prefix of a bucket.

    Credentials, region and endpoint come from where the AWS tools take them: ``AWS_*`` variables (among them
    ``AWS_ENDPOINT_URL``), profiles, roles.

    Parameters
    ----------
    bucket : str
        Its name.
    root : str
        Empty, or a prefix that ends with ``/``.
    one_put, one_copy : int
        Sizes in bytes up to which one request does; beyond, it takes several.
    """

    means: ClassVar[str] = "if-none-match"
    remedies: ClassVar[dict[Trouble, str]] = {
        Trouble.NO_PLACE: "Create the bucket, or correct the address.",
        Trouble.CREDENTIALS: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
        "`aws sts get-caller-identity` shows who you are.",
        Trouble.EXPIRED: "Renew them: `aws sso login`, or new temporary keys.",
        Trouble.DENIED: "A store needs s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket; "
        "without the last, what is absent looks forbidden.",
        Trouble.UNREACHABLE: "Check the network, the region and AWS_ENDPOINT_URL.",
        Trouble.BUSY: "Try again later.",
    }

    def __init__(self, bucket: str, root: str, *, one_put: int = _ONE_PUT, one_copy: int = _ONE_COPY) -> None:
        self._bucket = bucket
        self._root = root
        self._one_put = one_put
        self._one_copy = one_copy

    def read(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Read a value, or a part of it."""
        part = {} if end is None else {"Range": f"bytes={begin}-{end - 1}"}
        try:
            return bytes(self._client.get_object(**self._at(key), **part)["Body"].read())
        except failures.ClientError as error:
            if error.response["Error"]["Code"] != "InvalidRange":
                raise
            return b""  # it is not longer

    def write(self, key: str, data: bytes) -> None:
        """Write a value over what is there."""
        self._put(key, data, {})

    def write_new(self, key: str, data: bytes) -> None:
        """Write a value unless there is one."""
        self._put(key, data, _UNLESS_THERE)

    def remove(self, key: str) -> None:
        """Remove a value."""
        self._client.delete_object(**self._at(key))

    def look(self, key: str) -> Found:
        """Tell size and time of a value."""
        head = self._client.head_object(**self._at(key))
        return Found(key, head["ContentLength"], head["LastModified"].timestamp())

    def refresh(self, key: str) -> None:
        """Copy a value onto itself, which gives it a new time."""
        size, source = self.look(key).size, self._at(key)
        if size <= self._one_copy:
            self._client.copy_object(**source, CopySource=source, MetadataDirective="REPLACE")
            return

        def copy(begin: int, end: int, **part: Any) -> str:
            copied = self._client.upload_part_copy(
                CopySource=source, CopySourceRange=f"bytes={begin}-{end - 1}", **part
            )
            return str(copied["CopyPartResult"]["ETag"])

        self._in_parts(key, size, self._one_copy, copy, {})

    def page(self, prefix: str, token: str | None, *, deep: bool) -> Page:
        """List a thousand objects, or folders."""
        start = self._root + prefix
        arguments = {"Bucket": self._bucket, "Prefix": start}
        if not deep:
            arguments["Delimiter"] = "/"
        if token is not None:
            arguments["ContinuationToken"] = token
        answer = self._client.list_objects_v2(**arguments)
        if "IsTruncated" not in answer:  # an answer without a body lists nothing, and is no list
            raise failures.IncompleteReadError(actual_bytes=0, expected_bytes=1)
        found = [
            Found(one["Key"].removeprefix(self._root), one["Size"], one["LastModified"].timestamp())
            for one in answer.get("Contents", ())
            if not one["Key"].endswith("/")  # the console's marks of empty folders
        ]
        folders = [one["Prefix"].removeprefix(start).rstrip("/") for one in answer.get("CommonPrefixes", ())]
        return Page(found, folders, answer.get("NextContinuationToken"))

    def clock(self) -> float:
        """Read the time of an answer, whatever else it says."""
        try:
            answer = self._client.head_object(**self._at("store.json"))
        except failures.ClientError as error:
            answer = error.response
            if "date" not in answer["ResponseMetadata"]["HTTPHeaders"]:
                raise
        return http_time(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def judge(self, error: Exception) -> Trouble:
        """Tell what an exception of botocore means."""
        if isinstance(error, failures.ClientError):
            code = _CODES.get(error.response["Error"]["Code"])
            return code or by_status(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return next((trouble for kind, trouble in _ERRORS.items() if isinstance(error, kind)), Trouble.OTHER)

    def close(self) -> None:
        """Close the pooled connections."""
        if "_client" in self.__dict__:
            self._client.close()

    @functools.cached_property
    def _client(self) -> Any:
        session = botocore.session.get_session()
        client = session.create_client(
            "s3",
            region_name=session.get_config_variable("region") or "us-east-1",
            config=Config(
                connect_timeout=connect_seconds(),
                read_timeout=answer_seconds(),
                retries={"total_max_attempts": 1},
                max_pool_connections=32,
                user_agent_extra="mlops-kit",
            ),
        )
        client.meta.events.register("before-parse.s3", _refuse_if_cut)
        return client

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._root + key}

    def _put(self, key: str, data: bytes, condition: dict[str, str]) -> None:
        if len(data) <= self._one_put:
            self._client.put_object(**self._at(key), Body=data, **condition)
            return

        def upload(begin: int, end: int, **part: Any) -> str:
            return str(self._client.upload_part(Body=data[begin:end], **part)["ETag"])

        self._in_parts(key, len(data), self._one_put, upload, condition)

    def _in_parts(self, key: str, size: int, step: int, send: Any, condition: dict[str, str]) -> None:
        """Compose an object of parts; the condition is decided when they are joined."""
        step = max(step, -(-size // _MOST_PARTS))
        upload = {**self._at(key), "UploadId": self._client.create_multipart_upload(**self._at(key))["UploadId"]}
        try:
            parts = [
                {"PartNumber": number, "ETag": send(begin, min(begin + step, size), PartNumber=number, **upload)}
                for number, begin in enumerate(range(0, size, step), start=1)
            ]
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
        except Exception:
            with contextlib.suppress(failures.ClientError, failures.BotoCoreError):
                self._client.abort_multipart_upload(**upload)  # parts cost money until the bucket's rules sweep them
            raise


def _refuse_if_cut(operation_model: Any, response_dict: dict[str, Any], **_others: Any) -> None:
    """Take an answer for failed, whatever its status, if a part of its body is missing; botocore looks at streams."""
    body, length = response_dict["body"], response_dict["headers"].get("content-length")
    if not isinstance(body, bytes) or length is None or operation_model.http["method"] == "HEAD":
        return
    if len(body) != int(length):
        raise failures.IncompleteReadError(actual_bytes=len(body), expected_bytes=int(length))
