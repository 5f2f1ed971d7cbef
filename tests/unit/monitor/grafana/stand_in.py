"""Stands where Grafana's program would: takes the same arguments and variables, reads the same files, answers at the
same place. It shows nothing; what Grafana itself makes of the files is not tested here.

It is run as a program by the tests and must import nothing of theirs.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

VERSION = "grafana version 11.6.0"


def read(provisioning: Path) -> dict[str, Any]:
    """What Grafana would have found."""
    (source,) = json.loads((provisioning / "datasources" / "trident.yaml").read_text())["datasources"]
    (provider,) = json.loads((provisioning / "dashboards" / "trident.yaml").read_text())["providers"]
    files = sorted(Path(provider["options"]["path"]).glob("*.json"))
    return {"source": source["url"], "dashboards": [json.loads(file.read_text())["uid"] for file in files]}


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(VERSION + "\n")
        return
    server, home = sys.argv[1:]
    assert server == "server" and home.startswith("--homepath=")
    assert Path(os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).is_file()
    found = read(Path(os.environ["GF_PATHS_PROVISIONING"]))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"database": "ok", "version": "11.6.0"} if self.path == "/api/health" else found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    place = (os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"]))
    HTTPServer(place, Handler).serve_forever()


if __name__ == "__main__":
    main()
