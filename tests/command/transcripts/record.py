#!/usr/bin/env python3
"""Writes redis-server's answers into transcripts: record.py PORT FILE...

A transcript has `# a sentence` (a new case, everything empty), `> a request` as one types it, `< a line of the
answer`, and `@ n`, after which n milliseconds have passed. Old answers are replaced.
"""

import pathlib
import socket
import sys
import time


def line_of(stream):
    return stream.readline().removesuffix(b"\r\n")


def reply_lines(stream):
    """One reply, as the lines it has on the wire."""
    head = line_of(stream)
    kind, rest = head[:1], head[1:]
    lines = [head]
    if kind in b"$=" and int(rest) >= 0:
        lines.append(stream.read(int(rest) + 2)[:-2])
    elif kind in b"*~>%":
        for _ in range(max(int(rest), 0) * (2 if kind == b"%" else 1)):
            lines += reply_lines(stream)
    return lines


def record(port, path):
    out = []
    connection, stream = None, None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("< "):
            continue
        out.append(line)
        if line.startswith("# "):
            connection = socket.create_connection(("127.0.0.1", port))
            stream = connection.makefile("rb")
            connection.sendall(b"FLUSHALL\r\n")
            reply_lines(stream)
        elif line.startswith("@ "):
            time.sleep(int(line[2:]) / 1000)
        elif line.startswith("> "):
            connection.sendall(line[2:].encode() + b"\r\n")
            answer = reply_lines(stream)
            if not line.startswith(("> HELLO", "> SELECT")):
                out += ["< " + part.decode() for part in answer]
    path.write_text("\n".join(out) + "\n", encoding="utf-8")


for name in sys.argv[2:]:
    record(int(sys.argv[1]), pathlib.Path(name))
