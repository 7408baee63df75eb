#!/usr/bin/env python3
"""Writes what PostgreSQL answers into the case files: expect.py PORT [FILE...].

Makes the tables of data/*.sql in a scratch database of the server on that port of loopback.
"""
import pathlib
import re
import subprocess
import sys

here = pathlib.Path(__file__).parent
port = sys.argv[1]
files = [pathlib.Path(name) for name in sys.argv[2:]] or sorted((here / "cases").glob("*.sql"))


def psql(database, text):
    command = ["psql", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-XAtq", "-F", "|",
               "-P", "null=NULL", "-v", "VERBOSITY=sqlstate", "-d", database]
    return subprocess.run(command, input=text, capture_output=True, text=True)


psql("postgres", "drop database if exists report_cases;")
psql("postgres", "create database report_cases lc_collate 'C' lc_ctype 'C.UTF-8' template template0;")
made = psql("report_cases", "".join(file.read_text() for file in sorted((here / "data").glob("*.sql"))))
if made.stderr:
    sys.exit(made.stderr)

for file in files:
    out = []
    for block in re.split(r"\n\s*\n", file.read_text().strip()):
        query = block.split("\n----")[0].rstrip()
        if all(line.startswith("--") for line in query.splitlines()):
            out.append(query)
            continue
        answer = psql("report_cases", "set timezone = 'UTC';\n" + query + "\n")
        rows = answer.stdout.rstrip("\n")
        if answer.stderr:
            rows = "ERROR " + re.search(r"ERROR:\s+(\w+)", answer.stderr).group(1)
        out.append(query + "\n----" + ("\n" + rows if rows else ""))
    file.write_text("\n\n".join(out) + "\n")
