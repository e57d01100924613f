# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compacts recordings of a real Dify into one JSONL a version: ``python compact_dify.py SOURCE/dify recordings/dify``.

SOURCE/dify/<version>/<number>-<name>.json holds one request and its answer each. Kept is what the contract test
compares. Texts for people (labels, help) become "text", and other providers than Xinference's are left out.
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

LANGUAGES = {"zh_Hans", "en_US", "pt_BR", "ja_JP"}
HEADERS = ("X-Version", "Content-Type")


def plain(value: t.Any) -> t.Any:
    """A body without the texts that only people read."""
    if isinstance(value, list):
        return [plain(item) for item in value if not _other_provider(item)]
    if isinstance(value, dict):
        return {key: "text" if key in LANGUAGES else plain(item) for key, item in value.items()}
    return value


def _other_provider(item: t.Any) -> bool:
    return isinstance(item, dict) and "configurate_methods" in item and "xinference" not in item.get("provider", "")


def line(number: int, recorded: dict[str, t.Any]) -> dict[str, t.Any]:
    asked, told = recorded["request"], recorded["response"]
    request = {
        key: asked[key] for key in ("method", "path", "query", "headers", "json", "raw", "files") if asked.get(key)
    }
    response = {
        "status": told["status"],
        "headers": {name: told["headers"][name] for name in HEADERS if name in told["headers"]},
    }
    if told.get("set_cookie"):
        response["set_cookie"] = told["set_cookie"]
    if told.get("json") is not None:
        response["json"] = plain(told["json"])
    return {"number": number, "name": recorded["name"], "request": request, "response": response}


def main(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for version in sorted(item for item in source.iterdir() if item.is_dir()):
        files = sorted(version.glob("*.json"), key=lambda path: int(path.name.split("-")[0]))
        lines = [line(int(path.name.split("-")[0]), json.loads(path.read_text())) for path in files]
        text = "".join(json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n" for item in lines)
        (target / f"{version.name}.jsonl").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
