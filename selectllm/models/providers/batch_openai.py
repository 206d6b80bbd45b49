"""Batches of OpenAI's form: a file of questions, a batch that has it answered, files of answers."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from selectllm.core.errors import ModelError
from selectllm.models.model import ModelSpec, Request
from selectllm.models.providers.batch_calls import PAGES, BatchCalls, BatchStatus, Sought
from selectllm.models.providers.batch_lines import (
    CHAT,
    BatchAnswers,
    line_of,
    openai_outcome,
    question_line,
    read_answers,
)
from selectllm.models.providers.body import at, json_of
from selectllm.models.providers.direct import OPENAI, headers_of
from selectllm.models.providers.endpoint import api_key, base_url
from selectllm.models.providers.failures import Fault
from selectllm.models.providers.litellm import LiteLLMModel
from selectllm.models.providers.openai_body import check_direct
from selectllm.models.providers.reasoning import with_reasoning

MARK = "selectllm"  # the name in a batch's metadata under which it is found again
AZURE_VERSION = "2024-10-21"


class OpenAIBatches:
    """Batches of OpenAI, Azure, and every server that has OpenAI's /files and /batches.

    What is asked of Azure is written by litellm, as for every other call.
    `environment`: where keys and base URLs are looked up. Raises ModelError as DirectModel does.
    """

    most = 50_000
    most_bytes = 200_000_000

    def __init__(self, spec: ModelSpec, environment: Mapping[str, str]) -> None:
        self._spec, self._url, self._query = with_reasoning(spec), CHAT, ""
        self._writer: LiteLLMModel | None = None
        if spec.provider == "azure":
            self._writer = LiteLLMModel(spec, environment=environment)
            root, headers = self._of_azure(spec, environment)
        else:
            check_direct(spec)
            root = (base_url(spec, environment) or OPENAI).strip().rstrip("/")
            headers = headers_of(spec, api_key(spec, environment))
        self._calls = BatchCalls(spec, environment, root, headers)

    def _of_azure(
        self, spec: ModelSpec, environment: Mapping[str, str]
    ) -> tuple[str, Mapping[str, str]]:
        """Root and headers; its paths carry the version, unless the base is that of the v1 API."""
        base = base_url(spec, environment)
        if base is None:
            raise ModelError(
                f"model {spec.name!r}: azure/ needs the address of your resource. Set "
                "AZURE_API_BASE or api_base, for example https://NAME.openai.azure.com"
            )
        headers = dict(headers_of(spec, None))
        headers.pop("Authorization", None)
        headers["api-key"] = api_key(spec, environment) or "none"
        root = base.strip().rstrip("/")
        if root.endswith("/openai/v1"):
            return root, headers
        version = spec.extra.get("api_version") or environment.get("AZURE_API_VERSION")
        self._url, self._query = "/chat/completions", f"api-version={version or AZURE_VERSION}"
        return f"{root.removesuffix('/openai')}/openai", headers

    async def line(self, request: Request) -> bytes:
        """The question as a line of the file."""
        if self._writer is not None:
            written = await self._writer.written(request)
            return line_of(request.key, written.body, self._url)
        line = question_line(self._spec, request, self._url)
        if isinstance(line, Fault):
            raise self._calls.failed(line)
        return line

    async def upload(self, name: str, lines: Sequence[bytes]) -> str | None:
        """Upload the file."""
        body, kind = _form(f"selectllm-{name}.jsonl", b"".join(lines))
        heard = await self._calls.call("POST", self._at("/files"), body, kind)
        return self._calls.id_of(json_of(heard.content), "file")

    async def create(self, name: str, file: str | None, lines: Sequence[bytes]) -> str:
        """Have the file's questions answered, within 24 hours."""
        asked = {
            "input_file_id": file,
            "endpoint": self._url,
            "completion_window": "24h",
            "metadata": {MARK: name},
        }
        made = await self._calls.data("POST", self._at("/batches"), asked, tries=1)
        return self._calls.id_of(made, "batch")

    async def find(self, sought: Sought) -> str | None:
        """By the name in its metadata, or by its file."""
        async for batch in self._listed():
            marked = at(at(batch, "metadata"), MARK) == sought.name
            same = sought.file is not None and at(batch, "input_file_id") == sought.file
            if marked or same:
                return self._calls.id_of(batch, "batch")
        return None

    async def status(self, batch: str) -> BatchStatus:
        """As the provider has it."""
        data = await self._calls.data("GET", self._at(f"/batches/{quote(batch)}"))
        word, counts = str(at(data, "status")), at(data, "request_counts")
        files = (at(data, "output_file_id"), at(data, "error_file_id"))
        return BatchStatus(
            id=batch,
            word=word,
            ended=word in ("completed", "failed", "expired", "cancelled"),
            stopped=word in ("failed", "cancelled"),
            reason=_reason(at(data, "errors")),
            total=at(counts, "total") or 0,
            done=(at(counts, "completed") or 0) + (at(counts, "failed") or 0),
            files=tuple(file for file in files if isinstance(file, str) and file),
        )

    async def answers(self, status: BatchStatus) -> BatchAnswers:
        """The lines of its output and of its error file."""
        answers = BatchAnswers()
        for file in status.files:
            heard = await self._calls.call("GET", self._at(f"/files/{quote(file)}/content"))
            read_answers(heard.content.split(b"\n"), answers, openai_outcome)
        return answers

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.client.close()
        if self._writer is not None:
            await self._writer.close()

    async def _listed(self) -> AsyncIterator[Any]:
        """The batches of the account, newest first."""
        after = ""
        for _ in range(PAGES):
            data = await self._calls.data("GET", self._at("/batches", f"limit=100{after}"))
            rows = at(data, "data")
            for row in rows if isinstance(rows, list) else ():
                yield row
            if not (rows and at(data, "has_more")):
                return
            after = f"&after={quote(str(at(rows[-1], 'id')))}"

    def _at(self, path: str, query: str = "") -> str:
        parts = "&".join(part for part in (self._query, query) if part)
        return f"{path}?{parts}" if parts else path


def _form(filename: str, content: bytes) -> tuple[bytes, str]:
    """A multipart form with the file and its purpose, and its content type."""
    mark = f"selectllm-{secrets.token_hex(16)}"
    part = f"--{mark}\r\nContent-Disposition: form-data; name="
    head = (
        f'{part}"purpose"\r\n\r\nbatch\r\n{part}"file"; filename="{filename}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    end = f"\r\n--{mark}--\r\n".encode()
    return head.encode() + content + end, f"multipart/form-data; boundary={mark}"


def _reason(errors: Any) -> str:
    """What the provider says of a batch that it did not take, the first few of it."""
    rows = at(errors, "data")
    said = []
    for row in rows[:3] if isinstance(rows, list) else ():
        line = at(row, "line")
        place = f"line {line}: " if isinstance(line, int) else ""
        said.append(f"{place}{at(row, 'message') or at(row, 'code') or 'no reason'}")
    return "; ".join(said)
