"""Secrets stay out of records; what only sounds like one stays in."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.records.codec import Repr
from mlops_kit.tracking.secrets import MASK, is_secret_name, masked, masked_text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "apiKey",
        "API_KEY",
        "aws-secret-access-key",
        "token",
        "HF_TOKEN",
        "authToken",
        "pwd",
        "clientSecret",
        "private_key",
        "credentials",
        "Authorization",
        "password2",
        "dbPasswd",
        "cookie",
    ],
)
def test_names_of_secrets_are_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer",
        "max_tokens",
        "pad_token",
        "eos_token",
        "key",
        "sort_key",
        "secretary",
        "authors",
        "n_tokens",
        "",
        "passwords_checked",
        "keyboard",
        "token_count",
        "ż",
        "1",
    ],
)
def test_names_that_only_sound_like_secrets_are_not(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://ann:hunter2@example.org/repo.git", "hunter2"),
        ("postgresql://u:p%40ss@db:5432/x", "p%40ss"),
        ("train.py --api-key=abc123xyz", "abc123xyz"),
        ("password: 'hunter2'", "hunter2"),
        ('{"db_password": "hunter2"}', "hunter2"),
        ("Config(user='ann', secret='hunter2')", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("key AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"),
        ("ghp_" + "a1" * 18, "a1a1a1"),
        ("hf_" + "Ab" * 17, "AbAb"),
        ("sk-proj-" + "a" * 40, "aaaa"),
        ("xoxb-123456789012-abcdef", "123456789012"),
        ("Authorization: Bearer abcdefghijk", "abcdefghijk"),
        ("https://x.org/f?sig=abc%3D&v=1", "abc%3D"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27u", "eyJzdWIiOiIxMjM0In0"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEow torn", "MIIEow"),
    ],
)
def test_secrets_in_text_are_masked(text, secret):
    assert secret not in masked_text(text)
    assert MASK in masked_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "tokenizer=bert-base-uncased",
        "https://example.org/a:b@c",
        "max_tokens=512",
        "key=value",
        "ask-me-anything-please",
        "the password is long",
        "10:30:00 token bucket",
        "n_secrets=3",
    ],
)
def test_other_text_stays_as_it_is(text):
    assert masked_text(text) == text


def test_secrets_are_masked_by_name_at_every_depth():
    value = {"db": {"user": "ann", "password": "hunter2"}, "urls": ["https://a:hunter2@x.org"], "n": (1, None)}
    assert "hunter2" not in str(masked("config", value))
    assert masked("config", value)["db"]["user"] == "ann"
    assert masked("token", {"a": 1}) == MASK
    assert masked("token", None) is None
    assert masked("use_token", True) is True


def test_the_text_of_an_object_is_masked_and_keeps_its_type():
    found = masked("config", Repr("app.Config", "Config(password='hunter2')"))
    assert (found, found.type_name) == (f"Config(password='{MASK}')", "app.Config")


@pytest.mark.parametrize(
    "text",
    [
        "a-" * 50_000,
        "eyJ-" * 25_000,
        "password " * 10_000,
        "://a:" * 20_000,
        "token = " * 9000,
        "x" * 10**8,
        "'" * 9999,
    ],
)
def test_masking_takes_time_in_proportion_to_the_text(text):
    started = time.perf_counter()
    masked_text(text)
    assert time.perf_counter() - started < 2.0


@given(st.text(), st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.tuples(inner)))
def test_masking_twice_is_masking_once(name, value):
    once = masked(name, value)
    assert masked(name, once) == once
