"""Where alerts go: a log, a function, a webhook. A sink that fails loses nothing: it is asked again."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from mlops_kit.errors import InvalidInput
from mlops_kit.records.alert import Alert
from mlops_kit.safe_text import clean

Deliver: TypeAlias = Callable[[Sequence[Alert]], object]
SinkLike: TypeAlias = "str | logging.Logger | Deliver"

KEY_VARIABLE = "MLOPS_KIT_WEBHOOK_KEY"
SIGNATURE_HEADER = "X-Mlops-Kit-Signature"
TIME_HEADER = "X-Mlops-Kit-Time"
_TRIES = 3
_PATIENCE = 30.0
_OWN = "mlops_kit.monitoring"


@dataclass(frozen=True, slots=True)
class Sink:
    """A place that alerts go to.

    Parameters
    ----------
    name : str
        By which it is known that an alert was delivered there; it holds no secret.
    deliver : callable
        Takes the alerts of one look, grouped; raises if they did not arrive.
    """

    name: str
    deliver: Deliver


def sink_of(given: object) -> Sink:
    """Make a sink of what a user passed.

    Parameters
    ----------
    given : str, Logger or callable
        ``"log"``, a logger, a function of a list of alerts, or the ``http://`` or ``https://`` address of a webhook.

    Returns
    -------
    Sink
        The sink.

    Raises
    ------
    InvalidInput
        It is none of these.

    Examples
    --------
    >>> sink_of("log").name, sink_of("https://example.org/hook?token=secret").name
    ('log mlops_kit.monitoring', 'webhook example.org bba17574')
    """
    if isinstance(given, Sink):
        return given
    if given == "log":
        given = logging.getLogger(_OWN)
    if isinstance(given, logging.Logger):
        logger = given
        return Sink(f"log {logger.name}", lambda alerts: write_log(logger, alerts))
    if isinstance(given, str) and urllib.parse.urlsplit(given).scheme in {"http", "https"}:
        given = Webhook(given)
    if isinstance(given, Webhook):
        return Sink(given.name, given)
    if callable(given):
        name = f"{getattr(given, '__module__', '')}.{getattr(given, '__qualname__', type(given).__qualname__)}"
        return Sink(f"call {name}", given)
    raise InvalidInput(
        f"{given!r} is no place for alerts: pass 'log', a logging.Logger, a function that takes a list of alerts, or "
        "the address of a webhook."
    )


def sinks_of(given: object) -> list[Sink]:
    """Make sinks of one, or of several; two of one name, such as two lambdas, get names of their own.

    Examples
    --------
    >>> [sink.name for sink in sinks_of([[].extend, [].extend])]
    ['call None.list.extend', 'call None.list.extend 2']
    """
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    made: list[Sink] = []
    for sink in map(sink_of, several):
        alike = sum(sink_of(one).name == sink.name for one in several[: len(made)])
        made.append(replace(sink, name=f"{sink.name} {alike + 1}") if alike else sink)
    return made


def write_log(logger: logging.Logger, alerts: Iterable[Alert]) -> None:
    """Write alerts to a log: what fires as an error or a warning, the rest as information."""
    for alert in alerts:
        level = logging.INFO if alert.state != "firing" else _LEVELS[alert.severity]
        logger.log(level, "%s: %s of %s is %s: %s", *_told(alert), extra={"alert": alert.to_dict()})


_LEVELS = {"alert": logging.ERROR, "warning": logging.WARNING}


def _told(alert: Alert) -> tuple[str, ...]:
    return alert.monitor, alert.kind, clean(alert.subject), alert.state, clean(alert.message)


class Webhook:
    """An address that alerts are posted to as JSON.

    The body is ``{"monitor": …, "alerts": […]}``. With a key, the header ``X-Mlops-Kit-Signature`` is ``sha256=``
    and the HMAC-SHA256 in hex of the header ``X-Mlops-Kit-Time``, a full stop, and the body: a receiver who checks
    both knows who sent it, and when. Failures that may pass are tried again, three times in all.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``. Redirections are not followed.
    key : str, optional
        The key of the signature; by default the environment variable ``MLOPS_KIT_WEBHOOK_KEY``.
    timeout : float
        Seconds for each try.
    pause : float
        Seconds before the second try; twice as long before the third.

    Examples
    --------
    >>> Webhook("https://example.org/hook?token=secret")
    Webhook(example.org)
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 5.0, pause: float = 0.5) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidInput("The address of a webhook begins with http:// or https:// and names a host.")
        self._url, self._host, self._key = url, parts.hostname, key
        self._timeout, self._pause = timeout, pause

    @property
    def name(self) -> str:
        """The host, and which of its addresses it is, without telling it."""
        return f"webhook {self._host} {hashlib.sha256(self._url.encode()).hexdigest()[:8]}"

    def __call__(self, alerts: Sequence[Alert]) -> None:
        """Post alerts.

        Parameters
        ----------
        alerts : sequence of Alert
            At least one.

        Raises
        ------
        OSError
            They did not arrive.
        """
        body = json.dumps(
            {"monitor": alerts[0].monitor, "alerts": [alert.to_dict() for alert in alerts]}, ensure_ascii=False
        ).encode("utf-8", "backslashreplace")
        for attempt in range(1, _TRIES + 1):
            try:
                self._post(body)
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                if attempt == _TRIES or not _may_pass(error):
                    raise OSError(f"The webhook at {self._host} did not take the alerts: {_reason(error)}.") from None
                time.sleep(self._pause * attempt)
            else:
                return

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "mlops-kit"}
        key = self._key or os.environ.get(KEY_VARIABLE)
        if key:
            moment = str(int(time.time()))
            headers |= {TIME_HEADER: moment, SIGNATURE_HEADER: signature(key, moment, body)}
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310 - http or https, by the constructor
        with _OPENER.open(request, timeout=self._timeout) as answer:
            answer.read(1)

    def __repr__(self) -> str:
        return f"Webhook({self._host})"


