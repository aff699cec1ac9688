"""The SQL side: `Store` gives the runs, the ledger of their items, the results, and the queries about them."""

from __future__ import annotations

from persqa.store.additions import Additions
from persqa.store.bad_images import BadImages
from persqa.store.catalog_rows import CatalogRows
from persqa.store.close_ups import CloseUps
from persqa.store.comparing import Comparing
from persqa.store.database import Database
from persqa.store.dead_letters import DeadLetters
from persqa.store.deletion import Deletion
from persqa.store.endings import Endings
from persqa.store.flags import Flags
from persqa.store.hindsight import Hindsight
from persqa.store.ledger import Ledger
from persqa.store.measured import Measured
from persqa.store.opening import LookedAt, bring_up_to_date
from persqa.store.pictures import Pictures
from persqa.store.queries import Queries
from persqa.store.rates import Rates
from persqa.store.results import Results, Want
from persqa.store.reviews import Reviews
from persqa.store.runs import Runs
from persqa.store.spot_checks import SpotChecks
from persqa.store.summaries import Summaries
from persqa.store.text_search import TextSearch

__all__ = ["Store", "Want"]


class Store:
    """One open database with the schema that this version of PersQA knows.

    Every method of it and of its parts raises `StoreUnavailable` where the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = Runs(database)
        self.additions = Additions(database)
        self.ledger = Ledger(database)
        self.results = Results(database)
        self.endings = Endings(database)
        self.flags = Flags(database)
        self.reviews = Reviews(database)
        self.queries = Queries(database)
        self.close_ups = CloseUps(database)
        self.rates = Rates(database)
        self.measured = Measured(database)
        self.spot_checks = SpotChecks(database)
        self.catalog_rows = CatalogRows(database)
        self.comparing = Comparing(database)
        self.summaries = Summaries(database)
        self.pictures = Pictures(database)
        self.text_search = TextSearch(database)
        self.dead_letters = DeadLetters(database)
        self.bad_images = BadImages(database)
        self.deletion = Deletion(database)
        self.hindsight = Hindsight(database)

    @classmethod
    def open(cls, url: str, *, connections: int | None = None) -> Store:
        """Open a database to write: make it, or bring its schema up to date.

        Args:
            url: the database.
            connections: most connections open at once; None for SQLAlchemy's own limit.

        Raises:
            SettingsError: the URL is wrong; the schema is newer than this PersQA; or it is older, and this role may
                not change it; or the file is no database, another program's, or not this user's to write.
            StoreUnavailable: the database does not answer.
        """
        database = Database(url, connections=connections)
        try:
            bring_up_to_date(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    def look(cls, url: str) -> Store:
        """A database that is looked at until something is written, without connecting.

        Looking makes no file, changes no schema and needs no right to write. The first thing that is written makes the
        database, or brings its schema up to date. Until then, every method raises as well

            NoDatabase: there is none yet.
            SettingsError: it is no database of this PersQA, or this user may not read it.

        Raises:
            SettingsError: the URL is wrong.
        """
        return cls(LookedAt(url))

    def prepare(self) -> None:
        """Refuse at once what could not be written later; bring the schema up to date, but make no file yet.

        Raises:
            SettingsError: this user may not write the database, or its schema is not of this PersQA.
            StoreUnavailable: the database does not answer.
        """
        self._database.prepare()

    def make_ledger(self) -> str:
        """The identity of the ledger; makes the database where there is none yet."""
        with self._database.writing():
            pass
        return self.ledger.id

    def refuse_unwritable(self) -> None:
        """Raise SettingsError if a look tells that this user could not write the database; nothing is made."""
        self._database.refuse_unwritable()

    def ping(self) -> None:
        """Make sure that the database answers."""
        self._database.ping()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
