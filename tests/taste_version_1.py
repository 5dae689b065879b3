"""A store of tastes as Beholder's first schema made it: its statements, and rows that it wrote.

They lie here as they were, apart from the service: a change of what the service calls its first schema is noticed.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from taste_values import DIGEST, ENCODER, embedding, image

STATEMENTS = (
    """CREATE TABLE tastes (
        id {text} NOT NULL PRIMARY KEY,
        name {text} NOT NULL UNIQUE,
        version BIGINT NOT NULL,
        encoder {text} NOT NULL,
        encoder_digest {text} NOT NULL,
        dims BIGINT NOT NULL,
        images BIGINT NOT NULL,
        verdicts BIGINT NOT NULL,
        choices BIGINT NOT NULL,
        created_s DOUBLE PRECISION NOT NULL,
        changed_s DOUBLE PRECISION NOT NULL,
        request_id {text} NOT NULL,
        seq BIGINT NOT NULL)""",
    "CREATE INDEX tastes_by_seq ON tastes (seq)",
    """CREATE TABLE examples (
        taste_id {text} NOT NULL REFERENCES tastes ON DELETE CASCADE,
        image {text} NOT NULL,
        embedding {blob} NOT NULL,
        PRIMARY KEY (taste_id, image))""",
    """CREATE TABLE verdicts (
        taste_id {text} NOT NULL,
        image {text} NOT NULL,
        value DOUBLE PRECISION NOT NULL,
        source {text} NOT NULL,
        PRIMARY KEY (taste_id, image),
        FOREIGN KEY (taste_id, image) REFERENCES examples ON DELETE CASCADE)""",
    """CREATE TABLE choices (
        taste_id {text} NOT NULL,
        low {text} NOT NULL,
        high {text} NOT NULL,
        outcome BIGINT NOT NULL,
        PRIMARY KEY (taste_id, low, high),
        FOREIGN KEY (taste_id, low) REFERENCES examples ON DELETE CASCADE,
        FOREIGN KEY (taste_id, high) REFERENCES examples ON DELETE CASCADE)""",
    "CREATE INDEX choices_by_high ON choices (taste_id, high)",
    """CREATE TABLE requests (
        taste_id {text} NOT NULL REFERENCES tastes ON DELETE CASCADE,
        request_id {text} NOT NULL,
        version BIGINT NOT NULL,
        content {text} NOT NULL,
        answer {text} NOT NULL,
        PRIMARY KEY (taste_id, request_id))""",
    "CREATE INDEX requests_by_version ON requests (taste_id, version)",
    "CREATE TABLE deletions (seq BIGINT NOT NULL PRIMARY KEY, id {text} NOT NULL, request {text} NOT NULL)",
    "CREATE INDEX deletions_by_request ON deletions (request)",
    "CREATE TABLE clock (seq BIGINT NOT NULL, tastes BIGINT NOT NULL, forgotten BIGINT NOT NULL)",
    "INSERT INTO clock VALUES (0, 0, 0)",
)

TASTE_ID = "1ebcceb4c4464396810679a70746542d"
ANSWER_B = f'[[["{image(1)}", 1.0, "LIKE"]], [["{image(2)}", -1.0, "DISLIKE"], ["{image(3)}", "{image(2)}", 0]]]'
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "tastes": [(TASTE_ID, "ann", 3, ENCODER, DIGEST, 16, 2, 1, 1, 1795396629.25, 1795396630.5, "make", 5)],
    "examples": [(TASTE_ID, image(number), embedding(number).tobytes()) for number in (3, 1)],
    "verdicts": [(TASTE_ID, image(1), -1.0, "DISLIKE")],
    "choices": [(TASTE_ID, image(3), image(1), 1)],
    "requests": [
        (TASTE_ID, "a", 2, "23b98961c0b605714f07ae61a5b3629778b845e7833e4bd2fae4c101c38928be", "[[], []]"),
        (TASTE_ID, "b", 3, "422df1cb258a303fada4da634c77a0c63af4c3888f591e134fd96f4a9c622c53", ANSWER_B),
    ],
    "deletions": [
        (2, "b121fbc5f4c7454c995a06e3ad1af1fd", "3fbae5c590107e6ef6c49d4604e45162a5cfe3af2054b12a2d565a7da5652442")
    ],
}
"""Bob was made and deleted. Ann was made by request `make`; `a` liked 1, disliked 2, found 3 better than 1 and a tie
between 2 and 3; `b` disliked 1 and removed 2.
"""


def write(address: str, more_tastes: int = 0) -> None:
    """Write it to an empty store; `more_tastes` without opinions make it large."""
    if address.startswith("postgresql://"):
        with psycopg.connect(address) as database:
            database.execute("CREATE SCHEMA beholder")
            database.execute("SET search_path TO beholder")
            database.execute("CREATE TABLE migrations (version BIGINT NOT NULL)")
            database.execute("INSERT INTO migrations VALUES (1)")
            for statement, values in _all(more_tastes, text='TEXT COLLATE "C"', blob="BYTEA"):
                database.execute(statement.replace("?", "%s").encode(), values)
        return
    Path(address).touch(0o600)
    file = sqlite3.connect(address)
    with file:
        for statement, values in _all(more_tastes, text="TEXT", blob="BLOB"):
            file.execute(statement, values)
        file.execute("PRAGMA application_id = 1650813039")
        file.execute("PRAGMA user_version = 1")
    file.execute("PRAGMA journal_mode = WAL")
    file.close()


def version_of(address: str) -> int:
    """Return the number of the schema that a store says it has."""
    if address.startswith("postgresql://"):
        with psycopg.connect(address) as database:
            return int(database.execute("SELECT version FROM beholder.migrations").fetchall()[0][0])
    file = sqlite3.connect(address)
    ((version,),) = file.execute("PRAGMA user_version")
    file.close()
    return int(version)


def _all(more_tastes: int, **types: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for statement in STATEMENTS:
        yield statement.format(**types), ()
    for table, rows in ROWS.items():
        for row in rows:
            yield f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row  # noqa: S608
    yield "UPDATE clock SET seq = 5, tastes = 1", ()
    for number in range(more_tastes):
        name = f"t{number}"
        yield (
            f"INSERT INTO tastes VALUES (?, ?, 1, ?, '{DIGEST}', 0, 0, 0, 0, 0, 0, 'make', 5)",  # noqa: S608
            (name, name, "e" * 300),
        )
