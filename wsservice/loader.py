"""Finding the user's app: `--app module:attribute`."""

from __future__ import annotations

import traceback
from importlib import import_module

from wsservice.app import App
from wsservice.errors import ConfigurationError


def load_app(spec: str) -> App:
    """Import an `App` by `module:attribute`; the working directory must be on `sys.path`.

    Raises:
        ConfigurationError: it cannot be imported, is not there, or is no App; the message has the last
            line of a traceback and the place in the user's file, not ours.
    """
    module_name, colon, attribute = spec.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigurationError(f"--app {spec}: give module:attribute, such as chat:app for `app = App()` in chat.py")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"--app {spec}: no module {error.name!r}; start in the folder that holds it, or install it"
            ) from None
        raise _broken(spec, error) from None
    except Exception as error:
        raise _broken(spec, error) from None
    app = getattr(module, attribute, None)
    if app is None:
        raise ConfigurationError(f"--app {spec}: the module {module_name} has no {attribute!r}; name its App")
    if not isinstance(app, App):
        raise ConfigurationError(f"--app {spec}: {attribute} is a {type(app).__name__}; it must be a wsservice.App")
    return app


def _broken(spec: str, error: Exception) -> ConfigurationError:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    summary = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return ConfigurationError(f"--app {spec}: importing it failed: {summary}{place}; mend that file")
