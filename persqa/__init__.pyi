from producer.async_client import AsyncClient as AsyncClient
from producer.client import Client as Client
from producer.open_run import OpenRun as OpenRun
from producer.run_handle import RunHandle as RunHandle

__version__: str
