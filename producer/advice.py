"""Advice: what to do about items that are not `ok`: a sentence for each reason and each kind of violation."""

from __future__ import annotations

from typing import Final

from persqa.reasons import Reason
from persqa.results import Status
from persqa.verdicts import ViolationKind

_MEND = "Mend these records in the input, and submit it under another run name"
_THEN = "then ask these again"

_OF_REASONS: Final = {
    Reason.NOT_JSON: f"{_MEND}: each line must be one JSON value in UTF-8.",
    Reason.NOT_AN_OBJECT: f"{_MEND}: each record must be a JSON object with named fields.",
    Reason.BAD_ROW: f"{_MEND}: each row needs as many cells as the header has columns; look for unquoted commas.",
    Reason.BAD_VALUE: f"{_MEND}: the field that the sentence names holds what JSON cannot express.",
    Reason.BAD_IMAGE_FIELD: (
        f"{_MEND}, or name the field that holds the images with --image-column; --image-optional asks records without."
    ),
    Reason.TOO_MANY_IMAGES: "Submit under another run name with fewer images a record, or a larger PERSQA_MAX_IMAGES.",
    Reason.BAD_CONVERSATION: f"{_MEND}: `conversation` must be a list of turns, each with a speaker and a text.",
    Reason.BAD_PROMPT: f"{_MEND}: this run asks what stands in `prompt`, so each record needs text there.",
    Reason.BAD_TAG: f"{_MEND}: a tag is a name of letters, digits, - and _, with or without < and >.",
    Reason.BAD_KEY: f"{_MEND}, and add them again: each needs text or a number in the field that names the records.",
    Reason.OVERSIZED_MESSAGE: (
        "Shorten the text of these records, or raise PERSQA_MAX_MESSAGE_BYTES for producers and workers alike, and "
        "submit under another run name."
    ),
    Reason.BAD_PATH: f"{_MEND}: these paths cannot name a file.",
    Reason.OUTSIDE_ROOTS: f"Start the workers with the folder of these images in PERSQA_IMAGE_ROOTS, {_THEN}.",
    Reason.NOT_FOUND: (
        "Put the images where the sentence looks for them, or start the workers with the folder that the producer "
        f"has, {_THEN}."
    ),
    Reason.NOT_PERMITTED: f"Let the workers' user read these files, or the server give them out, {_THEN}.",
    Reason.NOT_A_FILE: f"Put an image file in the place of the folder or device that is there, {_THEN}.",
    Reason.EMPTY_FILE: f"Copy these images again, as nothing of them has arrived, {_THEN}.",
    Reason.TOO_MANY_BYTES: f"Make these images smaller, or raise PERSQA_MAX_IMAGE_BYTES of the workers, {_THEN}.",
    Reason.TOO_MANY_PIXELS: f"Make these images smaller, or raise PERSQA_MAX_IMAGE_PIXELS of the workers, {_THEN}.",
    Reason.NOT_AN_IMAGE: f"Replace these files by JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF, {_THEN}.",
    Reason.BROKEN_IMAGE: f"Copy or download these images again, as a part of each is missing or damaged, {_THEN}.",
    Reason.UNREADABLE: f"Look at the disk or network folder of these images, which failed at reading, {_THEN}.",
    Reason.BAD_URL: f"{_MEND}: these addresses are malformed, or lead away from the web.",
    Reason.HOST_NOT_ALLOWED: f"If you trust these hosts, name them in PERSQA_IMAGE_HOSTS of the workers, {_THEN}.",
    Reason.STORE_NOT_ALLOWED: f"If you trust these stores, name them in PERSQA_IMAGE_STORES of the workers, {_THEN}.",
    Reason.ADDRESS_NOT_ALLOWED: (
        "These hosts are inside a private network; only for a server of your own, which is listed, set "
        f"PERSQA_IMAGE_ALLOW_PRIVATE, {_THEN}."
    ),
    Reason.INSECURE_REDIRECT: f"{_MEND}: give the address to which the server leads, if it may come without https.",
    Reason.TOO_MANY_REDIRECTS: f"{_MEND}: give the address at the end of the redirects.",
    Reason.FETCH_FAILED: "Ask these again when the server is well; an overloaded one wants fewer PERSQA_FETCH_THREADS.",
    Reason.TOO_SLOW: "Ask these again with a larger PERSQA_IMAGE_SECONDS, or fewer PERSQA_FETCH_THREADS.",
    Reason.DAMAGED_BLOB: f"Submit the same input again, which writes the damaged images anew, {_THEN}.",
    Reason.SPECIAL_TOKEN: f"{_MEND}: the text has words that the model reserves; the sentence names them.",
    Reason.TOO_LONG: (
        "Raise max_model_len in PERSQA_ENGINE_ARGS of the workers, if the model has more, and ask these again; else "
        "shorten the records."
    ),
    Reason.REFUSED: "Mend what the engine's sentence names, such as the run's --sampling; then ask these again.",
    Reason.UNSTORABLE: "Look at the sentence of the database; ask these again when it takes such rows.",
    Reason.KILLS_ENGINE: (
        "Look at one of these items by itself: it ended the engine again and again. With another engine or smaller "
        "images, ask these again."
    ),
    Reason.KILLS_WORKERS: (
        "Look into the workers' logs, most often for memory that ran out; with a smaller PERSQA_WINDOW or "
        "PERSQA_IMAGE_MEMORY_BYTES, ask these again."
    ),
    Reason.UNREADABLE_MESSAGE: "Find out what else writes into these queues; then ask these again.",
    Reason.UNKNOWN_TASK: "Keep other programs of Celery out of these queues; then ask these again.",
    Reason.UNKNOWN_VERSION: "Bring producers and workers to one version of PersQA; then ask these again.",
    Reason.TIME_LIMIT: "Ask these again when the workers have less to do, or with a larger PERSQA_ITEM_SECONDS.",
    Reason.UNKNOWN_RUN: "Submit the input again: this database was restored from a backup, and does not know the run.",
    Reason.REVOKED: "Somebody revoked these tasks at Celery; ask these again if that was not meant.",
    Reason.EXPIRED: "Ask these again; PersQA lets no message expire, so find out what else writes into these queues.",
    Reason.LOST: "Look whether Redis drops messages (its maxmemory-policy must be noeviction), and ask these again.",
    Reason.INTERNAL_ERROR: "This is a defect of PersQA: keep the worker's log, report it, and ask these again.",
}  # fmt: skip

