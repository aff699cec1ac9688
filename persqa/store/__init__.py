"""The SQL side: `Store` gives the runs, the ledger of their items, the results, and the queries about them."""

from __future__ import annotations

from persqa.store.bad_images import BadImages
from persqa.store.database import Database
from persqa.store.dead_letters import DeadLetters
from persqa.store.deletion import Deletion
from persqa.store.ledger import Ledger
from persqa.store.migrate import migrate
from persqa.store.queries import Queries
from persqa.store.rates import Rates
from persqa.store.results import Results, Want
from persqa.store.runs import Runs

__all__ = ["Store", "Want"]


class Store:
    """One open database with the schema that this version of PersQA knows.

    Every method of it and of its parts raises `StoreUnavailable` where the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = Runs(database)
        self.ledger = Ledger(database)
        self.results = Results(database)
        self.queries = Queries(database)
        self.rates = Rates(database)
        self.dead_letters = DeadLetters(database)
        self.bad_images = BadImages(database)
        self.deletion = Deletion(database)

    @classmethod
    def open(cls, url: str, *, connections: int | None = None) -> Store:
        """Open a database and bring its schema up to date.

        Args:
            url: the database.
            connections: most connections open at once; None for SQLAlchemy's own limit.

        Raises:
            SettingsError: the URL is wrong; the schema is newer than this PersQA; or it is older, and this role may
                not change it.
            StoreUnavailable: the database does not answer.
        """
        database = Database(url, connections=connections)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def ping(self) -> None:
        """Make sure that the database answers."""
        self._database.ping()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
