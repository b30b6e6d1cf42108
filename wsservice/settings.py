"""Settings: how one is declared, and how its value is found in flags, environment and `.env`.

A settings class is a dataclass whose fields are made by `setting`; `declared` lists them. Everything that
users see of them (the command line, the names in the environment, the page of documentation) is made of that list.
"""

from __future__ import annotations

import dataclasses
import io
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dotenv.parser import parse_stream

from wsservice import parsers
from wsservice.parsers import Kind

_T = TypeVar("_T")
_KEY = "wsservice.setting"

#: of the names in the environment that wsservice has made up itself
PREFIX = "WSSERVICE_"
#: bytes of a file that holds a secret; an AWS session token has about a thousand
MAX_SECRET = 64 * 1024
#: characters of a wrong value that an error message repeats
_SHOWN = 80

#: where a value comes from; a lower number wins
FLAG, ENVIRONMENT, CREDENTIAL, DOTENV, DEFAULT = range(5)
#: before the name of a credential that comes from a folder of them (`LoadCredential=wsservice:FOLDER`)
CREDENTIAL_PREFIX = "wsservice_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as it is declared.

    Attributes:
        name: of the attribute.
        default: its value when nobody sets it.
        group: the heading under which it is listed.
        kind: what its value, or each of its items, is.
        flag: on the command line, without dashes.
        env: names in the environment, the strongest first. A secret has each with `_FILE`, too.
        help: one sentence, without a full stop.
        note: what there is to say of the default besides its value.
        precedent: of a limit, whose default it is, too, or why there is none and it is this.
        separator: between the items of a setting that has several (a space stands for any white space).
        added: the flag's items are added to the environment's, rather than replacing them.
        secret: never shown; on the command line only by the name of a file.
    """

    name: str
    default: Any
    group: str
    kind: Kind
    flag: str
    env: tuple[str, ...]
    help: str
    note: str
    precedent: str
    separator: str
    added: bool
    secret: bool

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return isinstance(self.default, bool)

    @property
    def option(self) -> str:
        """What users write on the command line: `--port`, `--no-page`, `--cognito-client-secret-file`."""
        return f"--no-{self.flag}" if self.default is True else f"--{self.flag}{'-file' if self.secret else ''}"

    @property
    def usage(self) -> str:
        """The option with what follows it: `--port PORT`."""
        return self.option if self.is_switch else f"{self.option} {self.kind.metavar}"

    def split(self, text: str) -> list[str]:
        """The items of a text, trimmed, without empty ones; the text itself if the setting has one value."""
        if not self.separator:
            return [text]
        parts = text.split() if self.separator == " " else text.split(self.separator)
        return [part.strip() for part in parts if part.strip()]


def setting(
    default: _T,
    group: str,
    kind: Kind = parsers.BOOLEAN,
    *,
    help: str,
    flag: str = "",
    env: str | tuple[str, ...] = "",
    note: str = "",
    precedent: str = "",
    separator: str = "",
    added: bool = False,
) -> _T:
    """Declare a field of a settings class; see `Setting`.

    Args:
        flag: by default the attribute's name with dashes.
        env: by default the attribute's name in capitals behind `PREFIX`.
        note: of the default.
        precedent: of a limit's default.
    """
    names = (env,) if isinstance(env, str) else env
    secret = kind.is_secret
    made = partial(
        Setting,
        default=default,
        group=group,
        kind=kind,
        help=help,
        note=note,
        precedent=precedent,
        separator=separator,
        added=added,
        secret=secret,
    )

    def name_it(name: str) -> Setting:
        known = tuple(one or f"{PREFIX}{name.upper()}" for one in names)
        return made(name=name, flag=flag or name.replace("_", "-"), env=known)

    return dataclasses.field(default=default, repr=not secret, metadata={_KEY: name_it})


def declared(cls: type[Any]) -> list[Setting]:
    """The settings of a class, in the order of its fields."""
    return [field.metadata[_KEY](field.name) for field in dataclasses.fields(cls)]


def show(value: Any) -> str:
    """A value for people: `a,b` of several, `yes` or `no` of a switch."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Found:
    """The text of a setting, and where it stood."""

    text: str
    where: str
    source: int


