import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import conversion  # noqa: E402
import served as served_module  # noqa: E402
import workshop as workshop_module  # noqa: E402


def pytest_configure():
    """SIGTERM ends what tests have started, as Ctrl-C does; once, however often it is sent."""

    def interrupt(number, _frame):
        signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@pytest.fixture
def workshop(tmp_path):
    made = workshop_module.Workshop(tmp_path)
    yield made
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
