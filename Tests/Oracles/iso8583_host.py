"""A host of its own over TCP, by pyiso8583: approves under the codes that it is told to, and says what came.

Usage: iso8583_host.py LAYOUT STEP ...    LAYOUT is generic-ascii or generic-93-ascii (messages behind two bytes of length)
A STEP answers one authorization: CODE, or CODE:AUTHORIZATION to send field 38, and +CODE[:AUTHORIZATION] behind either
for a second response of its own. All reversals are accepted.
Prints "port N", then a line for each message but network management: its type, field 11, the code that was answered.
Needs: pip install pyiso8583
"""

import copy
import socket
import struct
import sys
import threading

import iso8583
from iso8583.specs import default


def layout_1987():
    spec = copy.deepcopy(default)
    # Chip data of a contactless card.
    spec["55"]["max_len"] = 999
    return spec


def layout_1993():
    """The fields of ISO 8583:1993 that differ from 1987 and that a terminal sends."""
    spec = copy.deepcopy(default)

    def fixed(n, length, text=True):
        spec[str(n)].update(len_type=0, max_len=length, data_enc="ascii" if text else "b")

    def variable(n, digits, most, text=True):
        spec[str(n)].update(len_type=digits, max_len=most, data_enc="ascii" if text else "b")

    for n, length in [(12, 12), (22, 12), (24, 3), (25, 4), (26, 4), (39, 3)]:
        fixed(n, length)
    variable(43, 2, 99)
    variable(44, 2, 99)
    variable(55, 3, 255, text=False)
    variable(56, 2, 35)
    return spec


SPEC = {"generic-ascii": layout_1987, "generic-93-ascii": layout_1993}[sys.argv[1]]()
IS_1993 = sys.argv[1] == "generic-93-ascii"
steps = sys.argv[2:]
lock = threading.Lock()


def read(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def send(connection, message):
    raw, _ = iso8583.encode(message, SPEC)
    connection.sendall(struct.pack(">H", len(raw)) + bytes(raw))


def response(request, code, approval=None):
    kind = request["t"]
    message = {"t": kind[:2] + ("1" if kind[2] == "0" else "3") + "0"}
    for n in ("3", "4", "7", "11", "12", "37", "41", "49") + (() if IS_1993 else ("70",)):
        if n in request:
            message[n] = request[n]
    message["39"] = code
    if approval:
        message["38"] = approval
    return message


def serve(connection):
    while True:
        head = read(connection, 2)
        if head is None:
            return
        raw = read(connection, struct.unpack(">H", head)[0])
        if raw is None:
            return
        request, _ = iso8583.decode(raw, SPEC)
        kind = request["t"][1]
        if kind == "8":
            send(connection, response(request, "800" if IS_1993 else "00"))
            continue
        with lock:
            if kind == "4":
                answers = [("400" if IS_1993 else "00", None)]
            else:
                answers = [part.partition(":") for part in steps.pop(0).split("+")]
                answers = [(code, approval or None) for code, _, approval in answers]
            print(request["t"], request["11"], *[code for code, _ in answers], flush=True)
        for code, approval in answers:
            send(connection, response(request, code, approval))


server = socket.create_server(("127.0.0.1", 0))
print("port", server.getsockname()[1], flush=True)
while True:
    peer, _ = server.accept()
    threading.Thread(target=serve, args=(peer,), daemon=True).start()
