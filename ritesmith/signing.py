"""Who vouches for what: one Ed25519 key of this user, the keys that the user trusts, and statements that are signed.

The keys lie in the user's own folder, never in a registry file: whoever can write the file must not be able to add to
those whom its reader trusts. Ed25519 is that of RFC 8032, by PyNaCl.
"""

from __future__ import annotations

import json
import os
import re
import stat
import string
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ritesmith.errors import Conflict, InvalidInput, NotFound, StoreError, Untrusted

KEY_PATTERN = re.compile("[0-9a-f]{64}")
NAME_LENGTH_MAX = 100


class Keys:
    """The signing key and the trusted keys in one folder; a key is named by its public half, 64 hexadecimal digits.

    Both files are read once in a process: what is trusted or no longer trusted counts from the next start on.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._checked: set[tuple[str, bytes, bytes]] = set()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Keys:
        """The keys in RITESMITH_CONFIG, else in `ritesmith` in XDG_CONFIG_HOME, else in ~/.config/ritesmith."""
        if environment.get("RITESMITH_CONFIG"):
            return cls(Path(environment["RITESMITH_CONFIG"]))
        if environment.get("XDG_CONFIG_HOME"):
            return cls(Path(environment["XDG_CONFIG_HOME"]) / "ritesmith")
        try:
            return cls(Path.home() / ".config" / "ritesmith")
        except RuntimeError:  # a user without a home, as in some containers
            return cls(None)

    @property
    def file(self) -> Path:
        """The file of the signing key. StoreError where there is no folder that it could be in."""
        if self.folder is None:
            raise StoreError("there is no home folder for the signing key", hint="name a folder in RITESMITH_CONFIG")
        return self.folder / "signing.key"

    @property
    def own(self) -> str | None:
        """The public half of the signing key; None while nothing was signed."""
        if "_seed" in self.__dict__ or (self.folder is not None and self.file.exists()):
            return self._public
        return None

    @cached_property
    def trusted(self) -> dict[str, str]:
        """The keys of others that are trusted -> what the user calls them."""
        file = None if self.folder is None else self.folder / "trusted.keys"
        if file is None or not file.exists():
            return {}
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"the trusted keys in '{file}' cannot be read: {error}") from None
        found: dict[str, str] = {}
        for number, line in enumerate(lines, start=1):
            key, _, name = line.partition(" ")
            if not KEY_PATTERN.fullmatch(key):
                raise StoreError(
                    f"'{file}' line {number} holds no key, which is 64 hexadecimal digits and a name",
                    hint="mend or remove that line",
                )
            found[key] = name.strip()
        return found

    def told(self) -> dict[str, Any]:
        """The own key, made where there is none, its file, and the keys of others that are trusted."""
        others = [{"key": key, "name": name} for key, name in self.trusted.items()]
        return {"own": self._public, "file": str(self.file), "trusted": others}

    def trust(self, key: str, name: str = "") -> None:
        """Accept from now on what this key has signed. InvalidInput when it is none, Conflict when it is known."""
        given = _key(key)
        shown = " ".join(name.split())
        if len(shown) > NAME_LENGTH_MAX or not shown.isprintable():
            raise InvalidInput(f"a key is called by at most {NAME_LENGTH_MAX} printable characters")
        if given == self.own:
            raise Conflict("that is your own key, which is trusted anyhow")
        if given in self.trusted:
            raise Conflict(f"the key {given[:12]} is trusted already, as '{self.trusted[given] or given[:12]}'")
        from nacl.exceptions import CryptoError
        from nacl.signing import VerifyKey

        try:
            VerifyKey(bytes.fromhex(given))
        except (CryptoError, ValueError) as error:
            raise InvalidInput(f"{given!r} is no Ed25519 key: {error}") from None
        self._keep({**self.trusted, given: shown})

    def distrust(self, key: str) -> str:
        """Trust a key no longer; return what it was called. NotFound when it was not trusted."""
        given = _key(key)
        if given not in self.trusted:
            raise NotFound(f"the key {given[:12]} is not trusted", hint="see who is: ritesmith trust list")
        name = self.trusted[given]
        self._keep({each: said for each, said in self.trusted.items() if each != given})
        return name

    def _keep(self, keys: Mapping[str, str]) -> None:
        text = "".join(f"{key} {name}".rstrip() + "\n" for key, name in keys.items())
        self._write(self.file.with_name("trusted.keys"), text, anew=False)
        self.trusted = dict(keys)
        self._checked.clear()

    def sign(self, statement: bytes) -> tuple[str, bytes]:
        """The public key and its signature of a statement. The first call in a user's life makes the key."""
        return self._public, self._signer.sign(statement).signature

    def check(self, what: str, statement: bytes, key: str | None, signature: bytes | None) -> None:
        """Come back when a key of the user's or a trusted one has signed this statement.

        Raises Untrusted, which names `what`, for one that is not signed, by another key, or not as it stands.
        """
        if not key or not signature:
            raise Untrusted(f"{what} is not signed", hint="publish it again, or import it from a signed bundle")
        if (key, statement, signature) in self._checked:
            return
        if key != self.own and key not in self.trusted:
            raise Untrusted(
                f"{what} was signed by the key {key[:12]}, which you don't trust",
                hint=f"if you know whose it is: ritesmith trust add {key}",
                key=key,
            )
        from nacl.exceptions import CryptoError
        from nacl.signing import VerifyKey

        try:
            VerifyKey(bytes.fromhex(key)).verify(statement, signature)
        except (CryptoError, ValueError, TypeError):
            raise Untrusted(
                f"{what} is not what the key {key[:12]} signed", hint="it was edited; restore it from a backup"
            ) from None
        self._checked.add((key, statement, signature))

    @cached_property
    def _public(self) -> str:
        return str(self._signer.verify_key.encode().hex())

    @cached_property
    def _signer(self) -> Any:
        from nacl.signing import SigningKey

        return SigningKey(self._seed)

    @cached_property
    def _seed(self) -> bytes:
        if not self.file.exists():
            self._write(self.file, os.urandom(32).hex() + "\n", anew=True)
        # Another process may have made it first: what lies there now counts.
        try:
            with self.file.open("rb") as opened:
                mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
                text = opened.read(1000).decode("ascii", "replace").strip()
        except OSError as error:
            raise StoreError(f"the signing key '{self.file}' cannot be read: {error.strerror}") from None
        if mode & 0o077:
            raise StoreError(
                f"the signing key '{self.file}' can be read by others (mode {mode:o}), so it proves nothing",
                hint=f"if nobody has taken it: chmod 600 '{self.file}'; else remove it, and a new one is made",
            )
        if not KEY_PATTERN.fullmatch(text):
            raise StoreError(
                f"'{self.file}' holds no signing key, which is 64 hexadecimal digits",
                hint="restore it; or remove it, and a new one is made",
            )
        return bytes.fromhex(text)

    def _write(self, file: Path, text: str, *, anew: bool) -> None:
        """Write a file whole, for this user alone; `anew`: one that is there stays."""
        part = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            try:
                if anew:
                    os.link(part, file)
                else:
                    part.replace(file)
            except FileExistsError:
                pass
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"'{file}' cannot be written: {error.strerror}", hint="name another folder in RITESMITH_CONFIG"
            ) from None


def statement(form: str, **facts: Any) -> bytes:
    """What is signed: the facts as JSON, always spelled alike, under a word that says what kind of statement it is."""
    return json.dumps({"ritesmith": form, **facts}, sort_keys=True, separators=(",", ":")).encode("ascii")


def _key(given: str) -> str:
    if not KEY_PATTERN.fullmatch(given):
        odd = next((letter for letter in given if letter not in string.hexdigits), None)
        found = f"{len(given)} characters" if odd is None else f"{odd!r} in it"
        raise InvalidInput(
            f"that is no key: found {found}", hint="a key is 64 digits 0 to 9 and a to f: ritesmith trust list"
        )
    return given
