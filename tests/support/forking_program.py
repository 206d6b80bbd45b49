"""The process that tests/support/forked.py has its processes forked from."""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys
from typing import TextIO


def asked_to_run() -> list[str]:
    """Answer what is asked; returns only in a process that was forked, with its words."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            pid, status = os.waitpid(asked["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            for name in asked["loads"]:
                module, _, load = name.partition(":")
                loaded = importlib.import_module(module)
                if load:
                    getattr(loaded, load)()
            gc.freeze()  # or each process would copy all pages at its first search for garbage
            answer = os.fork()
            if not answer:
                become(asked)
                return list(asked["words"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    sys.exit()


def become(asked: dict[str, object]) -> None:
    """Take on the streams, the environment and the folder of a new process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the background ignores
    made = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOCTTY
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, str(asked["out"]), made),
        (2, str(asked["err"]), made),
    ):
        stream = os.open(path, flags)
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = writer(1, os.isatty(1))
    sys.stderr = sys.__stderr__ = writer(2, True)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))


def writer(number: int, by_lines: bool) -> TextIO:
    """The stream of this number, as a new process has it."""
    return open(number, "w", encoding="utf-8", closefd=False, buffering=1 if by_lines else -1)


if __name__ == "__main__":
    option, what, *rest = asked_to_run()
    sys.path[0] = os.getcwd()
    if option == "-m":
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [option, *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
