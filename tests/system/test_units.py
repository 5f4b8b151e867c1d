"""deploy/systemd, as far as can be seen without systemd: tests/container/check-systemd has one."""

from workshop import ROOT


def confinement(unit):
    text = (ROOT / "deploy" / "systemd" / unit).read_text()
    return text[text.index("KillMode="):]


def test_one_service_by_itself_is_confined_as_the_whole_system_is():
    assert confinement("tapedeck@.service") == confinement("tapedeck.service")
