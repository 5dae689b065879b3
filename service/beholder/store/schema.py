"""The tables that tastes lie in, as migrations: each is done once, in order, and never edited after a release."""

from beholder.errors import ConfigError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
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
    ),
    (
        """CREATE TABLE originals (
            taste_id {text} NOT NULL,
            image {text} NOT NULL,
            original {blob} NOT NULL,
            PRIMARY KEY (taste_id, image),
            FOREIGN KEY (taste_id, image) REFERENCES examples ON DELETE CASCADE)""",
        "ALTER TABLE tastes ADD COLUMN made_of {text} NOT NULL DEFAULT ''",
        "UPDATE tastes SET made_of = encoder || ' ' || encoder_digest || ' '",
    ),
)
"""`choices`: low < high are the two ids; outcome 1 where low is better, -1 where high is, 0 in a tie.

`originals`: images as sent, where the operator keeps them.

`tastes.made_of`: the encoder, its digest and the content (empty: none) that a taste was made with, to know the request
again that made it.

`clock`: one row. `seq` counts the writes of all tastes, `tastes` how many there are; deletions up to `forgotten` are no
longer told.
"""


def missing(version: int, where: str, **types: str) -> list[str]:
    """Return the statements that lead from schema `version` to this one's.

    Args:
        types: what the database calls `text` (compared byte by byte) and `blob`.

    Raises:
        ConfigError: a newer Beholder made `where`.
    """
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"{where} was written by a newer Beholder: its schema is {version}, this one knows up to {len(MIGRATIONS)}"
        )
    return [statement.format(**types) for migration in MIGRATIONS[version:] for statement in migration]
