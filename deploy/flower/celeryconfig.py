"""Flower's connection, from PersQA's settings; `celery flower` finds this file as the module `celeryconfig`."""

from __future__ import annotations

from persqa.broker.connection import celery_url
from persqa.broker.keys import TRANSPORT_OPTIONS
from persqa.settings import load_settings

_url = load_settings().broker_url
assert _url is not None, "set PERSQA_BROKER_URL"
broker_url = celery_url(_url)
broker_transport_options = TRANSPORT_OPTIONS
