"""Refusals: inputs and runs that do not go together, in sentences that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persqa.errors import InputError, RunConflict
from persqa.runs import RunOptions
from persqa.words import counted, option

if TYPE_CHECKING:
    from persqa.runs import Run
    from persqa.store import Store
    from producer.options import SubmitOptions
    from producer.survey import Survey


def refuse_wrong_records(found: Survey, shown: str | None) -> None:
    """Refuse the input for its wrong records, which are all of it, or one too many."""
    errors = "\n  ".join(str(error) for error in found.errors)
    more = f"\n  and {found.invalid - len(found.errors)} more" if found.invalid > len(found.errors) else ""
    wrong = f"{found.invalid} of {counted(found.records, 'record is', 'records are')} wrong"
    where = "" if shown is None else f"{shown}: "
    raise InputError(f"{where}{wrong}:\n  {errors}{more}")


def refuse_other_folder(run: Run, base: str) -> None:
    """Refuse the same names in another folder, as they are other images."""
    if run.base != base:
        raise RunConflict(
            f"the run {run.name!r} exists, and its image paths start at {run.base} and not at {base}; "
            f"choose another name with {option('run')}, submit it from there, or name that folder with "
            f"{option('image_base')}"
        )


def source_of(store: Store, options: SubmitOptions, *, name: str, base: str) -> Run | None:
    """The run whose answers are to be taken over, if one is named.

    What decides which questions are asked may differ: that is seen item by item.

    Args:
        store: the database of both runs.
        options: those of the submit that is to get the answers.
        name: the name of its run.
        base: the folder where its image paths start.

    Raises:
        RunNotFound: there is no such run.
        RunConflict: the runs differ in what makes an answer, or are the same one.
    """
    if options.reuse is None:
        return None
    source, asked = store.runs.find(options.reuse), options.asked
    if source.name == name:
        raise RunConflict(f"{option('reuse')}: the run {name!r} has its own answers already; name another run")
    named = RunOptions.model_fields
    other = [one for one in named if one not in _WHICH and getattr(source.options, one) != getattr(asked, one)]
    if other:
        differs = ", ".join(map(option, other))
        raise RunConflict(
            f"{option('reuse')}: the run {source.name!r} was asked otherwise, it differs in {differs}; "
            "its answers are none of this run, so give the same options, or leave this one out"
        )
    if source.base != base:
        raise RunConflict(
            f"{option('reuse')}: the image paths of the run {source.name!r} start at {source.base} and not at "
            f"{base}: they may be other images"
        )
    return source


#: Options that say what is asked, and not how it is answered.
_WHICH = ("limit", "sample", "seed", "pool", "questions_per_image", "id_column", "spot_check", "stop_if")
