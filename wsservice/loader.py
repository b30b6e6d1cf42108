"""Finding the user's app: `--app module:attribute`."""

from __future__ import annotations

import importlib
import os.path
import sysconfig
import traceback
from typing import cast

from twisted.python.reflect import safe_str

from wsservice.app import App
from wsservice.errors import ConfigurationError

#: characters of what an exception says
_MAX_WORDS = 500
#: frames of the import itself
_MACHINERY = frozenset(
    {importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", __file__}
)
#: folders whose files are not the user's, as prefixes
_LIBRARIES = tuple(
    os.path.join(folder, "")
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        os.path.dirname(__file__),
    )
)


def load_app(spec: str) -> App:
    """Import an `App` by `module:attribute`; the working directory must be on `sys.path`.

    Raises:
        ConfigurationError: it cannot be imported, is not there, or is no App; the message names what was
            raised and the place in the user's file.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute or module_name.startswith("."):
        raise ConfigurationError(f"--app {spec}: give module:attribute, such as chat:app for `app = App()` in chat.py")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"--app {spec}: no module {error.name!r}; start in the folder that holds it, or install it"
            ) from None
        raise _broken(spec, "importing it failed", error) from None
    except BaseException as error:  # whatever it is, this is the user's start, and he wants a word and not a traceback
        raise _broken(spec, "importing it failed", error) from None
    try:
        app = getattr(module, attribute, None)
        is_app = isinstance(app, App)  # an object may say itself what it is
    except BaseException as error:
        raise _broken(spec, f"looking for {attribute!r} in it failed", error) from None
    if app is None:
        raise ConfigurationError(f"--app {spec}: the module {module_name} has no {attribute!r}; name its App")
    if not is_app:
        raise ConfigurationError(f"--app {spec}: {attribute} is a {type(app).__name__}; it must be a wsservice.App")
    return cast("App", app)


def _broken(spec: str, what: str, error: BaseException) -> ConfigurationError:
    if isinstance(error, KeyboardInterrupt):
        return ConfigurationError(f"--app {spec}: importing it was interrupted{_place(error)}")
    words = safe_str(error.msg if isinstance(error, SyntaxError) else error)
    first_line = f"{type(error).__name__}: {words}".splitlines()[0].removesuffix(": ")
    if len(first_line) > _MAX_WORDS:
        first_line = f"{first_line[:_MAX_WORDS]}…"
    return ConfigurationError(f"--app {spec}: {what}: {first_line}{_place(error)}; mend that file")


def _place(error: BaseException) -> str:
    """Where in the user's files it happened: the last frame that is not of a library, if there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in _MACHINERY]
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)] or frames
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
