"""Backblaze's own simulator of its native API, behind HTTP, so that any client may speak to it.

    b2_server.py

It listens on a port of the system's choice, writes a JSON line to stdout (where it is, the master key, and a key that may not change
buckets), and makes the bucket `honeyDueExample` with a rule of somebody else's.
"""

import base64
import hashlib
import inspect
import io
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from b2sdk.v3 import RawSimulator
from b2sdk.v3.exception import B2Error, Conflict, InvalidAuthToken, Unauthorized

SIMULATOR = RawSimulator()
ACCOUNT, MASTER = SIMULATOR.create_account()
LOCK = Lock()
PLACES = []
REALM = "http://production.example.com"


def snake(name):
    return re.sub(r"([A-Z])", lambda letter: "_" + letter.group(1).lower(), name)


def plain(value):
    """The simulator keeps a Python set where the service has a list."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def failure(error):
    """Status, code and message, as the service says them."""
    if isinstance(error, Conflict):
        return 409, "conflict", "the bucket was changed in between"
    if isinstance(error, InvalidAuthToken):
        return 401, getattr(error, "code", "bad_auth_token"), str(error)
    if isinstance(error, Unauthorized):
        return 401, "unauthorized", str(error)
    if isinstance(error, B2Error):
        return 400, "bad_request", str(error)
    return 500, "internal_error", repr(error)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        self.answer(json.loads(self.rfile.read(length) or b"{}"))

    def answer(self, body):
        try:
            with LOCK:
                status, said = 200, self.call(self.path.rsplit("/", 1)[-1].split("?")[0], body)
        except Exception as error:  # noqa: BLE001: whatever it is, a client hears of it
            status, code, message = failure(error)
            said = {"status": status, "code": code, "message": message}
        text = json.dumps(plain(said)).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def call(self, method, body):
        here = "http://127.0.0.1:%d" % self.server.server_address[1]
        if method == "b2_authorize_account":
            pair = base64.b64decode(self.headers["authorization"].split(" ", 1)[1]).decode()
            key_id, key = pair.split(":", 1)
            said = SIMULATOR.authorize_account(REALM, key_id, key)
            said["apiInfo"]["storageApi"]["apiUrl"] = here
            return said
        token = self.headers["authorization"]
        if method == "test_put":
            return put(body)
        if method == "b2_copy_file":
            body["newFileName"] = body.pop("fileName")
        arguments = {snake(name): value for name, value in body.items()}
        called = getattr(SIMULATOR, method.removeprefix("b2_"))
        # What the simulator does not know (which types of buckets are listed) it need not be told.
        known = inspect.signature(called).parameters
        return called(SIMULATOR.API_URL, token, **{name: value for name, value in arguments.items() if name in known})


def put(body):
    """Objects for tests: the service takes bytes at another address, which the simulator does not serve."""
    data = body["text"].encode()
    token = SIMULATOR.authorize_account(REALM, ACCOUNT, MASTER)["authorizationToken"]
    api = SIMULATOR.API_URL
    bucket = SIMULATOR.list_buckets(api, token, ACCOUNT, bucket_name="honeyDueExample")["buckets"][0]["bucketId"]
    if body.get("unfinished"):
        return SIMULATOR.start_large_file(api, token, bucket, body["name"], "text/plain", {})
    if body.get("hidden"):
        return SIMULATOR.hide_file(api, token, bucket, body["name"])
    if not PLACES:
        # The simulator has a few hundred of these.
        PLACES.append(SIMULATOR.get_upload_url(api, token, bucket))
    place = PLACES[0]
    sha1 = hashlib.sha1(data).hexdigest()
    to = (place["uploadUrl"], place["authorizationToken"])
    done = SIMULATOR.upload_file(*to, body["name"], len(data), "text/plain", sha1, {}, io.BytesIO(data))
    time = body.get("timestamp")
    if time is not None:
        SIMULATOR.bucket_id_to_bucket[bucket].file_id_to_file[done["fileId"]].upload_timestamp = time
    return done


def main():
    token = SIMULATOR.authorize_account(REALM, ACCOUNT, MASTER)["authorizationToken"]
    api = SIMULATOR.API_URL
    others = [{"fileNamePrefix": "logs/", "daysFromUploadingToHiding": 30, "daysFromHidingToDeleting": None}]
    SIMULATOR.create_bucket(api, token, ACCOUNT, "honeyDueExample", "allPrivate", lifecycle_rules=others)
    reader = SIMULATOR.create_key(api, token, ACCOUNT, ["listBuckets", "readFiles"], "reader", None, None, None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = "http://127.0.0.1:%d" % server.server_address[1]
    keys = {"url": url, "keyId": ACCOUNT, "key": MASTER}
    keys.update(readerId=reader["applicationKeyId"], reader=reader["applicationKey"])
    print(json.dumps(keys), flush=True)
    server.serve_forever()


main()
