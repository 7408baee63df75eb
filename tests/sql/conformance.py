#!/usr/bin/env python3
"""Writes NAME.txt from NAME.sql, for conformance and clients: what a real PostgreSQL 15 says to each line.

    conformance.py PORT [USER [DATABASE]]

The server must be PostgreSQL 15 with trust on loopback, and empty. Lines that begin with `@` set
tables up; `#` begins a comment; `?` marks a statement that is described and never run. Each other line is one statement, which is parsed, described, and, when
it has no parameters, run. The answer follows it, indented:

    params integer, text         the types of $1, $2, ...
    columns a integer, ?column? numeric(10,2)
    row 1|2.50                   each row, null as \\N
    error 42703 8                SQLSTATE and position; `run` instead of `error` when it came up while running
"""
import socket, struct, sys, os

class Server:
    def __init__(self, port, user, database):
        self.sock = socket.create_connection(("127.0.0.1", port))
        body = struct.pack("!i", 196608) + b"user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"
        self.sock.sendall(struct.pack("!i", len(body) + 4) + body)
        self.until_ready()

    def exactly(self, n):
        out = b""
        while len(out) < n:
            part = self.sock.recv(n - len(out))
            if not part: raise EOFError("the server closed the connection")
            out += part
        return out

    def message(self):
        head = self.exactly(5)
        return head[:1], self.exactly(struct.unpack("!i", head[1:])[0] - 4)

    def until_ready(self):
        out = []
        while True:
            kind, body = self.message()
            if kind == b"Z": return out
            out.append((kind, body))

    def send(self, *messages):
        self.sock.sendall(b"".join(kind + struct.pack("!i", len(body) + 4) + body for kind, body in messages))

    def simple(self, sql):
        self.send((b"Q", sql.encode() + b"\0"))
        for kind, body in self.until_ready():
            if kind == b"E": raise SystemExit(f"{sql}: {fields(body)}")
            if kind == b"D": yield row(body)

    def extended(self, sql, run):
        self.send((b"P", b"\0" + sql.encode() + b"\0\0\0"), (b"D", b"S\0"), (b"S", b""))
        described = self.until_ready()
        if any(kind == b"E" for kind, _ in described) or not run(described): return described, []
        self.send((b"B", b"\0\0\0\0\0\0\0\0"), (b"E", b"\0\0\0\0\0"), (b"S", b""))
        return described, self.until_ready()

def fields(body):
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}

def row(body):
    count, at, out = struct.unpack("!h", body[:2])[0], 2, []
    for _ in range(count):
        size = struct.unpack("!i", body[at:at + 4])[0]; at += 4
        out.append(None if size < 0 else body[at:at + size].decode()); at += max(size, 0)
    return out

def main():
    port = int(sys.argv[1]); user = (sys.argv[2:] + ["postgres"])[0]; database = (sys.argv[3:] + ["postgres"])[0]
    here = os.path.dirname(os.path.abspath(__file__))
    server, names = Server(port, user, database), {}
    def name(oid, typmod):
        if (oid, typmod) not in names:
            names[oid, typmod] = next(server.simple(f"select format_type({oid}, {typmod})"))[0]
        return names[oid, typmod]
    def answer(sql, describe_only):
        params, columns, out = [], None, []
        def run(described):
            if describe_only: return False
            for kind, body in described:
                if kind == b"t" and struct.unpack("!h", body[:2])[0]: return False
            return True
        described, ran = server.extended(sql, run)
        for stage, messages in (("error", described), ("run", ran)):
            for kind, body in messages:
                if kind == b"E":
                    f = fields(body); out.append(f"{stage} {f['C']} {f.get('P', '-')}")
                elif kind == b"t":
                    n = struct.unpack("!h", body[:2])[0]
                    params = struct.unpack(f"!{n}I", body[2:])
                elif kind == b"T":
                    columns, at = [], 2
                    for _ in range(struct.unpack("!h", body[:2])[0]):
                        end = body.index(b"\0", at); label = body[at:end].decode()
                        _, _, oid, _, typmod, _ = struct.unpack("!IhIhih", body[end + 1:end + 19]); at = end + 19
                        columns.append((label, oid, typmod))
                elif kind == b"D":
                    out.append("row " + "|".join("\\N" if v is None else v.replace("\n", "\\n") for v in row(body)))
        if any(line.startswith("error") for line in out): return out
        head = []
        if params: head.append("params " + ", ".join(name(p, -1) for p in params))
        if columns is not None: head.append("columns " + ", ".join(f"{l} {name(o, t)}" for l, o, t in columns))
        return head + out
    list(server.simple("set timezone = 'UTC'"))
    for script in ("conformance", "clients"):
        with open(os.path.join(here, script + ".txt"), "w") as out:
            out.write(f"# Made by conformance.py from {script}.sql with PostgreSQL 15; do not edit.\n")
            for line in open(os.path.join(here, script + ".sql")):
                line = line.rstrip("\n")
                if not line or line.startswith("#"): continue
                out.write(line + "\n")
                if line.startswith("@"): list(server.simple(line[1:])); continue
                for text in answer(line.removeprefix("?"), line.startswith("?")): out.write("    " + text + "\n")

main()
