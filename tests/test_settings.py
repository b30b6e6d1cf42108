"""Tests of `wsservice.settings`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice import parsers
from wsservice.settings import (
    CREDENTIAL,
    DEFAULT,
    DOTENV,
    ENVIRONMENT,
    FLAG,
    MAX_SECRET,
    Reader,
    declared,
    markdown_tables,
    read_dotenv,
    setting,
    show,
)


@dataclass(frozen=True, kw_only=True)
class Example:
    size: int = setting(3, "First", parsers.integer(1, 9, "apples"), help="how many | more")
    color: str = setting("", "First", parsers.text("COLOR"), env=("COLOR", "COLOUR"), note="red", help="which")
    names: tuple[str, ...] = setting((), "Second", parsers.text("NAME"), flag="name", separator=",", help="who")
    added: tuple[str, ...] = setting((), "Second", parsers.text("A"), separator=",", added=True, help="more")
    words: tuple[str, ...] = setting((), "Second", parsers.text("W"), separator=" ", help="words")
    key: str = setting("", "Second", parsers.SECRET, env="KEY", help="a secret")
    fast: bool = setting(False, "Second", help="run")
    slow: bool = setting(True, "Second", help="walk")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    key: str = setting("", "First", parsers.SECRET, env="KEY", help="a secret")
    url: str = setting("", "First", parsers.text("URL"), env="URL", help="with a password")
    tls_key: Path | None = setting(None, "First", parsers.FILE, env="TLS_KEY", help="a file")


class DeclarationTests(SynchronousTestCase):
    def test_names_are_made_of_the_attributes(self) -> None:
        by_name = {one.name: one for one in declared(Example)}
        self.assertEqual(list(by_name), ["size", "color", "names", "added", "words", "key", "fast", "slow"])
        self.assertEqual(by_name["size"].env, ("WSSERVICE_SIZE",))
        self.assertEqual(by_name["color"].env, ("COLOR", "COLOUR"))
        usages = [one.usage for one in by_name.values()]
        expected = ["--size APPLES", "--color COLOR", "--name NAME", "--added A", "--words W", "--key-file FILE"]
        self.assertEqual(usages, [*expected, "--fast", "--no-slow"])

    def test_a_secret_is_not_in_the_repr(self) -> None:
        self.assertNotIn("hush", repr(Example(key="hush")))
        self.assertIn("blue", repr(Example(color="blue")))

    def test_values_are_shown_as_people_write_them(self) -> None:
        shown = [show(value) for value in (True, False, None, ("a", "b"), 0.5, 5.0, 7, Path("/x"))]
        self.assertEqual(shown, ["yes", "no", "", "a,b", "0.5", "5", "7", "/x"])

    def test_the_tables_of_the_documentation(self) -> None:
        text = markdown_tables(declared(Example))
        self.assertIn("## First\n\n| flag | environment | default | meaning |\n|---|---|---|---|\n", text)
        self.assertIn("| `--size APPLES` | `WSSERVICE_SIZE` | `3` | how many \\| more. |\n", text)
        self.assertIn("| `--color COLOR` | `COLOR`, `COLOUR` | red | which. |\n\n## Second\n", text)
        self.assertIn("| `--key-file FILE` | `KEY` |  | a secret. |\n", text)


class ReaderTests(SynchronousTestCase):
    def read(self, flags: dict[str, Any] | None = None, env: Any = None, dotenv: Any = None) -> Example:
        self.reader = Reader(flags or {}, env or {}, dotenv or {}, ".env")
        return Example(**self.reader.read(declared(Example)))

    def test_flag_beats_environment_beats_dotenv_beats_default(self) -> None:
        flags, env, dotenv = {"size": "1"}, {"WSSERVICE_SIZE": "2"}, {"WSSERVICE_SIZE": "4"}
        for expected, source, places in (
            (1, FLAG, (flags, env, dotenv)),
            (2, ENVIRONMENT, ({}, env, dotenv)),
            (4, DOTENV, ({}, {}, dotenv)),
            (3, DEFAULT, ({}, {}, {})),
        ):
            self.assertEqual(self.read(*places).size, expected)
            self.assertEqual(self.reader.sources["size"], source)

    def test_an_empty_text_is_as_good_as_none(self) -> None:
        self.assertEqual(self.read({}, {"WSSERVICE_SIZE": ""}, {"WSSERVICE_SIZE": "4"}).size, 4)
        self.assertEqual(self.read({"size": None, "names": []}, {"COLOR": "", "COLOUR": "blue"}).color, "blue")
        self.assertEqual(self.read({}, {"WSSERVICE_NAMES": ", ,"}, {"WSSERVICE_NAMES": "c"}).names, ("c",))
        self.assertEqual(self.reader.problems, [])

    def test_a_flag_that_is_empty_is_told(self) -> None:
        for flags, option in (
            ({"size": ""}, "--size"),
            ({"size": " "}, "--size"),
            ({"names": ["a", ","]}, "--name"),
            ({"words": [" "]}, "--words"),
            ({"key": ""}, "--key-file"),
        ):
            self.read(flags, {"WSSERVICE_SIZE": "2"})
            self.assertEqual(self.reader.problems, [f"{option} is empty: give it a value, or leave it out"])

    def test_what_is_no_text_is_told_without_its_value(self) -> None:
        self.read({"words": ["good b\udcffd"]}, {"COLOR": "\udcff"}, {"WSSERVICE_FAST": "\ud800"})
        self.assertEqual(
            sorted(self.reader.problems),
            [f"{name} is not UTF-8: set it anew" for name in ("--words", "COLOR", "WSSERVICE_FAST in .env")],
        )
        self.assertEqual(self.reader.sources["color"], ENVIRONMENT)

    def test_white_space_around_a_value_is_dropped(self) -> None:
        self.assertEqual(self.read(env={"COLOR": "  dark red\t\n"}).color, "dark red")

    def test_the_first_of_several_names_wins(self) -> None:
        self.assertEqual(self.read(env={"COLOUR": "b", "COLOR": "a"}).color, "a")

    def test_several_values_are_split_trimmed_and_told_once(self) -> None:
        self.assertEqual(self.read(env={"WSSERVICE_NAMES": " a, b,,a ,c c"}).names, ("a", "b", "c c"))
        self.assertEqual(self.read({"names": ["a,b", "c"]}, {"WSSERVICE_NAMES": "z"}).names, ("a", "b", "c"))
        self.assertEqual(self.read(env={"WSSERVICE_WORDS": " a,b\tc\n"}).words, ("a,b", "c"))

    def test_flags_may_be_added_to_the_environment(self) -> None:
        read = self.read({"added": ["a"]}, {"WSSERVICE_ADDED": "b"}, {"WSSERVICE_ADDED": "c,a"})
        self.assertEqual(read.added, ("a", "b", "c"))

    def test_every_wrong_value_is_told_by_the_name_under_which_it_was_given(self) -> None:
        self.read({"size": "99"}, {"WSSERVICE_FAST": "2"}, {"WSSERVICE_SLOW": "x" * 500})
        size, fast, slow = self.reader.problems
        self.assertEqual(size, "--size '99' is not a whole number of apples from 1 to 9")
        self.assertEqual(fast, "WSSERVICE_FAST '2' is neither true nor false")
        self.assertTrue(slow.startswith("WSSERVICE_SLOW in .env 'xxx"))
        self.assertLess(len(slow), 150)

    def test_a_wrong_value_is_shown_without_its_control_characters(self) -> None:
        self.read({"size": "\x1b[2J\u00e4"})
        self.assertIn(r"'\x1b[2J\xe4'", self.reader.problems[0])

    def test_switches_can_be_turned_either_way(self) -> None:
        self.assertTrue(self.read({"fast": "yes"}, {"WSSERVICE_FAST": "no"}).fast)
        self.assertFalse(self.read({"slow": "no"}, {"WSSERVICE_SLOW": "yes"}).slow)


class SecretTests(SynchronousTestCase):
    def read(self, flags: dict[str, Any] | None = None, env: Any = None, dotenv: Any = None) -> str:
        self.reader = Reader(flags or {}, env or {}, dotenv or {}, ".env")
        return str(self.reader.read(declared(Example))["key"])

    def file(self, content: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def test_a_secret_comes_from_the_environment_or_from_a_file(self) -> None:
        file = self.file(b" hush hush \n")
        self.assertEqual(self.read(env={"KEY": "open"}), "open")
        self.assertEqual(self.read(env={"KEY_FILE": file}), "hush hush")
        self.assertEqual(self.read(dotenv={"KEY_FILE": file}), "hush hush")
        self.assertEqual(self.read({"key": file}, {"KEY": "open"}), "hush hush")
        self.assertEqual(self.reader.problems, [])

    def test_a_secret_that_is_no_text_is_told_without_its_value(self) -> None:
        self.assertEqual(self.read(env={"KEY": "hush\udcff"}), "")
        self.assertEqual(self.reader.problems, ["KEY is not UTF-8: set it anew"])

    def test_a_stronger_source_is_used_without_a_look_at_the_weaker(self) -> None:
        self.assertEqual(self.read(env={"KEY": "open"}, dotenv={"KEY_FILE": "/nonexistent"}), "open")
        self.assertEqual(self.reader.problems, [])

    def test_the_value_and_the_file_of_one_source_exclude_each_other(self) -> None:
        self.read(dotenv={"KEY": "open", "KEY_FILE": self.file(b"hush")})
        self.assertEqual(self.reader.problems, ["KEY and KEY_FILE are both set in .env: unset one of them"])

    def test_a_file_that_cannot_be_used_is_told_without_its_content(self) -> None:
        for content, problem in (
            (b"", "is empty or too large"),
            (b"h" * (MAX_SECRET + 1), "is empty or too large"),
            (b"hush\xff", "is not a text file"),
        ):
            self.assertEqual(self.read(env={"KEY_FILE": self.file(content)}), "")
            self.assertIn(problem, self.reader.problems[0])
            self.assertNotIn("hush", self.reader.problems[0])
        self.read({"key": "/nonexistent"})
        self.assertEqual(
            self.reader.problems,
            ["--key-file '/nonexistent': No such file or directory; name a file that this user may read"],
        )


class CredentialTests(SynchronousTestCase):
    """What systemd hands over in a folder of files."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.environ = {"CREDENTIALS_DIRECTORY": str(self.folder)}

    def read(self, env: dict[str, str] | None = None, dotenv: dict[str, str] | None = None) -> dict[str, Any]:
        self.reader = Reader({}, {**self.environ, **(env or {})}, dotenv or {}, ".env")
        return self.reader.read(declared(Credentials))

    def test_each_setting_can_be_one(self) -> None:
        (self.folder / "KEY").write_text("hush\n")
        (self.folder / "URL").write_text("redis://:hush@host")
        read = self.read()
        self.assertEqual((read["key"], read["url"]), ("hush", "redis://:hush@host"))
        self.assertEqual(self.reader.sources["key"], CREDENTIAL)

    def test_a_file_is_meant_itself(self) -> None:
        (self.folder / "TLS_KEY").write_text("-----BEGIN")
        self.assertEqual(self.read()["tls_key"], self.folder / "TLS_KEY")

    def test_those_of_a_folder_bear_its_name(self) -> None:
        (self.folder / "wsservice_KEY").write_text("hush")
        self.assertEqual(self.read()["key"], "hush")

    def test_they_stand_between_the_environment_and_dotenv(self) -> None:
        (self.folder / "KEY").write_text("hush")
        self.assertEqual(self.read({"KEY": "loud"}, {"KEY": "low"})["key"], "loud")
        self.assertEqual(self.read({}, {"KEY": "low"})["key"], "hush")
        self.environ = {}
        self.assertEqual(self.read({}, {"KEY": "low"})["key"], "low")

    def test_an_empty_one_is_told(self) -> None:
        (self.folder / "KEY").write_text("\n")
        self.read()
        self.assertIn("the credential KEY", self.reader.problems[0])


