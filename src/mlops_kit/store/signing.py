"""`SigningKey`: the key with which a user signs what they write to journals (ed25519)."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from mlops_kit.errors import InvalidInput, SignatureError
from mlops_kit.store import settings

VARIABLE = "MLOPS_KIT_SIGNING_KEY"
PUBLIC = re.compile(r"ed25519:[0-9a-f]{64}")
_SECRET = re.compile(r"mlops-kit-ed25519-secret:([0-9a-f]{64})")
_MISSING = "needs a package that is not installed: pip install 'mlops-kit[sign]'"


class SigningKey:
    """The key with which you sign what you write: versions, promotions, rollbacks.

    From the moment there is a key, every journal entry you write is signed with it, and so is what the entry names
    by digest: the model and its environment. Others who list your public key with `Trust.add_signer` can then
    load your models from a store that they do not trust as a whole.

    The key lies in your own settings (see `Trust`) in the file ``signing-key``, which only you may read, or in
    the variable ``MLOPS_KIT_SIGNING_KEY``, for a CI job. Needs the extra ``sign``.

    Attributes
    ----------
    public : str
        ``ed25519:<hex>``: what you give to others. It is no secret.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> mk.SigningKey.current() is None
    True
    >>> key = mk.SigningKey.create()
    >>> key.public == mk.SigningKey.current().public
    True
    >>> models = mk.ModelStore("memory://signing-doc")
    >>> version = models.register("constant", 42)
    >>> models.history("constant")[-1].signature["key"] == key.public
    True
    """

    def __init__(self, secret: str) -> None:
        found = _SECRET.fullmatch(secret.strip())
        if found is None:
            raise InvalidInput(
                "This is no signing key: one reads 'mlops-kit-ed25519-secret:' and 64 hex digits, as "
                "`mlops-kit trust key --new` makes it."
            )
        self._seed = bytes.fromhex(found[1])

    @classmethod
    def create(cls) -> SigningKey:
        """Make your key.

        Returns
        -------
        SigningKey
            The key; it is used from now on.

        Raises
        ------
        InvalidInput
            You have one already. To change it, have others list the new one first.
        SignatureError
            The extra ``sign`` is not installed.
        """
        secret = f"mlops-kit-ed25519-secret:{secrets.token_hex(32)}\n"
        made = cls(secret)
        _ = made.public  # before anything is written: the extra may be missing

        def keep(known: bytes | None) -> bytes:
            if known is not None:
                raise InvalidInput(
                    f"There is a key already, in {_path()}, and what it signed may still be loaded. To have another, "
                    "move that file to a safe place first."
                )
            return secret.encode()

        settings.change(_path(), keep)
        return made

    @classmethod
    def current(cls) -> SigningKey | None:
        """Find your key.

        Returns
        -------
        SigningKey or None
            That of ``MLOPS_KIT_SIGNING_KEY``, else that of your settings, else None: then nothing is signed.

        Raises
        ------
        ExposedFile
            Others may read or change the file, so the key is not used.
        """
        given = os.environ.get(VARIABLE)
        if given:
            return cls(given)
        kept = settings.read(_path(), secret=True)
        return None if kept is None else cls(kept.decode("ascii", "replace"))

    @property
    def public(self) -> str:
        """What others list to trust what this key signs."""
        try:
            from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise SignatureError(f"Signing {_MISSING}") from error
        return (
            f"ed25519:{ed25519.Ed25519PrivateKey.from_private_bytes(self._seed).public_key().public_bytes_raw().hex()}"
        )

    def sign(self, statement: bytes) -> dict[str, str]:
        """Sign a statement.

        Parameters
        ----------
        statement : bytes
            What is signed.

        Returns
        -------
        dict
            ``key``, the public one, and ``value``, the signature in hex.

        Raises
        ------
        SignatureError
            The extra ``sign`` is not installed.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise SignatureError(
                f"There is a signing key, and signing {_MISSING}. Or move the key away, to sign nothing."
            ) from error
        value = ed25519.Ed25519PrivateKey.from_private_bytes(self._seed).sign(statement).hex()
        return {"key": self.public, "value": value}

    def __repr__(self) -> str:
        return f"SigningKey({self.public})"

    def __reduce__(self) -> str:
        raise TypeError("A signing key is not pickled: it would lie wherever the pickle does.")


def verified(key: str, value: str, statement: bytes) -> bool:
    """Tell whether a signature is right.

    Parameters
    ----------
    key, value : str
        The public key, ``ed25519:<hex>``, and the signature in hex.
    statement : bytes
        What was signed.

    Returns
    -------
    bool
        Whether the key's owner signed exactly this.

    Raises
    ------
    SignatureError
        The extra ``sign`` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise SignatureError(f"Verifying a signature {_MISSING}") from error
    if not PUBLIC.fullmatch(key):
        return False
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.removeprefix("ed25519:")))
        public.verify(bytes.fromhex(value), statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def _path() -> Path | None:
    return settings.path_of("signing-key")
