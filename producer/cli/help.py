"""The help of each command: what it does, examples to copy, and its options in panels; docs/cli.md is made from it."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from producer.cli.typed import refuse_empty, repeat_where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Panels in their order; others come before the last three.
_PANELS = ("Arguments", "Pilot", "Input", "Questions", "Tag", "Model", "Run")
_LAST_PANELS = ("Options", "Where things are", "Output")
#: Commands in their order; others come last.
_COMMANDS = {
    "Ask": ("run", "pilot", "submit", "worker"),
    "Look": ("status", "results", "report", "export", "audit"),
    "Change a run": ("requeue", "pause", "resume", "cancel", "close", "priority", "rename", "delete"),
}
_OTHERS = "Set up"

#: For the context of all commands.
HELP_NAMES = {"help_option_names": ["-h", "--help"]}

_WIDEST = 100
_INDENT = 2
#: A longer name of an option has a line of its own.
_NAME_WIDTH = 26


@dataclass(frozen=True, slots=True)
class Page:
    """The help of one command, or of all.

    Attributes:
        about: paragraphs.
        examples: lines for a shell.
        panels: by title, rows of a name and what it means.
    """

    usage: str
    about: Sequence[str]
    examples: Sequence[str]
    panels: dict[str, list[tuple[str, str]]]


class Command(TyperCommand):
    """A command with our help; contexts are `Any`, as their class is private to Typer, and another in each version."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage without braces around what must be there."""
        arguments = [param for param in self.get_params(ctx) if isinstance(param, TyperArgument)]
        return ["[OPTIONS]", *map(_usage_of, arguments)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what was typed; an option with choices in brackets, such as `[a|b]`, may stand without one.

        Raises:
            SettingsError: a text is empty where that has no meaning.
        """
        words = _with_values(args, self.get_params(ctx))
        if not ctx.resilient_parsing:
            given, *_ = self.make_parser(ctx).parse_args(list(words))
            refuse_empty(self.get_params(ctx), given)
        left = super().parse_args(ctx, words)
        repeat_where(ctx.params)
        return left

    def page(self, ctx: Any) -> Page:
        """The help as such; `parse_help` says what a docstring holds."""
        options = _options(self.get_params(ctx), help_panel="Output")
        return Page(_usage(self, ctx), *parse_help(self.help), _ordered(options))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, as wide as the terminal."""
        del formatter
        print_page(self.page(ctx))


class Group(TyperGroup):
    """All commands, with our help."""

    def page(self, ctx: Any) -> Page:
        """The help as such."""
        names = self.list_commands(ctx)
        known = {name for title in _COMMANDS.values() for name in title}
        panels = {title: [name for name in wanted if name in names] for title, wanted in _COMMANDS.items()}
        panels[_OTHERS] = [name for name in names if name not in known]
        longest = max(map(len, names))
        listed = {
            title: [(name.ljust(longest), self._said_of(ctx, name)) for name in found]
            for title, found in panels.items()
        }
        options = _options(self.get_params(ctx), help_panel="Options")
        return Page(_usage(self, ctx), *parse_help(self.help), listed | _ordered(options))

    def _said_of(self, ctx: Any, name: str) -> str:
        command: Any = self.get_command(ctx, name)
        return parse_help(command.short_help or command.help)[0][0]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, as wide as the terminal."""
        del formatter
        print_page(self.page(ctx))


def _say_versions(asked: bool) -> None:
    if asked:
        # Looked for here: nothing else needs it.
        from persqa.models import engine_version

        engine = engine_version() or "no vLLM"
        sys.stdout.write(f"persqa {metadata.version('persqa')}, Python {platform.python_version()}, {engine}\n")
        raise typer.Exit


def versions(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_versions, is_eager=True, help="Show the versions installed.")
    ] = False,
) -> None:
    """The options of `persqa` itself."""


def parse_help(text: str | None) -> tuple[list[str], list[str]]:
    """The paragraphs of a docstring, each in one line, and the lines below `Examples:`."""
    about: list[str] = []
    examples: list[str] = []
    for paragraph in cleandoc(text or "").split("\n\n"):
        first, *lines = paragraph.splitlines() or [""]
        if first == "Examples:":
            examples += [line.strip() for line in lines]
        elif first.startswith("Example: "):
            examples.append(" ".join(paragraph.removeprefix("Example: ").split()))
        else:
            about.append(" ".join(paragraph.split()))
    return about, examples


def print_page(page: Page, console: Console | None = None) -> None:
    """Print it, by default on standard output, and no wider than is easily read."""
    console = console or Console()
    width = min(console.width, _WIDEST)
    for line in _drawn(page, width):
        for part in line.wrap(console, width, overflow="fold") if line and not line.no_wrap else [line]:
            part.rstrip()
            console.print(part, soft_wrap=True, highlight=False)


def _drawn(page: Page, width: int) -> Iterator[Text]:
    yield Text.assemble(("Usage: ", "bold"), page.usage)
    for paragraph in page.about:
        yield Text()
        yield Text(paragraph)
    if page.examples:
        yield Text()
        yield Text("Examples:", style="bold")
    for example in page.examples:
        # A line to copy: only the terminal may break it.
        yield Text(" " * _INDENT + example, style="green", no_wrap=True)
    for title, rows in page.panels.items():
        yield Text()
        yield Text(f"{title}:", style="bold")
        yield from _drawn_rows(rows, width)


def _drawn_rows(rows: Iterable[tuple[str, str]], width: int) -> Iterator[Text]:
    console = Console(width=width)
    longest = max(len(name) for name, _ in rows)
    column = min(longest, _NAME_WIDTH, width // 3) + 2 * _INDENT
    for name, meaning in rows:
        left = Text(" " * _INDENT + name, style="cyan")
        if len(left) + _INDENT > column:
            yield left
            left = Text()
        for line in Text(meaning).wrap(console, width - column):
            left.pad_right(column - len(left))
            yield Text.assemble(left, line)
            left = Text()


def _usage(command: TyperCommand | TyperGroup, ctx: Any) -> str:
    return " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])


def _with_values(words: Sequence[str], params: Iterable[Any]) -> list[str]:
    """The words of a command, with its first choice behind each option that may stand alone and does."""
    choices = {
        name: metavar.strip("[]").split("|")
        for param in params
        if isinstance(param, TyperOption) and (metavar := param.metavar or "").startswith("[")
        for name in param.opts
    }
    following = [*words, None][1:]
    return [
        # An empty text is refused by its name later.
        f"{word}={choices[word][0]}" if word in choices and after not in (*choices[word], "") else word
        for word, after in zip(words, following, strict=True)
    ]


def _usage_of(argument: TyperArgument) -> str:
    name = _argument_name(argument)
    return name if argument.required else f"[{name}]"


def _argument_name(argument: TyperArgument) -> str:
    return (argument.metavar or str(argument.name).upper()).strip("[]")


def _options(params: Iterable[object], *, help_panel: str) -> Iterator[tuple[str, str, str]]:
    """Title of the panel, name and meaning of each option and argument."""
    for param in params:
        if isinstance(param, TyperArgument):
            yield param.rich_help_panel or "Arguments", _argument_name(param), param.help or ""
        elif isinstance(param, TyperOption) and not param.hidden:
            names = ", ".join(sorted(param.opts, key=len))
            value = "" if param.is_flag else f" {param.metavar or str(param.name).upper()}"
            if "--help" in param.opts:
                yield help_panel, names, "Show this page."
            else:
                yield param.rich_help_panel or "Options", names + value, _meaning(param)


def _meaning(option: TyperOption) -> str:
    said = option.help or ""
    if option.required:
        return f"{said} (Required.)"
    if option.default in (None, False) or not option.show_default:
        return said
    return f"{said.removesuffix('.')} (default: {option.default})."


def _ordered(options: Iterable[tuple[str, str, str]]) -> dict[str, list[tuple[str, str]]]:
    panels: dict[str, list[tuple[str, str]]] = {}
    for title, name, meaning in options:
        panels.setdefault(title, []).append((name, meaning))
    between = [title for title in panels if title not in (*_PANELS, *_LAST_PANELS)]
    return {title: panels[title] for title in (*_PANELS, *between, *_LAST_PANELS) if title in panels}
