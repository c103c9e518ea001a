"""The portal as a program sees it: requests over TLS with whatever headers a test wants, and the display's WebSocket."""

import base64
import http.client
import json
import os
import socket
import ssl
import struct

from portal_page import PORTAL_NAME

COOKIE = "__Host-werkplek"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
TIMEOUT_S = 40


class Answer:
    """Status, headers (a list of pairs, as they came) and body."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.getheaders(), response.read()

    def header(self, name):
        """The only header of that name; None when there is none, or more than one."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if len(found) == 1 else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.status, self.json["error"]

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:300]!r}"


class PortalClient:
    """Talks to one gateway. `cookie` is kept as a browser would, and sent with each request."""

    def __init__(self, address, port, authority):
        self.address, self.port, self.cookie = address, port, None
        self.origin = f"https://{PORTAL_NAME}:{port}"
        self.context = ssl.create_default_context(cafile=authority)

    def connect(self, context=None):
        plain = socket.create_connection((self.address, self.port), timeout=TIMEOUT_S)
        return (context or self.context).wrap_socket(plain, server_hostname=PORTAL_NAME)

    def request(self, method, path, body=None, headers=None):
        """One request on a connection of its own. `headers` are all there are besides Host, Content-Length, Cookie."""
        connection = self._begin(method, path, body, headers)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def _begin(self, method, path, body, headers):
        connection = http.client.HTTPConnection(PORTAL_NAME, self.port)
        connection.sock = self.connect()
        given = dict(headers or {})
        if self.cookie is not None:
            given.setdefault("Cookie", f"{COOKIE}={self.cookie}")
        connection.request(method, path, body=body, headers=given)
        return connection

    def headers_of_page(self):
        """What a browser sends with a call of the portal's own page."""
        return {"Content-Type": "application/json", "X-Werkplek": "1", "Origin": self.origin}

    def call(self, name, request_id=None, **fields):
        """A call as the page makes it."""
        body = json.dumps({"request_id": request_id or os.urandom(16).hex(), **fields})
        return self.request("POST", f"/api/{name}", body, self.headers_of_page())

    def pools(self):
        return self.request("GET", "/api/pools")

    def sign_in(self, person, code=None, password=None):
        answer = self.call("sign-in", user=person.user, language="en", code=code or person.authenticator.code(),
                           password=person.password if password is None else password)
        if answer.status == 200:
            self.cookie = answer.header("Set-Cookie").partition(";")[0].partition("=")[2]
        return answer

    # -- the display ------------------------------------------------------------------------------

    def upgrade(self, path, headers=None):
        """Asks for a WebSocket. Gives the answer when it is not 101, else a Display."""
        given = {"Origin": self.origin, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
                 "Sec-WebSocket-Protocol": "werkplek.display", **(headers or {})}
        connection = self._begin("GET", path, None, {key: value for key, value in given.items() if value is not None})
        response = connection.getresponse()
        if response.status != 101:
            answer = Answer(response)
            connection.close()
            return answer
        return Display(connection.sock, response)


class Display:
    """The browser's end of a WebSocket (RFC 6455), without fragments."""

    def __init__(self, sock, response):
        self.socket, self.protocol, self.response = sock, response.getheader("Sec-WebSocket-Protocol"), response

    def _read(self, count):
        data = b""
        while len(data) < count:
            # The response has a buffer, in which may lie what came together with its head.
            got = self.response.fp.read1(count - len(data))
            if not got:
                raise EOFError("the display was closed")
            data += got
        return data

    def receive(self):
        """The next message: (TEXT, str), (BINARY, bytes), (CLOSE, code)."""
        first, size = self._read(2)
        if size == 126:
            size, = struct.unpack(">H", self._read(2))
        elif size == 127:
            size, = struct.unpack(">Q", self._read(8))
        data, kind = self._read(size), first & 15
        if kind == CLOSE:
            return CLOSE, struct.unpack(">H", data[:2])[0] if data else 1005
        if kind == PING:
            self.send(PONG, data)
            return self.receive()
        return kind, data.decode() if kind == TEXT else data

    def send(self, kind, data):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        assert len(data) < 126
        self.socket.sendall(bytes([0x80 | kind, 0x80 | len(data)]) + mask + masked)

    def stages(self):
        """What it is told until the last stage, that one included."""
        told = []
        while not told or told[-1]["stage"] not in ("ready", "refused", "failed"):
            kind, text = self.receive()
            assert kind == TEXT, (kind, text)
            told.append(json.loads(text))
        return told

    def wait_close(self):
        """Reads on until the other end closes; gives the code it closed with."""
        while True:
            kind, what = self.receive()
            if kind == CLOSE:
                return what

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
