"""A random digest is never that of a random body: half of what is put goes without one, so that it can be taken."""

import re

import schemathesis
from schemathesis.core import NOT_SET

HEX64 = re.compile(r"[0-9A-Fa-f]{64}")
OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.method != "PUT":
        return
    headers = case.headers or {}
    digest = headers.get("X-Checksum-Sha256", "")
    if HEX64.fullmatch(digest) and digest[0] > "3":
        del headers["X-Checksum-Sha256"]
    if case.path == "/cas/{key}" and case.path_parameters.get("key") == OF_NOTHING:
        case.body = NOT_SET
