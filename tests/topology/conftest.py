"""The topology of docker-compose.yml from real parts: each service as the file has it, on a host of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from persqa.settings import Settings, load_settings
from tests.conftest import Size
from tests.support.builders import write_images
from tests.support.prometheus import prometheus_binary
from tests.topology.compose import read_services
from tests.topology.images import TREE
from tests.topology.network import Network, NotPermitted
from tests.topology.services import Services

#: What these tests must have otherwise than the Compose file, and why.
CHANGED = {
    "worker": {
        # Nobody here has a GPU, and it is not the engine that is on trial.
        "PERSQA_ENGINE": "tests.support.scripted_engine:ScriptedEngine",
        "PERSQA_ENGINE_ARGS": '{"script": "tests.support.scripts:takes_as_told"}',
        "SCRIPT_SECONDS_FILE": "/images/seconds",
        # What takes half a minute with the usual ones takes some seconds.
        "PERSQA_LEASE_SECONDS": "5",
        "PERSQA_RECONCILE_SECONDS": "5",
        # Four workers are not to have the whole run in hand at once.
        "PERSQA_WINDOW": "16",
    }
}
#: At the start.
WORKERS = 4


@dataclass(frozen=True, slots=True)
class Deployment:
    """The services, started, and what a test needs to look at them."""

    services: Services
    folder: Path
    items: int

    def password(self, name: str) -> str:
        """One of those that deploy/secrets.sh has made."""
        return (self.folder / "secrets" / f"{name}_password").read_text()

    def settings(self, account: str, role: str) -> Settings:
        """How an account of Redis and a role of PostgreSQL get at both, from a host of the network."""
        redis, postgres = self.services.host("redis").address, self.services.host("postgres").address
        return load_settings(
            broker_url=f"redis://{account}:{self.password(f'redis_{account}')}@{redis}:6379/0",
            database_url=f"postgresql://persqa_{role}:{self.password(f'postgres_{role}')}@{postgres}:5432/persqa",
        )

    def take(self, seconds: float) -> None:
        """From now on items take so long, on average."""
        new = self.folder / "images" / "seconds.new"
        new.write_text(str(seconds))
        new.rename(self.folder / "images" / "seconds")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests stay together, so that one deployment is enough; metrics come last, when there is much to see."""
    ours = Path(__file__).parent
    items.sort(key=lambda item: (0, item.path.name) if item.path.is_relative_to(ours) else (1, ""))


@pytest.fixture(scope="package")
def deployment(size: Size) -> Iterator[Deployment]:
    """Redis, PostgreSQL, four workers and, where there is one, Prometheus; started once for all."""
    items = size(3000, 20_000)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="persqa-topology-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            network = stack.enter_context(Network(folder))
        except NotPermitted as reason:
            pytest.skip(f"no network namespaces here: {reason}")
        write_images(folder / "images", items)
        subprocess.run([TREE / "deploy" / "secrets.sh", folder / "secrets"], check=True, stdout=subprocess.DEVNULL)
        variables = {
            "PERSQA_IMAGES": str(folder / "images"),
            "PERSQA_SECRETS": str(folder / "secrets"),
            "PERSQA_EXPORTS": str(folder / "exports"),
        }
        (folder / "exports").mkdir()
        files = [TREE / "docker-compose.yml", TREE / "compose.cpu.yml"]
        declared = read_services(files[:1], variables)
        declared["worker-cpu"] = read_services(files, variables)["worker"]
        services = Services(network, folder, declared, CHANGED)
        stack.callback(services.close)
        made = Deployment(services, folder, items)
        made.take(0.05)
        services.start("worker", *range(1, WORKERS + 1))
        if prometheus_binary() is not None:
            stack.enter_context(services.host("prometheus").answering_names(network.names_file))
            services.start("prometheus")
        yield made


@pytest.fixture(autouse=True)
def _on_a_host_of_the_network(deployment: Deployment) -> Iterator[None]:
    """Tests look at the services from a host of their own."""
    with deployment.services.host("looker").entered():
        yield
