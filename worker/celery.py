"""The Celery app; the name of this module is where `celery -A worker` looks for it."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from celery import Celery, bootsteps, signals
from celery.exceptions import SecurityWarning
from kombu import Queue

from persqa.broker.connection import celery_url, connect
from persqa.broker.keys import TRANSPORT_OPTIONS, queue_for, queues_for
from persqa.logs import format_logs
from persqa.messages import TASK_NAME
from persqa.models import default_model
from persqa.required import require_broker
from persqa.settings import Settings, load_settings
from persqa.urls import without_password
from worker.engines.quiet import quieten_vllm
from worker.process.identity import worker_name

logger = logging.getLogger(__name__)

#: The most events in one message, and the longest time that an event waits for others.
_EVENTS_TOGETHER = 1000
_EVENT_SECONDS = 0.25
_TRANSPORT = "worker.leases.transport:Transport"


class LeasingCelery(Celery):
    """Consumes through the transport of leases; everything else uses kombu's own."""

    def __init__(self, settings: Settings, *, broker: str) -> None:
        # Without fixups, because the one for Django would look for modules in the working directory.
        super().__init__("persqa", broker=broker, set_as_current=False, fixups=[])
        self.settings = settings
        #: Whether the parent has started the broker for this worker alone.
        self.own_broker = False
        #: Celery's name for this worker, once it is known.
        self.node = ""

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """The connection that the worker consumes on."""
        connection = super().connection_for_read(url, **options)
        # Set afterwards, because kombu takes the transport of a Unix socket from its URL.
        connection.transport_cls = _TRANSPORT
        return connection


class InOurWords(logging.Filter):
    """Celery's lines about the connection: it names our transport by its module, and this worker is not only Celery."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._place = f"Redis at {without_password(url)}"

    def filter(self, record: logging.LogRecord) -> bool:
        """Reword a line, and keep all."""
        if isinstance(record.args, tuple) and any(str(part).startswith(_TRANSPORT) for part in record.args):
            if str(record.msg).startswith("consumer: Cannot connect"):
                record.msg = "%s does not answer: %s; nothing is lost, trying again"
                record.args = (record.args[0], str(record.args[1]).rstrip("."))
            places = (self._place if str(part).startswith(_TRANSPORT) else part for part in record.args)
            record.args = tuple(places)
        return True


class EventsTogether(bootsteps.StartStopStep):
    """Sends the events of many tasks in one message, a few times a second; Celery itself gathers only a few."""

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, parent: Any) -> None:
        """Take over the sending of events."""
        dispatcher = parent.event_dispatcher
        dispatcher.buffer_limit = _EVENTS_TOGETHER
        dispatcher.on_send_buffered = None
        self._timer = parent.timer.call_repeatedly(_EVENT_SECONDS, dispatcher.flush)

    def stop(self, parent: Any) -> None:
        """Send what is left."""
        self._timer.cancel()
        parent.event_dispatcher.flush()


def create_app(settings: Settings) -> LeasingCelery:
    """Set Celery up so that no message is lost or answered twice.

    Raises:
        SettingsError: no broker is named, or not by the URL of one.
    """
    url = require_broker(settings)
    # Only to refuse a wrong URL in a sentence: nothing is connected.
    connect(url).close()
    queues = [Queue(name) for name in queues_for(None, settings.model or default_model())]
    app = LeasingCelery(settings, broker=celery_url(url))
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options=TRANSPORT_OPTIONS,
        # Celery acknowledges when the pool reports success, and the pool reports it after the commit.
        task_acks_late=True,
        task_create_missing_queues=False,
        task_default_queue=queue_for(None),
        task_ignore_result=True,
        task_queues=queues,
        task_time_limit=settings.item_seconds,
        # Work goes on without a connection, because this worker finishes an item sooner than another begins it.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_concurrency=settings.window,
        # The keeper knows what this worker holds, across connections.
        worker_enable_prefetch_count_reduction=False,
        worker_pool="worker.pool:EnginePool",
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
    )
    app.steps["consumer"].add(EventsTogether)
    app.task(name=TASK_NAME)(_only_through_the_pool)
    # The database says more about an item than a log line would.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    return app


@signals.celeryd_init.connect
def _begin(instance: Any, **_signal: object) -> None:
    """Note the worker's name, and leave out Celery's banner, which says nothing of what is served."""
    app.node = instance.hostname
    instance.quiet = True


@signals.after_setup_logger.connect
def _format_logs(logger: logging.Logger, **_signal: object) -> None:
    """Format the log that Celery has just set up."""
    format_logs(logger.handlers, app.settings.log_format, worker=worker_name())
    quieten_vllm()
    for handler in logger.handlers:
        handler.addFilter(InOurWords(require_broker(app.settings)))


def introduce(app: LeasingCelery) -> None:
    """Log what this worker serves."""
    settings = app.settings
    model, broker = settings.model or default_model(), without_password(require_broker(settings))
    logger.info("serving %s from %s, into %s", model, broker, without_password(settings.database_url))
    roots = ", ".join(map(str, settings.image_roots)) or "any folder"
    logger.info("reading images below %s, %d items in flight at most", roots, settings.window)


def _only_through_the_pool(message: object) -> None:
    raise RuntimeError(f"{TASK_NAME} runs in worker.pool:EnginePool only; do not choose another pool ({message!r})")


# It recommends an option that `persqa worker` does not have.
warnings.simplefilter("ignore", SecurityWarning)
app = create_app(load_settings())
