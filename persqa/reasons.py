"""Reason codes: why an item ended as `invalid` or `dead`, for queries to group by."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an item has no answer. Stored in `results.reason` beside a sentence in `results.detail`."""

    # The record.
    NOT_JSON = "not_json"  #: the line is not valid JSON or not valid UTF-8
    NOT_AN_OBJECT = "not_an_object"  #: valid JSON, but not an object
    BAD_ROW = "bad_row"  #: the row has more or fewer cells than the header has columns
    BAD_VALUE = "bad_value"  #: a field has a value that JSON cannot express
    BAD_IMAGE_FIELD = "bad_image_field"  #: the image column is missing, or holds neither a reference nor a list of them
    TOO_MANY_IMAGES = "too_many_images"  #: more images than one item may carry
    BAD_CONVERSATION = "bad_conversation"  #: `conversation` is no list of turns with speakers
    BAD_PROMPT = "bad_prompt"  #: the run asks the `prompt` of each record, and it has no text
    BAD_TAG = "bad_tag"  #: the record's own tag breaks the tag pattern
    BAD_KEY = "bad_key"  #: a field names the records of the run, and this one has no text or number there
    OVERSIZED_MESSAGE = "oversized_message"  #: its message would be larger than the limit; or, as `dead`, was

    # The image.
    BAD_PATH = "bad_path"  #: the path cannot name a file (NUL, not UTF-8, too long)
    OUTSIDE_ROOTS = "outside_roots"  #: the path, links resolved, is not under an allowed root
    NOT_FOUND = "not_found"  #: no such file
    NOT_PERMITTED = "not_permitted"  #: the file may not be read
    NOT_A_FILE = "not_a_file"  #: a directory, FIFO, socket or device
    EMPTY_FILE = "empty_file"  #: zero bytes
    TOO_MANY_BYTES = "too_many_bytes"  #: the file is larger than the limit
    TOO_MANY_PIXELS = "too_many_pixels"  #: the image is larger than the limit
    NOT_AN_IMAGE = "not_an_image"  #: no allowed image format was recognised
    BROKEN_IMAGE = "broken_image"  #: the format was recognised, the data is truncated or corrupt
    UNREADABLE = "unreadable"  #: the operating system failed to read the file

    # The image, where it is not a local file.
    BAD_URL = "bad_url"  #: the URL, data: URI or blob reference is malformed
    HOST_NOT_ALLOWED = "host_not_allowed"  #: the URL's host, or that of a redirect, is not on the allow-list
    STORE_NOT_ALLOWED = "store_not_allowed"  #: the URL has no allowed prefix
    ADDRESS_NOT_ALLOWED = "address_not_allowed"  #: the host has only private, local or otherwise special addresses
    INSECURE_REDIRECT = "insecure_redirect"  #: from https to http
    TOO_MANY_REDIRECTS = "too_many_redirects"  #: the chain of redirects is too long
    FETCH_FAILED = "fetch_failed"  #: the server failed at every try; worth a requeue
    TOO_SLOW = "too_slow"  #: the image did not arrive within the time limit; worth a requeue
    DAMAGED_BLOB = "damaged_blob"  #: the blob store has other bytes under this digest

    # The prompt and the engine.
    SPECIAL_TOKEN = "special_token"  #: user text would introduce a special token of the model
    TOO_LONG = "too_long"  #: the prompt does not fit the model's context
    REFUSED = "refused"  #: the engine refused the request for another reason of its own

    # Never `invalid`, always `dead`.
    UNSTORABLE = "unstorable"  #: the database refused this row and only this row
    KILLS_ENGINE = "kills_engine"  #: the engine died repeatedly while it had only this item
    KILLS_WORKERS = "kills_workers"  #: delivered too often: the workers that took it died
    UNREADABLE_MESSAGE = "unreadable_message"  #: the message is not one of Celery, or has no item
    UNKNOWN_TASK = "unknown_task"  #: its message asks for an unknown task
    UNKNOWN_VERSION = "unknown_version"  #: its message has a version that this worker does not know
    TIME_LIMIT = "time_limit"  #: images and engine took longer than an item may
    UNKNOWN_RUN = "unknown_run"  #: its message is of a run that the database does not have
    REVOKED = "revoked"  #: its message was revoked
    EXPIRED = "expired"  #: its message came after its expiry
    LOST = "lost"  #: the queue lost it too often
    INTERNAL_ERROR = "internal_error"  #: a defect of PersQA; the log has the traceback