_ASK = "Ask these again, which samples new answers"
_OF_KINDS: Final = {
    ViolationKind.EMPTY: f"{_ASK}; if it stays so, the model does not know this prompt or picture: try another one.",
    ViolationKind.PROMPT_ECHO: f"{_ASK}; if many stay so, the model is too small for the task: try another one.",
    ViolationKind.MALFORMED_TAG: f"{_ASK}; with --tag-policy prefill in a new run, the tag is written for the model.",
    ViolationKind.WRONG_TAG: f"{_ASK}; look whether the pictures or questions name somebody else.",
    ViolationKind.LATE_TAG: f"{_ASK}; with --tag-policy repair or prefill in a new run, the tag comes first.",
    ViolationKind.MISSING_TAG: f"{_ASK}; with --tag-policy repair or prefill in a new run, the tag is always there.",
    ViolationKind.TAG_ONLY: f"{_ASK}; if many stay so, the model can say nothing of these pictures: try another one.",
    ViolationKind.TRUNCATED: "Submit a new run with a larger max_tokens in --sampling: these answers were cut off.",
}  # fmt: skip

_ALL: Final[dict[str, str]] = {**_OF_REASONS, **_OF_KINDS}

#: What a record has that is wrong in itself: asking again cannot end differently, and changes nothing.
_OF_RECORDS: Final = frozenset(
    {
        Reason.NOT_JSON,
        Reason.NOT_AN_OBJECT,
        Reason.BAD_ROW,
        Reason.BAD_VALUE,
        Reason.BAD_IMAGE_FIELD,
        Reason.TOO_MANY_IMAGES,
        Reason.BAD_CONVERSATION,
        Reason.BAD_PROMPT,
        Reason.BAD_TAG,
        Reason.BAD_KEY,
        Reason.OVERSIZED_MESSAGE,
        Reason.BAD_PATH,
    }
)
#: Images that no run tries again unless it is told to.
_OF_BAD_IMAGES: Final = frozenset({Reason.NOT_AN_IMAGE, Reason.BROKEN_IMAGE})


def advice(reason: str | None) -> str:
    """What to do about items that have ended for this reason, or whose last generation broke the rule in this way."""
    if reason in _ALL:
        return _ALL[reason]
    return "Look at some of them; when what they say is mended, ask these again."


def is_worth_asking(status: Status, reason: str | None) -> bool:
    """Whether asking again may end differently: not where a record is wrong in itself."""
    return status is not Status.INVALID or reason not in _OF_RECORDS


def is_of_bad_images(reason: str | None) -> bool:
    """Whether images of this reason are remembered as bad, and are tried again only if a requeue says so."""
    return reason in _OF_BAD_IMAGES
