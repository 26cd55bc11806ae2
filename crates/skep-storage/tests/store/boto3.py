"""Signs what it is given with Amazon's own library, and prints the signatures."""
import datetime, json, sys, types
import botocore.auth as auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

asked = json.load(sys.stdin)
now = datetime.datetime.strptime(asked["date"], "%Y%m%dT%H%M%SZ")


class Frozen(datetime.datetime):
    """A clock that stands."""

    @classmethod
    def utcnow(cls):
        return now


auth.datetime = types.SimpleNamespace(datetime=Frozen)
if hasattr(auth, "get_current_datetime"):
    auth.get_current_datetime = lambda *_, **__: now
credentials = Credentials(asked["id"], asked["secret"], asked.get("token"))
request = AWSRequest(method="PUT", url=asked["url"], headers=asked["headers"])
auth.S3SigV4QueryAuth(credentials, "s3", asked["region"], expires=asked["expires"]).add_auth(request)
form = auth.S3SigV4PostAuth(credentials, "s3", asked["region"])
posted = AWSRequest(method="POST", url=asked["url"])
posted.context["timestamp"] = asked["date"]
print(json.dumps({"url": request.url, "form": form.signature(asked["policy"], posted)}))
