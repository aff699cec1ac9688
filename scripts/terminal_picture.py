"""Draw what a command prints on a terminal: `python -m scripts.terminal_picture out.svg 100 persqa status`."""

from __future__ import annotations

import os
import pty
import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text


def printed(command: list[str], columns: int) -> str:
    """What the command prints on a terminal of this width, with colours; its bars as they are at the end."""
    chunks: list[bytes] = []

    def read(descriptor: int) -> bytes:
        chunks.append(data := os.read(descriptor, 65_536))
        return data

    os.environ |= {"COLUMNS": str(columns), "LINES": "50", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    pty.spawn(command, read)
    return _at_the_end(b"".join(chunks).decode(errors="replace"))


def _at_the_end(text: str) -> str:
    """The lines that stay, without those that were drawn over."""
    lines: list[str] = []
    for piece in text.replace("\r\n", "\n").split("\n"):
        for _ in range(piece.count("\x1b[1A")):
            lines.pop()
        last = piece.rsplit("\x1b[2K", 1)[-1].rsplit("\r", 1)[-1]
        lines.append(last.replace("\x1b[?25l", "").replace("\x1b[?25h", ""))
    return "\n".join(lines).strip("\n")


def main() -> None:
    """Run the command, and draw it with its prompt."""
    picture, columns, *command = sys.argv[1:]
    text = printed(command, int(columns))
    drawn = Console(record=True, width=int(columns), file=StringIO(), force_terminal=True, color_system="truecolor")
    drawn.print(Text(f"$ {' '.join(command)}", style="bold"))
    drawn.print(Text.from_ansi(text))
    # Without the font that Rich would have fetched from elsewhere, and its address.
    Path(picture).write_text(re.sub(r"@font-face \{.*?\}|<!--.*?-->", "", drawn.export_svg(title=""), flags=re.DOTALL))


if __name__ == "__main__":
    main()
