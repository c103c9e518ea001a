"""What a person's authenticator app and fingers do: codes from an otpauth URI, answers to the prompts."""

import base64
import hashlib
import hmac
import struct
import time
import urllib.parse

STEP_S = 30
SPARE_S = 8


def seed_of(otpauth_uri):
    query = urllib.parse.parse_qs(urllib.parse.urlparse(otpauth_uri).query)
    text = query["secret"][0]
    return base64.b32decode(text + "=" * (-len(text) % 8))


def code_at(seed, step):
    """RFC 6238 with SHA-1 and six digits."""
    digest = hmac.new(seed, struct.pack(">Q", step), hashlib.sha1).digest()
    start = digest[19] & 15
    number = struct.unpack(">I", digest[start:start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


class Authenticator:
    """Gives each code once: the broker takes none twice, and none older than one it took."""

    def __init__(self, otpauth_uri):
        self._seed = seed_of(otpauth_uri)
        # For a person who wants codes from another program.
        self.secret = base64.b32encode(self._seed).decode().rstrip("=")
        self._last = 0

    def code(self):
        """A code that is good now and was not given before; waits for the next one when there is none."""
        while True:
            now, into = divmod(int(time.time()), STEP_S)
            # The step before counts until the end of this one, which must not come while the code is on its way.
            oldest = now - 1 if into < STEP_S - SPARE_S else now
            step = max(oldest, self._last + 1)
            if step <= now:
                self._last = step
                return code_at(self._seed, step)
            time.sleep(STEP_S - time.time() % STEP_S + 0.1)

    @property
    def last_step(self):
        """The time step of the last code."""
        return self._last

    def last_code(self):
        return code_at(self._seed, self._last)

    def old_code(self):
        """A code that was right five minutes ago."""
        return code_at(self._seed, int(time.time()) // STEP_S - 10)
