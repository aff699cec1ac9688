"""What a worker or the exporter serves over HTTP, as tests want it."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import cast

from prometheus_client.parser import text_string_to_metric_families


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return cast("int", server.getsockname()[1])


def page(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def facts(port: int, path: str) -> tuple[int, dict[str, str]]:
    """Status and facts of a page of health; none where nobody answers."""
    status, text = page(port, path)
    return status, cast("dict[str, str]", json.loads(text)) if status else {}


def samples(port: int) -> dict[str, float]:
    """What stands on the page of metrics, by name and labels, as in `persqa_items_total{status="ok"}`."""
    status, text = page(port, "metrics")
    assert status == 200, text
    return read_samples(text)


def read_samples(text: str) -> dict[str, float]:
    """The same of a page's text."""
    return {
        _key(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _key(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inner}}}" if inner else name
