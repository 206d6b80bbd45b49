"""The table of docs/provider-errors.md: what a user sees of every fault that does not pass.

    python -m tests.support.provider_messages

Each row is one `selectllm select` of four items against a real server on this machine, and shows
what the command printed. The table is written into the page between its two marks;
tests/docs/test_provider_errors.py fails where it shows something else.
"""

from __future__ import annotations

import functools
import io
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from selectllm.cli import main
from tests.conftest import pool_rows, skip_waits, write_jsonl
from tests.support.certificates import serving
from tests.support.page_blocks import DOCS
from tests.support.provider_server import FAULTS, Answer, ProviderServer, completion, error

PAGE = DOCS / "provider-errors.md"
BEGIN, END = "<!-- begin: measured -->\n", "<!-- end: measured -->\n"
HEAD = "| what is wrong | what the command says | exit code | requests |\n|---|---|---|---|\n"
KEY = "sk-planted-0123456789abcdef"
CHECKED = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": "", "CI": "true"}


@dataclass(frozen=True, eq=False)
class Case:
    """A fault: what every request is answered, or the address that is asked instead.

    `url`: with {root} for the server's. `settings`: of the model. `environment`: what is set.
    """

    what: str
    answer: Answer | None = None
    url: str = "{root}/v1"
    settings: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = "short@1"
    environment: Mapping[str, str] = field(default_factory=lambda: {"DEMO_KEY": KEY})
    certificate: str | None = None


def finished(reason: str, content: str | None = None) -> Answer:
    """A reply that ended for a reason."""
    return Answer(200, completion(content, finish_reason=reason, usage=None))


WEB = b"<html><head><title>404</title></head><body>This page does not exist.</body></html>"
LOGPROBS = {"answer": "logprobs"}


CASES: Sequence[Case] = (
    Case("the key's variable is not set", environment={}),
    Case("a wrong key", FAULTS["401"]),
    Case("a key that may not use this model", FAULTS["403"]),
    Case("no such model", FAULTS["404"]),
    Case("no such path (`api_base` without `/v1`)", Answer(404, error("Not Found")), "{root}"),
    Case("a page of the web instead of an API", Answer(404, WEB, {"Content-Type": "text/html"})),
    Case("the quota is used up", FAULTS["quota"]),
    Case("a setting that the model does not take", FAULTS["400"]),
    Case("every prompt is longer than the context", FAULTS["context overflow"]),
    Case("the server cut the prompt without a word", FAULTS["few prompt tokens"]),
    Case("a filter refuses every prompt", FAULTS["content filter"]),
    Case("the model refuses in words of its own field", FAULTS["refusal"]),
    Case("no log-probabilities", finished("stop", "A"), "{root}/v1", LOGPROBS, "best@1"),
    Case("every reply is empty", finished("stop", "")),
    Case("every reply is cut off at `max_tokens`", finished("length", "Let me think")),
    Case("the reply is not JSON", FAULTS["not json"]),
    Case("the reply is half a JSON", FAULTS["truncated json"]),
    Case("a reply of no usual form", Answer(200, {"answer": "[1]"})),
    Case("the connection breaks off", FAULTS["cut at once"]),
    Case("no answer in time", FAULTS["hang"], settings={"timeout": 0.5}),
    Case("nobody listens at that port", url="http://127.0.0.1:{closed}/v1"),
    Case("no such host", url="http://no-such-host.invalid/v1"),
    Case("a certificate that nobody knows", url="{root}/v1", certificate="of 127.0.0.1"),
    Case("a redirect to another host", Answer(307, b"", {"Location": "http://elsewhere.example/"})),
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What came of a case: what was printed, the exit code, and the requests that arrived."""

    text: str
    code: int
    requests: int


def said(case: Case, **settings: Any) -> Said:
    """Run the command of a case; `settings`: more of the model's."""
    answer = case.answer
    respond = None if answer is None else (lambda *request: answer)
    with tempfile.TemporaryDirectory() as folder, chdir(folder), pytest.MonkeyPatch.context() as to:
        tls = None if case.certificate is None else serving(case.certificate, Path())[0]
        for name, value in {**CHECKED, "SELECTLLM_CACHE_DIR": "cache", **case.environment}.items():
            to.setenv(name, value)
        skip_waits(to)
        with ProviderServer(respond, reply=lambda messages: "[1]", tls=tls) as server:
            ports = {"port": server.root.rpartition(":")[2], "closed": str(closed_port())}
            url = case.url.format(root=server.root, **ports)
            code, text = printed(case, url, {**case.settings, **settings})
            requests = server.count
        for port in ports.values():
            text = text.replace(f":{port}", ":PORT")
    return Said(text, code, requests)


@functools.cache
def said_by_litellm(case: Case) -> Said:
    """The same by the usual way, run once: the page and the other way are held against it."""
    return said(case)


def printed(case: Case, url: str, settings: Mapping[str, Any]) -> tuple[int, str]:
    """The exit code of the command, and the line that it ends with."""
    write_jsonl(Path("pool.jsonl"), pool_rows(20))
    dividing = ("--budget", "4", "--by", "random", "--cluster-size", "5")
    model = ("--model", "openai/m", "--api-base", url, "--prompt", case.prompt)
    set_to = {"api_key_env": "DEMO_KEY", **settings}
    arguments = [f"--model-arg={name}={value}" for name, value in set_to.items()]
    err = io.StringIO()
    with redirect_stderr(err):
        code = main(["select", "pool.jsonl", *dividing, *model, *arguments, "-j", "1", "--quiet"])
    return code, err.getvalue().strip().removeprefix("selectllm: ")


def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows() -> Iterator[str]:
    """The lines of the table."""
    for case in CASES:
        told = said_by_litellm(case)
        cell = re.sub(r"\s+", " ", told.text).replace("|", "\\|").replace("<", "&lt;")
        yield f"| {case.what} | {cell} | {told.code} | {told.requests} |\n"


def table() -> str:
    """The whole of it."""
    return HEAD + "".join(rows())


def shown(page: str) -> str:
    """The table that a page has."""
    return page.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2], "utf-8")
