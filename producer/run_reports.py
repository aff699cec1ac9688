"""RunReports: what a run comes to, as numbers, as a page and as the card of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from persqa.blobs import BlobStore
from persqa.errors import InputError
from persqa.system_errors import in_words
from producer.run_changes import RunChanges

if TYPE_CHECKING:
    from producer.reports import Report

#: Items that a report shows.
_SAMPLE = 24


class RunReports(RunChanges):
    """A part of `RunHandle`."""

    def report(self) -> Report:
        """What the run comes to, as of now; the time grows with the run."""
        from producer.reports import report_of

        return report_of(self._store, self._store.runs.reread(self.run))

    def write_report(self, path: str | Path, *, overwrite: bool = False, report: Report | None = None) -> int:
        """Write the report as a page for a browser, with figures and some items; returns how many it shows.

        Args:
            path: the file, `.html`.
            overwrite: whether the file may be there.
            report: what it says; by default as of now.

        Raises:
            InputError: the file cannot be written, is there already, or is none for a browser.
            BlobsUnavailable: the blob store does not answer.
        """
        from producer.reports import drawings, origin
        from producer.sending import Part, send

        target, found = self._target(path, overwrite=overwrite), report or self.report()
        return send(
            self._connections,
            found.run,
            target,
            Part(sample=_SAMPLE),
            overwrite=overwrite,
            figures=drawings(found),
            origin=origin(found),
        )

    def write_card(self, path: str | Path, *, overwrite: bool = False, report: Report | None = None) -> None:
        """Write the card of a data set, as the Hugging Face hub reads it; `export` puts one beside a data set itself.

        Args:
            path: the file, which the hub wants to be called README.md.
            overwrite: whether the file may be there.
            report: what it says; by default as of now.

        Raises:
            InputError: the file cannot be written, or is there already.
        """
        from producer.exporters.drafts import draft_file
        from producer.reports import card

        target = self._target(path, overwrite=overwrite)
        text = card(report or self.report())
        try:
            with draft_file(target, overwrite=overwrite) as draft:
                draft.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{target} cannot be written: {in_words(error, target)}") from error

    def _target(self, path: str | Path, *, overwrite: bool) -> Path:
        from producer.targets import check_target

        if not str(path):
            raise InputError("no file is named to write to, for its name is empty")
        blobs = BlobStore(self._connections.settings.blob_store)
        inputs = self._store.runs.inputs()
        check_target(Path(path), overwrite=overwrite, inputs=inputs, blob_folder=blobs.folder)
        return Path(path)
