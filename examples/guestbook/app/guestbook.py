"""A guestbook: one page, one form, one file that keeps the entries. Python's standard library only."""

import html
import json
import os
import signal
import sys
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

VERSION = "1.0.0"
ENTRIES = Path(os.environ.get("ENTRIES_FILE", "/data/entries.jsonl"))
SHOWN = 100
LONGEST_BODY = 16 * 1024
writing = threading.Lock()

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Guestbook</title>
<style>
  :root {{ color-scheme: light dark; --paper: #f5f7f4; --card: #fff; --ink: #1c241e; --soft: #5f6d63; --line: #dbe3dc; --leaf: #2f7d54; }}
  @media (prefers-color-scheme: dark) {{ :root {{ --paper: #121713; --card: #1a211c; --ink: #e8efe9; --soft: #9aa89e; --line: #2d382f; --leaf: #6fcf97; }} }}
  * {{ box-sizing: border-box; }}
  body {{ margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 Georgia, "DejaVu Serif", serif; }}
  main {{ max-width: 620px; margin: 0 auto; padding: 3rem 1.25rem; }}
  h1 {{ margin: 0 0 .2em; font-size: 2.2rem; letter-spacing: -.02em; }}
  .soft {{ color: var(--soft); }}
  form, li {{ background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.1rem 1.25rem; }}
  form {{ display: grid; gap: .7rem; margin: 1.6rem 0; }}
  input, textarea {{ font: inherit; width: 100%; padding: .55rem .75rem; border: 1px solid var(--line); border-radius: 9px; background: var(--paper); color: inherit; }}
  button {{ font: inherit; justify-self: start; padding: .5rem 1.3rem; border: 0; border-radius: 99px; background: var(--leaf); color: var(--card); cursor: pointer; }}
  ul {{ list-style: none; margin: 0; padding: 0; display: grid; gap: .7rem; }}
  li p {{ margin: 0 0 .3rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
  li span, footer {{ color: var(--soft); font-size: .9rem; }}
  footer {{ margin-top: 2rem; }}
</style>
<main>
<h1>Guestbook</h1>
<p class="soft">You were here. Say so.</p>
<form method="post" action="/">
  <input name="name" placeholder="Your name" maxlength="60" required aria-label="Your name">
  <textarea name="message" rows="3" placeholder="What you would like to leave" maxlength="500" required aria-label="Message"></textarea>
  <button>Sign</button>
</form>
<ul>{entries}</ul>
<footer>guestbook <code id="version">{version}</code> · {count} signed</footer>
</main></html>
"""


def read_entries():
    if not ENTRIES.exists():
        return []
    with ENTRIES.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def add_entry(name, message):
    entry = {"name": name, "message": message, "at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    line = json.dumps(entry, ensure_ascii=False) + "\n"
    with writing:
        ENTRIES.parent.mkdir(parents=True, exist_ok=True)
        with ENTRIES.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def render(entries):
    shown = "".join(
        f"<li><p>{html.escape(entry['message'])}</p><span>{html.escape(entry['name'])}, {html.escape(entry['at'][:10])}</span></li>"
        for entry in reversed(entries[-SHOWN:])
    )
    return PAGE.format(entries=shown, version=VERSION, count=len(entries)).encode()


class Guestbook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        if self.path == "/health/":
            self.answer(200, b"alive\n", "text/plain")
        elif self.path == "/":
            self.answer(200, render(read_entries()), "text/html; charset=utf-8")
        else:
            self.answer(404, b"there is no such page\n", "text/plain")

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > LONGEST_BODY:
            self.close_connection = True
            return self.answer(413, b"that is too long\n", "text/plain")
        form = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return self.answer(403, b"this form was not sent from our page\n", "text/plain")
        name, message = (form.get(key, [""])[0].strip() for key in ("name", "message"))
        if self.path != "/" or not (0 < len(name) <= 60 and 0 < len(message) <= 500):
            return self.answer(422, b"a name (60 characters) and a message (500) are needed\n", "text/plain")
        add_entry(name, message)
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        print(self.address_string(), format % args, flush=True)


class Server(ThreadingHTTPServer):
    # Closing waits for the requests that are under way.
    daemon_threads = False
    block_on_close = True


def main():
    # A pod that shares its host's network has a loopback address of its own to keep to.
    pod_ip = os.environ.get("POD_IP", "")
    address = (pod_ip if pod_ip.startswith("127.") else "", int(os.environ.get("PORT", "8000")))
    server = Server(address, Guestbook)
    # shutdown() waits for serve_forever, which runs on this thread: it needs another.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"guestbook {VERSION} listens on {server.server_address[0]}:{server.server_address[1]}", flush=True)
    server.serve_forever()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
