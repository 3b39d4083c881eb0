"""What must not be found after logins with these passwords: lines for secret_scan.py.

usage: secret_list.py PORT KEY_FILE CANARY ROLE=PASSWORD...

PORT is of a server's, where the roles' SCRAM secrets are read as superuser; KEY_FILE is a TLS key.
"""

import base64
import hashlib
import hmac
import re
import subprocess
import sys

port, key_file, canary = sys.argv[1:4]


def say(name, where, data):
    print(name, where, data.hex())


def stored(role):
    return subprocess.run(["psql", "-XAtq", "-p", port, "-c",
                           f"select rolpassword from pg_authid where rolname = '{role}'"],
                          check=True, capture_output=True, text=True).stdout.strip()


def scram(role, password, text):
    _, salt, keys = text.split("$")
    iterations, salt = salt.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt),
                                 int(iterations))
    say(f"{role}:salted-password", "nowhere", salted)
    say(f"{role}:client-key", "nowhere", hmac.digest(salted, b"Client Key", "sha256"))
    for name, key in zip(("stored-key", "server-key"), keys.split(":")):
        say(f"{role}:{name}", "relay", base64.b64decode(key))
        say(f"{role}:{name}-text", "relay", key.encode())


say("canary", "canary", canary.encode())
for part in sys.argv[4:]:
    role, password = part.split("=")
    say(f"{role}:password", "nowhere", password.encode())
    if role.startswith("wrong"):
        continue
    text = stored(role)
    if text.startswith("SCRAM"):
        scram(role, password, text)
    else:
        say(f"{role}:md5", "nowhere", text[3:].encode())

key = subprocess.run(["openssl", "rsa", "-in", key_file, "-noout", "-text"], check=True,
                     capture_output=True, text=True).stdout
exponent = re.search(r"privateExponent:\s*([0-9a-f:\s]+)", key)[1]
exponent = bytes.fromhex(re.sub(r"[^0-9a-f]", "", exponent)).lstrip(b"\0")
say("tls-key", "relay", exponent[:64])
say("tls-key-in-memory", "relay", exponent[::-1][:64])
with open(key_file, "rb") as pem:
    say("tls-key-file", "relay", pem.read().split(b"\n")[5])