class Reader:
    """Finds the values of settings, and collects what is wrong with them.

    Args:
        flags: by attribute name; texts, several texts, or a boolean of a switch. For a secret, a file's name.
        environ: the process's environment.
        dotenv: what `read_dotenv` found.
        dotenv_name: for messages.

    Attributes:
        problems: a line for each; see `ConfigurationError`.
        sources: by attribute name, where its value came from (`FLAG` ... `DEFAULT`).
        places: by attribute name, the names under which it was found; none where it is the default.
    """

    def __init__(
        self, flags: Mapping[str, Any], environ: Mapping[str, str], dotenv: Mapping[str, str], dotenv_name: str
    ) -> None:
        self._flags = flags
        self._looks: tuple[Callable[[Setting], list[Found]], ...] = (
            self._find_flag,
            partial(self._find_name, ENVIRONMENT, environ, ""),
            partial(self._find_credential, environ.get("CREDENTIALS_DIRECTORY", "")),
            partial(self._find_name, DOTENV, dotenv, f" in {dotenv_name}"),
        )
        self.problems: list[str] = []
        self.sources: dict[str, int] = {}
        self.places: dict[str, tuple[str, ...]] = {}

    def read(self, wanted: Sequence[Setting]) -> dict[str, Any]:
        """The values by attribute name; the default where there is none, or a wrong one (see `problems`)."""
        return {one.name: self._value(one) for one in wanted}

    def _value(self, wanted: Setting) -> Any:
        found: list[Found] = []
        for look in self._looks:
            # What is empty is as good as none, so that a weaker source still counts (but see `_find_flag`).
            found += [one for one in look(wanted) if wanted.split(one.text)]
            if found and not wanted.added:
                break
        self.sources[wanted.name] = found[0].source if found else DEFAULT
        self.places[wanted.name] = tuple(one.where for one in found)
        if not found:
            return wanted.default
        if not wanted.separator:
            return self._parse(wanted, found[0], found[0].text, wanted.default)
        values = [self._parse(wanted, item, part, None) for item in found for part in wanted.split(item.text)]
        return tuple(dict.fromkeys(value for value in values if value is not None))

    def _find_flag(self, wanted: Setting) -> list[Found]:
        given = self._flags.get(wanted.name)
        texts = [str(item).strip() for item in (given if isinstance(given, list) else [given]) if item is not None]
        if not all(wanted.split(item) if wanted.separator else item for item in texts):
            # `--tls-cert "$CERTIFICATE"` where there is no such variable: what was asked for must not be left out.
            self.problems.append(f"{wanted.option} is empty: give it a value, or leave it out")
        if wanted.secret:
            return [item for name in texts if name for item in self._read_secret(name, wanted.option, FLAG)]
        return [Found(item, wanted.option, FLAG) for item in texts if item]

    def _find_name(self, source: int, place: Mapping[str, str], note: str, wanted: Setting) -> list[Found]:
        for name in wanted.env:
            value = place.get(name, "").strip()
            file = place.get(f"{name}_FILE", "").strip() if wanted.secret else ""
            if value and file:
                self.problems.append(f"{name} and {name}_FILE are both set{note}: unset one of them")
            if value:
                return [Found(value, f"{name}{note}", source)]
            if file:
                return list(self._read_secret(file, f"{name}_FILE{note}", source))
        return []

    def _find_credential(self, directory: str, wanted: Setting) -> list[Found]:
        """A credential that systemd has handed over: its text, or the file itself where one is meant."""
        for name in wanted.env if directory else ():
            for file in (Path(directory) / name, Path(directory) / f"{CREDENTIAL_PREFIX}{name}"):
                if file.is_file():
                    where = f"the credential {file.name}"
                    if wanted.kind is parsers.FILE:
                        return [Found(str(file), where, CREDENTIAL)]
                    return list(self._read_secret(str(file), where, CREDENTIAL))
        return []

    def _read_secret(self, name: str, where: str, source: int) -> Iterator[Found]:
        try:
            with Path(name).expanduser().open("rb") as file:
                value = file.read(MAX_SECRET + 1).decode("utf-8").strip()
        except OSError as error:
            self.problems.append(f"{where} {name!r}: {error.strerror}; name a file that this user may read")
        except ValueError:  # no UTF-8 in it, or a NUL in its name
            self.problems.append(f"{where} {name!r} is not a text file; it must hold the secret and nothing else")
        else:
            if not value or len(value) > MAX_SECRET:
                self.problems.append(
                    f"{where} {name!r} is empty or too large; it must hold the secret and nothing else"
                )
            else:
                yield Found(value, where, source)

    def _parse(self, wanted: Setting, found: Found, text: str, otherwise: Any) -> Any:
        if not _is_unicode(text):
            self.problems.append(f"{found.where} is not UTF-8: set it anew")
            return otherwise
        try:
            return wanted.kind.parse(text)
        except ValueError as error:
            shown = "" if wanted.secret or not wanted.kind.is_shown else f" {text[:_SHOWN]!a}"
            self.problems.append(f"{found.where}{shown} {error}")
            return otherwise


