import pathlib
import re
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import broker as broker_module  # noqa: E402
import conversion  # noqa: E402
import served as served_module  # noqa: E402
import workshop as workshop_module  # noqa: E402


def pytest_configure():
    """SIGTERM ends what tests have started, as Ctrl-C does; once, however often it is sent."""

    def interrupt(number, _frame):
        signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    # A shell's background job is started with SIGINT ignored, and what tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def workshop(tmp_path):
    made = workshop_module.Workshop(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def broker(request, tmp_path_factory):
    """RabbitMQ, for all tests of a file; its HEARTBEAT_S, if it has one, is the broker's."""
    heartbeat_s = getattr(request.module, "HEARTBEAT_S", None)
    configuration = [] if heartbeat_s is None else [f"heartbeat = {heartbeat_s}"]
    made = broker_module.Broker(tmp_path_factory.mktemp("rabbitmq"), configuration)
    yield made.start()
    made.stop()


@pytest.fixture
def host(broker, request, tmp_path):
    """A virtual host of the test's own, with our queues."""
    made = broker_module.Host(broker, re.sub(r"\W|_", "-", request.node.name)[:60])
    try:
        made.migrate(tmp_path / "migrated")
        yield made
    finally:
        made.close()


@pytest.fixture
def here(tmp_path):
    """A folder to run `tapedeck convert` in."""
    return conversion.Folder(tmp_path)


@pytest.fixture
def served(tmp_path):
    """Not started yet: a test that wants options of its own starts it itself."""
    made = served_module.Served(tmp_path)
    yield made
    made.close()


@pytest.fixture
def serve(served):
    """The whole system, ready: serve.url, serve.data, serve.account, serve.token, serve.client()."""
    return served.start_serve()
