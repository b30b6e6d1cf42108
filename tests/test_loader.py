"""Tests of wsservice.loader: every way in which `--app` can be wrong, and what is said then."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsservice import loader
from wsservice.app import App
from wsservice.errors import ConfigurationError
from wsservice.loader import load_app

GOOD = "from wsservice import App\napp = App()\n"


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.patch(sys, "path", [str(self.folder), *sys.path])
        self.patch(sys, "dont_write_bytecode", True)
        self.addCleanup(self.forget, set(sys.modules))

    def forget(self, before: set[str]) -> None:
        """Take out the modules that a test has imported."""
        for name in set(sys.modules) - before:
            del sys.modules[name]

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def refused(self, spec: str) -> str:
        """The one line that is said about a spec."""
        error = self.assertRaises(ConfigurationError, load_app, spec)
        self.assertEqual(len(error.problems), 1)
        self.assertNotIn("\n", str(error))
        self.assertTrue(str(error).startswith(f"--app {spec}: "), str(error))
        self.assertTrue(error.__suppress_context__ or error.__context__ is None)
        return str(error)


class LoadingTests(Base):
    def test_an_app_is_found_in_a_module(self) -> None:
        self.write("chat_a.py", GOOD)
        app = load_app("chat_a:app")
        self.assertIsInstance(app, App)
        self.assertIs(load_app("chat_a:app"), app)

    def test_an_app_is_found_in_a_package(self) -> None:
        self.write("package_b/__init__.py", "")
        self.write("package_b/chat.py", GOOD)
        self.assertIsInstance(load_app("package_b.chat:app"), App)

    def test_a_subclass_is_an_app(self) -> None:
        self.write("chat_c.py", "from wsservice import App\nclass Mine(App): pass\nmine = Mine()\n")
        self.assertIsInstance(load_app("chat_c:mine"), App)


class SpecTests(Base):
    def test_a_spec_of_another_form_is_told_the_form(self) -> None:
        for spec in ("chat", "chat:", ":app", ":", "", ".chat:app", "..chat:app"):
            self.assertIn("give module:attribute, such as chat:app", self.refused(spec))

    def test_a_module_that_is_not_there_is_told_where_to_start(self) -> None:
        self.write("package_d/__init__.py", "")
        for spec, module in (
            ("\N{PILE OF POO}:app", "\N{PILE OF POO}"),
            ("nowhere_d:app", "nowhere_d"),
            ("nowhere_d.chat:app", "nowhere_d"),
            ("package_d.chat:app", "package_d.chat"),
            ("chat_d.py:app", "chat_d"),
            ("examples/chat_d:app", "examples/chat_d"),
        ):
            message = self.refused(spec)
            self.assertIn(f"no module {module!r}", message)
            self.assertIn("start in the folder that holds it, or install it", message)

    def test_the_name_of_a_file_is_not_the_name_of_a_module(self) -> None:
        self.write("chat_e.py", GOOD)
        self.assertIn("no module 'chat_e.py'", self.refused("chat_e.py:app"))

    def test_an_attribute_that_is_not_there_is_named(self) -> None:
        self.write("chat_f.py", GOOD + "nothing = None\n")
        for attribute in ("application", "nothing", "app.emit", "app:app"):
            self.assertIn(f"the module chat_f has no {attribute!r}; name its App", self.refused(f"chat_f:{attribute}"))

    def test_an_attribute_that_is_no_app_is_told_what_it_is(self) -> None:
        self.write("chat_g.py", GOOD + "number = 5\nFactory = App\n")
        self.assertIn("number is a int; it must be a wsservice.App", self.refused("chat_g:number"))
        self.assertIn("Factory is a type; it must be a wsservice.App", self.refused("chat_g:Factory"))

    def test_a_module_that_fails_when_it_is_asked_for_the_name_is_said(self) -> None:
        path = self.write("chat_i.py", "def __getattr__(name):\n    raise RuntimeError('not here')\n")
        self.assertIn(
            f"looking for 'app' in it failed: RuntimeError: not here ({path}, line 2)", self.refused("chat_i:app")
        )

    def test_an_object_that_fails_when_it_is_asked_what_it_is_is_said(self) -> None:
        self.write("chat_j.py", "class Proxy:\n    @property\n    def __class__(self): 1 / 0\napp = Proxy()\n")
        self.assertIn("looking for 'app' in it failed: ZeroDivisionError", self.refused("chat_j:app"))


class BrokenModuleTests(Base):
    def tearDown(self) -> None:
        self.assertEqual([name for name in sys.modules if name.startswith("broken_")], [])

    def test_what_the_module_raises_is_said_with_its_place(self) -> None:
        path = self.write("broken_a.py", "x = 1\n\nx / 0\n")
        self.assertIn(
            f"importing it failed: ZeroDivisionError: division by zero ({path}, line 3); mend that file",
            self.refused("broken_a:app"),
        )

    def test_a_broken_module_is_broken_again_and_can_be_mended(self) -> None:
        path = self.write("broken_b.py", "1 / 0\n")
        self.assertEqual(self.refused("broken_b:app"), self.refused("broken_b:app"))
        path.write_text(GOOD)
        self.assertIsInstance(load_app("broken_b:app"), App)
        del sys.modules["broken_b"]

    def test_a_syntax_error_is_placed_in_the_users_file(self) -> None:
        path = self.write("broken_c.py", "\n\ndef f(:\n    pass\n")
        message = self.refused("broken_c:app")
        self.assertIn("SyntaxError: ", message)
        self.assertIn(f"({path}, line 3)", message)

    def test_an_error_in_a_library_is_placed_where_the_user_called_it(self) -> None:
        path = self.write("broken_d.py", "import json\n\njson.loads('{')\n")
        message = self.refused("broken_d:app")
        self.assertIn("JSONDecodeError: ", message)
        self.assertIn(f"({path}, line 3)", message)

    def test_an_error_in_our_own_code_is_placed_where_the_user_called_it(self) -> None:
        path = self.write("broken_e.py", GOOD + "app.on('a')(len)\napp.on('a')(len)\n")
        self.assertIn(f"has a handler already: <built-in function len> ({path}, line 4)", self.refused("broken_e:app"))

    def test_an_error_in_a_module_that_is_imported_is_placed_there(self) -> None:
        path = self.write("broken_helper.py", "\n1 / 0\n")
        self.write("broken_f.py", "import broken_helper\n")
        self.assertIn(f"({path}, line 2)", self.refused("broken_f:app"))

    def test_a_missing_module_of_the_users_is_not_taken_for_the_app(self) -> None:
        path = self.write("broken_g.py", "import nowhere_g\n")
        self.assertIn(
            f"importing it failed: ModuleNotFoundError: No module named 'nowhere_g' ({path}, line 1)",
            self.refused("broken_g:app"),
        )

    def test_a_missing_module_whose_name_begins_alike_is_not_taken_for_the_app(self) -> None:
        self.write("broken_h.py", "import broken_hh\n")
        self.assertIn("importing it failed", self.refused("broken_h:app"))

    def test_a_missing_module_without_a_name_is_understood(self) -> None:
        self.write("broken_i.py", "raise ModuleNotFoundError('no such thing')\n")
        self.assertIn("importing it failed: ModuleNotFoundError: no such thing", self.refused("broken_i:app"))

    def test_a_name_that_cannot_be_imported_is_said(self) -> None:
        self.write("broken_j.py", "from wsservice import Nothing\n")
        self.assertIn("ImportError: cannot import name 'Nothing'", self.refused("broken_j:app"))

    def test_a_module_that_exits_does_not_end_the_service_without_a_word(self) -> None:
        self.write("broken_k.py", "import sys\nsys.exit()\n")
        self.assertIn("importing it failed: SystemExit (", self.refused("broken_k:app"))
        self.write("broken_l.py", "import sys\nsys.exit('usage: ...')\n")
        self.assertIn("SystemExit: usage: ... (", self.refused("broken_l:app"))

    def test_an_error_of_several_lines_is_said_by_its_first(self) -> None:
        self.write("broken_m.py", "raise ValueError('one\\ntwo')\n")
        self.assertIn("ValueError: one (", self.refused("broken_m:app"))

    def test_an_error_without_words_is_said_by_its_name(self) -> None:
        self.write("broken_n.py", "raise ValueError\n")
        self.assertIn("importing it failed: ValueError (", self.refused("broken_n:app"))

    def test_a_syntax_error_without_a_file_has_the_place_that_raised_it(self) -> None:
        path = self.write("broken_o.py", "raise SyntaxError('odd')\n")
        self.assertIn(f"SyntaxError: odd ({path}, line 1)", self.refused("broken_o:app"))

    def test_an_interruption_by_the_user_is_none_of_its_faults(self) -> None:
        path = self.write("broken_p.py", "raise KeyboardInterrupt\n")
        message = self.refused("broken_p:app")
        self.assertTrue(message.endswith(f"importing it was interrupted ({path}, line 1)"), message)

    def test_an_exception_of_any_kind_is_said(self) -> None:
        for number, name in enumerate(("asyncio.CancelledError", "GeneratorExit", "BaseException", "Odd")):
            module = f"broken_t{number}"
            self.write(f"{module}.py", f"import asyncio\nclass Odd(BaseException): pass\nraise {name}\n")
            self.assertIn(f"importing it failed: {name.split('.')[-1]} (", self.refused(f"{module}:app"))

    def test_an_exception_that_cannot_say_what_it_is_has_its_place_all_the_same(self) -> None:
        path = self.write(
            "broken_u.py",
            "class Mute(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__\nraise Mute\n",
        )
        message = self.refused("broken_u:app")
        self.assertIn("importing it failed: Mute: ", message)
        self.assertIn(f"({path}, line 4)", message)

    def test_an_exception_that_says_too_much_is_cut(self) -> None:
        self.write("broken_v.py", "raise ValueError('x' * 10_000)\n")
        self.assertLess(len(self.refused("broken_v:app")), 1000)

    def test_a_file_that_is_no_text_is_said(self) -> None:
        (self.folder / "broken_q.py").write_bytes(b"x = 1\x00\n")
        self.assertIn("null bytes", self.refused("broken_q:app"))
        (self.folder / "broken_r.py").write_bytes(b"x = '\xff'\n")
        self.assertIn("utf-8", self.refused("broken_r:app"))

    def test_an_app_that_is_installed_as_a_library_has_its_place_too(self) -> None:
        path = self.write("broken_s.py", "import json\n1 / 0\n")
        self.patch(loader, "_LIBRARIES", (f"{self.folder}/",))
        self.assertIn(f"({path}, line 2)", self.refused("broken_s:app"))
