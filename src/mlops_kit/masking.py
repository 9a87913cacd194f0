"""Secrets in text and by name: what looks like one never reaches a record, a message or a diff."""

from __future__ import annotations

import functools
import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

MASK = "********"

_SECRET_ENDINGS = frozenset(
    {"apikey", "auth", "authorization", "bearer", "cookie", "cred", "credential", "cvc", "cvv", "jwt", "otp"}
    | {"passcode", "passphrase", "passwd", "password", "pat", "pin", "pw", "pwd", "sas", "secret", "token", "totp"}
    | {"webhook"}
)
_SECRET_WORDS = ("password", "passwd", "secret", "apikey", "licensekey", "privatekey", "accesskey", "secretkey")
_KEYS = frozenset(
    {"access", "account", "admin", "api", "auth", "client", "consumer", "decryption", "deploy", "encryption", "hmac"}
    | {"licence", "license", "master", "private", "secret", "service", "shared", "signing", "ssh", "storage"}
    | {"subscription", "webhook"}
)
_TOKENS = frozenset(
    {"access", "api", "auth", "bearer", "github", "gitlab", "hf", "oauth", "refresh", "session", "slack"}
)
_VOCABULARY = frozenset(
    {"bos", "boundary", "cls", "decoder", "end", "eod", "eos", "eot", "first", "forced", "image", "last", "mask"}
    | {"max", "min", "n", "new", "next", "num", "out", "pad", "padding", "per", "prev", "sep", "special", "start"}
    | {"stop", "unk", "unknown"}
)
_FILES = (
    *(".env", ".env.*", "*.env", ".envrc", ".secrets", "*.tfvars", "*.tfstate", "*.tfstate.backup"),
    *(f"{stem}.{ending}" for stem in ("secrets", "credentials") for ending in ("cfg", "ini", "json", "toml", "txt")),
    *(f"{stem}.{ending}" for stem in ("secrets", "credentials") for ending in ("yaml", "yml")),
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.kdbx", "*.gpg", "*.ovpn"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.age"),
    *(".netrc", "_netrc", ".pypirc", ".npmrc", ".pgpass", ".my.cnf", ".htpasswd", ".git-credentials", ".dockercfg"),
    *(".boto", ".s3cfg", ".vault-token", "rclone.conf", "kubeconfig", "kaggle.json", "wandb.netrc"),
    *("credentials", "*credentials*.json", "client_secret*.json", "service?account*.json"),
    *("token", "token.json", "token.txt", "*.token"),
)
_FOLDERS = frozenset({".ssh", ".gnupg", ".aws", ".kube", ".docker"})
_SHORTEST, _LONGEST, _MARGIN = 8, 100_000, 2000
_SEGMENT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PATTERNS = re.compile(
    r"""
      (?<=://)[^\s/?\#:@'"<>]{0,200}:(?!\d{1,5}(?:[/?\#]|$))[^\s'"<>]{0,300}(?=@)   # user:password@ in a URL
      # a token as the user; in ssh the user is a login name, and in Azure's addresses the container
    | (?<=://)(?<!ssh://)(?<!sftp://)(?<!abfs://)(?<!abfss://)(?<!wasb://)(?<!wasbs://)(?!git@)[^\s/?\#:@'"<>]{1,300}(?=@)
    | (?<=//hooks\.slack\.com/)[^\s'"<>]+                  # webhooks: who has the address may write
    | (?<=//discord\.com/api/webhooks/)[^\s'"<>]+ | (?<=//discordapp\.com/api/webhooks/)[^\s'"<>]+
    | (?<=/webhookb2/)[^\s'"<>]+ | (?<=office\.com/webhook/)[^\s'"<>]+ | (?<=/hooks/catch/)[^\s'"<>]+
    | (?<=/hooks/)[A-Za-z0-9]{20,} | (?<=/with/key/)[^\s'"<>]+ | (?<=/bot)\d{6,}:[A-Za-z0-9_-]{20,}
    | (?<=\.logic\.azure\.com/)[^\s'"<>]+ | (?<=\.logic\.azure\.com:443/)[^\s'"<>]+
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY(?:\ BLOCK)?-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY(?:\ BLOCK)?-----|\Z)
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                        # AWS
    | \b(?:gh[pousr]|dckr_pat|dckr_oat|npm|hf|api_org|r8|gsk|lin_api|ntn|figd|sbp|nvapi)_[A-Za-z0-9_-]{20,}
    | \b(?:glsa|glc|pnu|pnb|shpat|shpca|shppa|shpss|sntrys|sntryu|pscale_tkn|pscale_pw|rubygems)_[A-Za-z0-9_.=+/-]{16,}
    | \b(?:github_pat|dop_v1|doo_v1|dor_v1|ops_eyJ|FlyV1\ fm2|wandb_v1|KGAT|lsv2_pt|lsv2_sk)_?[A-Za-z0-9_+/=-]{16,}
    | \b(?:[sr]k_live|[sr]k_test|whsec)_[A-Za-z0-9]{10,}   # Stripe
    | \bgl(?:pat|ptt|dt|rt|rtr|cbt|soat|ft|imt|agent|oas|ffct|wt)-[A-Za-z0-9_.-]{16,}     # GitLab
    | \b(?:xox[abeoprs]|xapp|xwfp)-[A-Za-z0-9.-]{10,}       # Slack
    | \bsk-[A-Za-z0-9_-]{20,}                              # OpenAI, Anthropic and others
    | \b(?:pypi|xai|pplx|nvapi|pul|PMAK|NRAK|tskey)-[A-Za-z0-9_-]{16,} | \bkey-[0-9a-f]{32}\b
    | \bAIza[A-Za-z0-9_-]{35} | \bya29\.[A-Za-z0-9_-]{20,} | \bGOCSPX-[A-Za-z0-9_-]{20,}   # Google
    | \bdapi[0-9a-f]{32} | \bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,} | \bhv[sbr]\.[A-Za-z0-9_-]{20,}
    | \bATATT3[A-Za-z0-9_=-]{20,} | \bAKCp[A-Za-z0-9]{20,}
    | \bAGE-SECRET-KEY-1[A-Z0-9]{20,} | \bdp\.(?:pt|st)\.[\w.]{20,}
    | (?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}   # JSON web token
    | (?<![\w-])eyJhcGlf[A-Za-z0-9_+/=-]{20,}               # Neptune
    | (?<=[Bb]earer\ )[A-Za-z0-9._~+/-]{8,}=*
    | (?<=[?&](?:sig|key)=)[^&\s]+ | (?<=Signature=)[^&\s]+ | (?<=[?&]token=)[^&\s]+ | (?<=X-Amz-Signature=)[0-9a-f]+
    """,
    re.VERBOSE | re.DOTALL,
)
_LOGIN = re.compile(
    r"""
    ((?<![\w-])(?:-u|-U|--user|--proxy-user) (?:\\*['"],)? [\s=]{0,3} \\*['"]? [^\s:'"=,]{1,200}:)   # -u name:
    (?!\d{1,6}\b|//) [^\s'"]{1,300}
    """,
    re.VERBOSE,
)
_COMMAND = re.compile(
    r"""
    ( \b (?: (?:mysql|mariadb)[\w-]*|sshpass|7z[ar]?|rar|unrar)\b [^\n;|&]{0,300}? [\s'"] -p      # -pPASSWORD
    | \b (?:sshpass|mongo\w*|(?:docker|podman|registry)\s+login)\b [^\n;|&]{0,300}? [\s'"] -p ['",\s]{1,5}
    | \b redis-cli\b [^\n;|&]{0,300}? [\s'"] -a ['",\s]{0,5}
    | \b ldap\w{3,9}\b [^\n;|&]{0,300}? [\s'"] -w ['",\s]{0,5}
    ) (?!-) [^\s'",\]]{1,300}
    """,
    re.VERBOSE,
)
_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/?\#'\"<>]{0,300}[/?\#][^\s'\"<>]*")
_PART = re.compile(r"[A-Za-z0-9_-]{16,}")
_CALLED = re.compile(r"hook|notif|trigger|callback|incoming|ingest", re.IGNORECASE)
_RUNS = re.compile(r"[A-Za-z0-9]{8,}")
_HEX = re.compile(r"[0-9a-f-]+|[0-9A-F-]+")
_CHANGES = re.compile(r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[a-z0-9]|(?<=[0-9])[A-Za-z]")
_NAMED = re.compile(
    r"""
    (?<![\w-]) (?P<option>--?)? (?P<name>[A-Za-z_][\w-]+)
    (?: \\*['"]?\s{0,9}[=:]\s{0,9}                # name=, 'name': and the like
      | \\*['"]\s{0,9},\s{0,9}(?=b?\\*['"])        # ('name', 'value')
      | (?P<gap>\s{1,9})(?=[^\s-])                 # --name value
    )
    """,
    re.VERBOSE,
)
_VALUE = re.compile(
    r"""
      (?P<open>b?\\*['"]) (?: (?!(?<!\\)(?P=open)) [^\n] )* (?P<close>(?P=open))?
    | \[[^\]]*\]? | \([^)]*\)? | \{[^}]*\}?
    | [^\s'",;&)\]}]+ (?:\ [^\s'",;&)\]}=]+){1,9} (?=;)   # in Server=db;Password=two words;
    | (?:(?:Bearer|Basic|Token|Digest)\s+)?[^\s'",;&)\]}]+
    """,
    re.VERBOSE,
)
_PLAIN = frozenset({"None", "True", "False", "null", "true", "false"})


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Check whether a name says that its value is a secret, by its last word.

    Parameters
    ----------
    name : str
        In snake case, camel case or with dashes.

    Returns
    -------
    bool
        True for ``db_password`` and ``apiKey``; False for ``tokenizer``, ``max_tokens`` and ``pad_token``.

    Examples
    --------
    >>> [name for name in ("token", "tokenizer", "dbPassword", "eos_token") if is_secret_name(name)]
    ['token', 'dbPassword']
    """
    words = [word.lower() for word in _SEGMENT.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    single = last if last == "pins" else last.removesuffix("s")
    if single == "token" and last != single:
        return not before or before in _TOKENS
    if single == "token" and before in _VOCABULARY:
        return False
    if single in {"url", "uri"} and before == "webhook":  # who has the address may write
        return True
    return single in _SECRET_ENDINGS or single.endswith(_SECRET_WORDS) or (single == "key" and before in _KEYS)


def is_secret_file(path: str) -> bool:
    """Check whether a file holds keys or passwords, by its name.

    Parameters
    ----------
    path : str
        With ``/`` between folders.

    Returns
    -------
    bool
        True for ``.env`` and ``deploy/id_rsa``, in any case; False for ``environment.yml``.

    Examples
    --------
    >>> [path for path in ("conf/.env.local", "train.py", "tls/server.pem") if is_secret_file(path)]
    ['conf/.env.local', 'tls/server.pem']
    """
    parts = PurePosixPath(path.lower()).parts
    return bool(parts) and (any(fnmatchcase(parts[-1], form) for form in _FILES) or not _FOLDERS.isdisjoint(parts[:-1]))


def masked_text(text: str, *, is_code: bool = False) -> str:
    """Replace what looks like a secret in free text: keys of known forms, passwords in URLs, assignments.

    Parameters
    ----------
    text : str
        A message, a URL, a command line.
    is_code : bool
        The text is a program's, in which ``tokens = split(line)`` says no secret: of assignments only quoted values
        are masked.

    Returns
    -------
    str
        The text with each secret replaced; of more than 100,000 characters, their beginning.

    Examples
    --------
    >>> masked_text("postgres://ann:hunter2@db/x --api-key=12345")
    'postgres://********@db/x --api-key=********'
    """
    if len(text) < _SHORTEST:
        return text
    text = _PATTERNS.sub(MASK, text[:_LONGEST])
    text = _COMMAND.sub(rf"\1{MASK}", _LOGIN.sub(rf"\1{MASK}", text))
    if "://" in text:
        text = _ADDRESS.sub(_masked_address, text)
    kept, done, at = [], 0, 0
    while (named := _NAMED.search(text, at)) is not None:
        at = named.end()
        if is_secret_name(named["name"]) and (named["option"] or not named["gap"]):
            value = _VALUE.match(text, at)
            if value is not None and not _is_harmless(named["name"], value[0]) and (value["open"] or not is_code):
                quote = value["open"] or ""
                kept += [text[done:at], quote, MASK, quote.removeprefix("b")]
                done = at = value.end()
    return "".join([*kept, text[done:]])


def excerpt(text: object, longest: int = 200) -> str:
    """Return the beginning of a text for a message; a secret is masked before a cut could hide what it is.

    Parameters
    ----------
    text : object
        The text, or what has one.
    longest : int
        So many characters are shown.

    Returns
    -------
    str
        The text, or its beginning with an ellipsis.

    Examples
    --------
    >>> excerpt("cannot reach postgres://ann:hunter2@db", 40)
    'cannot reach postgres://********@db'
    """
    shown = masked_text(str(text)[: longest + _MARGIN])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def quoted(value: object, longest: int = 80) -> str:
    """Return the beginning of the `repr` of a value for a message, as `excerpt` does of a text.

    Examples
    --------
    >>> quoted("x" * 100, 10)
    "'xxxxxxxx…"
    """
    return excerpt(repr(value), longest)


def _masked_address(match: re.Match[str]) -> str:
    """Mask what looks random in the path and query of a URL: who has the address may use it."""
    address = match[0]
    start = address.index("://") + 3
    is_called = _CALLED.search(address) is not None

    def masked_part(part: re.Match[str]) -> str:
        return MASK if _is_random(part[0], is_called=is_called) else part[0]

    return address[:start] + _PART.sub(masked_part, address[start:])


def _is_random(part: str, *, is_called: bool) -> bool:
    """Check whether letters and digits follow each other as in a token, not as in words, dates, digests and ids.

    Digests and ids are tokens too in an address that says that it is called.
    """
    if _HEX.fullmatch(part):
        return is_called and any(map(str.isdigit, part)) and any(map(str.isalpha, part))
    runs = _RUNS.findall(part)
    size = sum(map(len, runs))
    changes = sum(len(_CHANGES.findall(run)) for run in runs)
    if not any(map(str.isdigit, part)):  # words, with or without capitals
        return False
    mixed = part != part.lower() and part != part.upper()
    shortest, share = (16, 0.25) if is_called else (20, 0.4) if mixed else (24, 0.3)
    return size >= shortest and changes >= share * size


def _is_harmless(name: str, value: str) -> bool:
    """Check whether a value is no secret under any name, or a count under a name in the plural."""
    return value in _PLAIN or (name.endswith(("s", "S")) and value.replace(".", "", 1).isdigit())
