"""Alerts arrive: in a log, in a function, at a real HTTP server; and a sink that fails holds up nobody."""

import http.server
import json
import logging
import threading
from datetime import UTC, datetime

import pytest

from mlops_kit.errors import InvalidInput
from mlops_kit.monitoring import sinks
from mlops_kit.monitoring.sinks import SIGNATURE_HEADER, TIME_HEADER, Webhook, deliver, signature, sink_of
from mlops_kit.records.alert import Alert

AT = datetime(2026, 5, 1, tzinfo=UTC)


def alert(**members):
    told = {
        **dict(kind="drift", subject="amount", state="firing", since=AT, evidence=2.0, effect=0.1),
        **dict(message="shifted", severity="alert", monitor="fraud", fingerprint="00", changed=AT),
    }
    return Alert(**{**told, **members})


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers with the next of the prepared statuses, and keeps what was posted."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, self.headers, body))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as made:
        made.posted, made.statuses = [], []
        made.url = f"http://127.0.0.1:{made.server_port}/hook"
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_webhook_receives_alerts_as_json_signed_with_the_key(server):
    Webhook(server.url, key="secret")([alert(message="verschoben – ü")])
    [(path, headers, body)] = server.posted
    assert path == "/hook"
    assert json.loads(body)["alerts"][0]["message"] == "verschoben – ü"
    assert headers[SIGNATURE_HEADER] == signature("secret", headers[TIME_HEADER], body)
    assert headers[SIGNATURE_HEADER] != signature("other", headers[TIME_HEADER], body)


def test_the_key_may_stand_in_the_environment_and_without_one_nothing_is_signed(server, monkeypatch):
    sink_of(server.url).deliver([alert()])
    monkeypatch.setenv("MLOPS_KIT_WEBHOOK_KEY", "k")
    sink_of(server.url).deliver([alert()])
    assert [SIGNATURE_HEADER in headers for _, headers, _ in server.posted] == [False, True]


@pytest.mark.parametrize("statuses", [[503], [500, 429], [502, 504]])
def test_a_failure_that_may_pass_is_tried_again(server, statuses):
    server.statuses += statuses
    Webhook(server.url, pause=0)([alert()])
    assert len(server.posted) == len(statuses) + 1


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (404, 1), (302, 1)])
def test_a_failure_that_stays_is_told_without_the_address(server, status, tries):
    server.statuses += [status] * 5
    with pytest.raises(OSError, match=f"127.0.0.1 did not take the alerts: HTTP {status}") as failure:
        Webhook(server.url + "?token=secret", pause=0)([alert()])
    assert "secret" not in str(failure.value)
    assert len(server.posted) == tries


def test_a_server_that_is_not_there_is_a_failure():
    with pytest.raises(OSError, match="did not take the alerts"):
        Webhook("http://127.0.0.1:9/", pause=0)([alert()])


def test_a_log_receives_what_fires_as_errors_and_the_rest_as_information(caplog):
    caplog.set_level(logging.INFO)
    sink_of("log").deliver([alert(), alert(severity="warning"), alert(state="resolved")])
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "INFO"]
    assert caplog.records[0].getMessage() == "fraud: drift of amount is firing: shifted"
    assert caplog.records[0].alert["subject"] == "amount"


def test_a_sink_that_fails_or_hangs_keeps_no_other_from_its_alerts(monkeypatch, caplog):
    monkeypatch.setattr(sinks, "_PATIENCE", 0.3)
    hang = threading.Event()
    received = []

    def broken(alerts):
        raise RuntimeError("told")

    def hanging(alerts):
        hang.wait(10)

    def leaving(alerts):
        raise SystemExit("left")

    failed = deliver((sink_of(one), [alert()]) for one in (broken, hanging, leaving, received.extend))
    hang.set()
    assert received == [alert()]
    said = ["RuntimeError: told", "SystemExit: left", "no answer within 0.3 seconds"]
    assert sorted(reason for reason in failed.values()) == said
    assert "alerts did not reach" in caplog.text


@pytest.mark.parametrize("given", [None, 5, "file:///etc/passwd", "nowhere", "ftp://x/y"])
def test_what_is_no_place_for_alerts_is_refused(given):
    with pytest.raises(InvalidInput, match="no place for alerts"):
        sink_of(given)


def test_an_address_without_a_host_is_refused():
    with pytest.raises(InvalidInput, match="names a host"):
        Webhook("http://")