class DotenvTests(SynchronousTestCase):
    def read(self, content: bytes, required: bool = False) -> dict[str, str]:
        self.problems: list[str] = []
        path = Path(self.mktemp())
        path.write_bytes(content)
        return read_dotenv(path, self.problems, required=required)

    def test_lines_are_read_as_they_stand(self) -> None:
        content = b"\xef\xbb\xbf# note\nA=1\nexport B='two words'\nC=${A}x\nD\nE=\n"
        self.assertEqual(self.read(content), {"A": "1", "B": "two words", "C": "${A}x", "D": "", "E": ""})
        self.assertEqual(self.problems, [])

    def test_a_line_that_cannot_be_read_is_told_by_its_number(self) -> None:
        self.assertEqual(self.read(b"A=1\nTHIS IS 'NOTHING\nB=2\n")["A"], "1")
        self.assertEqual(len(self.problems), 1)
        self.assertIn(", line 2: not NAME=value; mend it, or name another file by --env-file", self.problems[0])

    def test_only_a_file_that_was_named_must_be_there(self) -> None:
        problems: list[str] = []
        self.assertEqual(read_dotenv(Path("/nonexistent/.env"), problems, required=False), {})
        self.assertEqual(problems, [])
        self.assertEqual(read_dotenv(Path("/nonexistent/.env"), problems, required=True), {})
        self.assertEqual(
            problems, ["--env-file /nonexistent/.env: No such file or directory; name a file that is there"]
        )

    def test_what_is_no_text_file_is_told(self) -> None:
        self.assertEqual(self.read(b"A=\xff"), {})
        self.assertIn("is not UTF-8", self.problems[0])
        problems: list[str] = []
        folder = Path(self.mktemp())
        folder.mkdir()
        read_dotenv(folder, problems, required=False)
        self.assertIn("Is a directory; make it readable", problems[0])

    def test_a_pipe_is_waited_for_only_where_it_was_named(self) -> None:
        path = Path(self.mktemp())
        os.mkfifo(path)
        problems: list[str] = []
        self.assertEqual(read_dotenv(path, problems, required=False), {})
        self.assertEqual(problems, [f"{path} is a pipe: to wait for what comes out of it, name it by --env-file"])
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.write(writer, b"A=1\n")
        os.close(writer)
        self.assertEqual(read_dotenv(Path(f"/dev/fd/{reader}"), problems, required=True), {"A": "1"})
