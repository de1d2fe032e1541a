"""aque: all the commands, as `aque submit` or by a link named `aque-submit`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence

#: Command -> (module, what it does); loaded when it is asked for.
COMMANDS = {
    "doctor": ("aque.commands.doctor", "look whether all is well"),
    "init": ("aque.commands.init", "make a queue, set, share and copy it"),
    "kill": ("aque.commands.kill", "end tasks"),
    "limit": ("aque.commands.limit", "set named limits, and list them"),
    "log": ("aque.commands.log", "add a line to the log of the task it runs in"),
    "output": ("aque.commands.output", "show what tasks have written"),
    "pause": ("aque.commands.pause", "hold tasks that wait, stop tasks that run"),
    "priority": ("aque.commands.priority", "change which tasks go first"),
    "progress": ("aque.commands.progress", "say how far the task it runs in is"),
    "resume": ("aque.commands.resume", "let paused tasks go on"),
    "retry": ("aque.commands.retry", "run ended tasks again"),
    "rm": ("aque.commands.rm", "forget tasks"),
    "status": ("aque.commands.status", "show tasks"),
    "submit": ("aque.commands.submit", "put a command into the queue"),
    "wait": ("aque.commands.wait", "wait until tasks have ended"),
    "worker": ("aque.commands.worker", "run tasks"),
    "xargs": ("aque.commands.xargs", "xargs, with a memory"),
}
_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    invoked = os.path.basename(sys.argv[0]).removeprefix("aque-")
    if arguments is None and invoked in COMMANDS:
        return _load(invoked)(words)
    if words and words[0] in COMMANDS:
        return _load(words[0])(words[1:])
    from aque.commands import entry

    return entry.guard("aque", lambda: _tell(words))


def _tell(words: Sequence[str]) -> int:
    if words[:1] == ["--version"]:
        import aque

        print(f"aque {aque.__version__}")
        return 0
    if not words or words[0] in ("--help", "-h"):
        print(_help())
        return 0
    if words[0] == "--complete" and len(words) > 3 and words[2].isdigit():
        from aque.commands import completion

        for line in completion.complete(words[1], int(words[2]), words[3:]):
            print(line)
        return 0
    if words[0] == "--completion":
        return _print_completion(words[1:])
    print(f"aque: no command {words[0]!r} (see aque --help)", file=sys.stderr)
    return _USAGE


def _print_completion(words: Sequence[str]) -> int:
    from aque.commands import shells

    if len(words) != 1 or words[0] not in shells.SCRIPTS:
        print(f"aque: --completion takes one of {', '.join(shells.SCRIPTS)}", file=sys.stderr)
        return _USAGE
    print(shells.script(words[0], ["aque", *(f"aque-{name}" for name in COMMANDS)]), end="")
    return 0


def _load(name: str) -> Callable[[Sequence[str]], int]:
    module = importlib.import_module(COMMANDS[name][0])
    command: Callable[[Sequence[str]], int] = module.main
    return command


def _help() -> str:
    lines = [f"  {name:<10}{summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: aque COMMAND [ARG...]",
            "       aque --completion bash|zsh|fish",
            "       aque --version",
            "",
            "A durable job queue in one SQLite file. Each is a program too: aque-submit.",
            "",
            *lines,
            "",
            "  aque submit echo hello",
            "  aque worker --to-end",
            "",
            "aque COMMAND --help says more.",
        ]
    )
