"""Settings as options of a command line: what argparse needs of each. Pure."""

from __future__ import annotations

import argparse
from typing import Any

from wsservice.settings import Setting, show


def add_setting(group: Any, setting: Setting) -> None:
    """Add a setting's option, whose text `settings.Reader` reads and checks, to a parser or a group of it."""
    env = ", ".join(setting.env)
    if setting.is_switch:
        does, value = ("do not ", "no") if setting.default else ("", "yes")
        help = plain(f"{does}{setting.help} (env {env}={value})")
        # Each has its opposite, so that a flag can overrule the environment; only the useful one is shown.
        for option, value in ((f"--{setting.flag}", "yes"), (f"--no-{setting.flag}", "no")):
            shown = help if option == setting.option else argparse.SUPPRESS
            group.add_argument(option, dest=setting.name, action="store_const", const=value, help=shown)
        return
    default = "; ".join(filter(None, [show(setting.default), setting.note]))
    help = plain(f"{setting.help} ({f'default {default}; ' if default else ''}env {env})")
    action = "append" if setting.separator else "store"
    group.add_argument(setting.option, dest=setting.name, metavar=setting.kind.metavar, action=action, help=help)


def plain(help: str) -> str:
    """A help text without Markdown, and safe in argparse's templates."""
    return help.replace("`", "").replace("%", "%%")