def signature(key: str, moment: str, body: bytes) -> str:
    """Sign a body, so that a receiver can tell who sent it, and when.

    Examples
    --------
    >>> signature("key", "1767225600", b"{}")[:20]
    'sha256=df344de429b8e'
    """
    made = hmac.new(key.encode(), moment.encode() + b"." + body, hashlib.sha256)
    return f"sha256={made.hexdigest()}"


def deliver(due: Iterable[tuple[Sink, Sequence[Alert]]]) -> dict[str, str]:
    """Bring every sink its alerts, each in a thread of its own, so that none holds up another.

    Parameters
    ----------
    due : iterable of (Sink, sequence of Alert)
        Where to, and what.

    Returns
    -------
    dict of str to str
        For each sink that failed, by name, why. A sink that takes more than 30 seconds counts as failed.
    """
    failed: dict[str, str] = {}
    began = []
    for sink, alerts in due:
        problem = [f"no answer within {_PATIENCE:g} seconds"]
        thread = threading.Thread(target=_attempt, args=(sink, alerts, problem), daemon=True)
        thread.start()
        began.append((sink, alerts, problem, thread))
    deadline = time.monotonic() + _PATIENCE
    for sink, alerts, problem, thread in began:
        thread.join(max(0.0, deadline - time.monotonic()))
        if problem:
            failed[sink.name] = problem[0]
            logging.getLogger(_OWN).warning(
                "%s: alerts did not reach %s: %s", alerts[0].monitor, *(sink.name, problem[0])
            )
    return failed


def _attempt(sink: Sink, alerts: Sequence[Alert], problem: list[str]) -> None:
    try:
        sink.deliver(list(alerts))
    except BaseException as error:  # noqa: BLE001 - a user's function may raise anything, and others wait for their alerts
        problem[:] = [f"{type(error).__name__}: {error}"]
    else:
        problem.clear()


def _may_pass(error: Exception) -> bool:
    """Tell whether another try could succeed: no answer, too many requests, or the server's own trouble."""
    if not isinstance(error, urllib.error.HTTPError):
        return True
    return error.code in {408, 425, 429} or error.code >= 500  # noqa: PLR2004 - HTTP's own numbers


def _reason(error: Exception) -> str:
    return f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else f"{type(error).__name__}: {error}"


def _opener() -> urllib.request.OpenerDirector:
    """Make an opener that takes a redirection for a failure: a signed body goes only where it was sent."""
    made = urllib.request.OpenerDirector()
    for handler in (
        *(urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler),
        *(urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor),
    ):
        made.add_handler(handler())
    return made


_OPENER = _opener()
