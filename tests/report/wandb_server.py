"""As much of a Weights & Biases server, on this machine alone, as uploads and reports ask for."""

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import wandb


class WandbServer(ThreadingHTTPServer):
    """Keeps what it is sent.

    Attributes:
        runs: By id, what was said of the run: its group, its project, its config.
        history: By id, the logged lines.
        files: By id and name, the contents.
        reports: The reports, as they were sent.
        broken: Ids of runs of which nothing is taken.
        asked: Every operation of GraphQL, with its variables.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.reports: list[dict[str, Any]] = []
        self.broken: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """What GraphQL's operation gives back; None for a refusal."""
        if operation == "Viewer":
            return {"viewer": {"id": "u", "username": "me", "entity": "me", "email": "", "admin": False, "flags": "{}"}}
        if operation == "GetProjects":
            project = {"id": "p", "name": "music", "entityName": given["entity"], "createdAt": "", "isBenchmark": False}
            pages = {"hasNextPage": False, "endCursor": None}
            return {"models": {"pageInfo": pages, "edges": [{"node": {**project, "user": None}}]}}
        if operation == "RunResumeStatus":
            return {"model": {"id": "p", "name": given["project"], "bucket": self._bucket(given["name"])}}
        if operation == "UpsertBucket":
            if given["name"] in self.broken:
                return None
            self.runs.setdefault(given["name"], {}).update({key: value for key, value in given.items() if value})
            return {"upsertBucket": {"bucket": self._bucket(given["name"]), "inserted": True}}
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/put/{given['run']}/{name}"} for name in given["files"]]
            return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        if operation == "upsertView":
            self.reports.append(given)
            view = {
                "id": "VmlldzoxMjM=",
                "type": "runs",
                "name": given["name"],
                "displayName": given["displayName"],
                "description": given["description"],
                "project": {"id": "p", "name": given["projectName"], "entityName": given["entityName"]},
                "spec": given["spec"],
                "updatedAt": "2026-01-01T00:00:00Z",
            }
            return {"upsertView": {"view": view, "inserted": True}}
        return {}

    def _bucket(self, name: str) -> dict[str, Any] | None:
        if name not in self.runs:
            return None
        lines = self.history.get(name, [])
        run = self.runs[name]
        project = {"id": "p", "name": run["project"], "entity": {"id": "e", "name": run.get("entity") or "me"}}
        return {
            "id": name,
            "name": name,
            "displayName": run.get("displayName"),
            "project": project,
            "historyLineCount": len(lines),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in lines[-1:]]),
            "eventsTail": "[]",
            "config": "{}",
            "summaryMetrics": "{}",
            "tags": [],
            "wandbConfig": "{}",
        }


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[WandbServer]:
    """A server for as long as the block runs, where one is logged in; settings of one's own are left alone."""
    server = WandbServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "wandb_config"))
    wandb.teardown()  # it would remember another server
    try:
        yield server
    finally:
        wandb.teardown()
        server.shutdown()
        server.server_close()
        thread.join()


def log_out(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Takes away whatever may say who one is."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(folder / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "wandb_config"))
    wandb.teardown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version: ClassVar[str] = "HTTP/1.1"
    server: WandbServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/graphql":
            asked = json.loads(body)
            operation = asked.get("operationName") or asked["query"].split("(")[0].split()[-1]
            data = self.server.answer(operation, asked.get("variables") or {})
            self.server.asked.append((operation, asked.get("variables") or {}))
            if data is None:
                self._send({"errors": [{"message": "permission denied"}]}, 403)
            else:
                self._send({"data": data})
            return
        if self.path.endswith("/file_stream"):
            run = self.path.split("/")[-2]
            sent = json.loads(body).get("files", {}).get("wandb-history.jsonl", {})
            lines = self.server.history.setdefault(run, [])
            lines[sent.get("offset", len(lines)) :] = [json.loads(line) for line in sent.get("content", [])]
        self._send({})

    def do_PUT(self) -> None:
        _, _, run, name = self.path.split("/", 3)
        self.server.files[run, name] = self._body()
        self._send({})

    def do_GET(self) -> None:
        self._send({})

    def handle(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # a client may leave as it likes
            super().handle()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _send(self, content: dict[str, Any], code: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