def _is_unicode(text: str) -> bool:
    """Whether the bytes of an argument or a variable were text; Python keeps others as surrogates (PEP 383)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_dotenv(path: Path, problems: list[str], *, required: bool) -> dict[str, str]:
    """The names and values of a `.env` file, as they stand: nothing is interpolated.

    Args:
        problems: gets a line for each thing that is wrong with it.
        required: whether it was named: a missing file is a problem, and it may be a pipe.
    """
    try:
        if not required and stat.S_ISFIFO(path.stat().st_mode):  # nobody may ever write into it
            problems.append(f"{path} is a pipe: to wait for what comes out of it, name it by --env-file")
            return {}
        content = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        if required:
            problems.append(f"--env-file {path}: {error.strerror}; name a file that is there")
        return {}
    except OSError as error:
        problems.append(f"{path}: {error.strerror}; make it readable, or name another file by --env-file")
        return {}
    except UnicodeDecodeError:
        problems.append(f"{path} is not UTF-8; mend it, or name another file by --env-file")
        return {}
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(content)):
        if binding.error:
            line = binding.original.line
            problems.append(f"{path}, line {line}: not NAME=value; mend it, or name another file by --env-file")
        elif binding.key is not None:
            values[binding.key] = binding.value or ""
    return values


def dotenv_lines(content: str) -> dict[str, int]:
    """The line, from 1, on which each name of a `.env` file gets its value: the last one counts."""
    found = {}
    for binding in parse_stream(io.StringIO(content)):
        if binding.key is not None:  # what precedes a name, such as empty lines, belongs to its binding
            original = binding.original
            found[binding.key] = original.line + len(original.string[: -len(original.string.lstrip())].splitlines())
    return found


def markdown_tables(wanted: Sequence[Setting]) -> str:
    """The settings as Markdown: a heading and a table for each group."""
    groups: dict[str, list[Setting]] = {}
    for one in wanted:
        groups.setdefault(one.group, []).append(one)
    return "\n".join(_table(group, members) for group, members in groups.items())


def _table(group: str, members: Sequence[Setting]) -> str:
    lines = [f"## {group}\n", "| flag | environment | default | meaning |", "|---|---|---|---|"]
    for one in members:
        names = ", ".join(f"`{name}`" for name in one.env)
        default = f"`{show(one.default)}`" if show(one.default) else ""
        default = "; ".join(part for part in (default, one.note) if part)
        meaning = f"{one.help}. Precedent: {one.precedent}." if one.precedent else f"{one.help}."
        cells = [cell.replace("|", "\\|") for cell in (f"`{one.usage}`", names, default, meaning)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
