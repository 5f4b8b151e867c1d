"""What `smtp` runs: smtp-server.py FOLDER NAME=PORT..."""

import asyncio
import itertools
import json
import logging
import os
import pathlib
import re
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP, AuthResult

WORDS = "Ask postmaster@localhost: not here, not today"
OWN_CERTIFICATES = ("other-host", "expired", "stranger")
LOGIN = (b"tapedeck", os.environb[b"SMTP_PASSWORD"])


class Mailbox:
    """What all ports share."""

    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count(1)
        self.tried = set()

    def keep(self, name, session, envelope):
        for address in envelope.rcpt_tos:
            box = self.folder / "mail" / address.replace("/", "_")
            for part in ("tmp", "new", "cur"):
                (box / part).mkdir(parents=True, exist_ok=True)
            file = f"{time.time():.6f}.{next(self.numbers)}.localhost"
            (box / "tmp" / file).write_bytes(envelope.original_content)
            (box / "tmp" / file).rename(box / "new" / file)
            told = {
                "from": envelope.mail_from, "to": address, "options": envelope.mail_options,
                "greeting": session.host_name, "login": session.authenticated, "port": name,
                "file": file,
            }
            with open(self.folder / "envelopes", "a") as lines:
                print(json.dumps(told), file=lines)

    def fault(self, kind, address):
        """The argument of the fault, "" where it has none, None where it is not to be made."""
        pattern = rf"(once-)?{kind}(?:-([\d.]+))?\+"
        found = re.match(pattern, address) or re.match(pattern, self.fault_of_all())
        if not found or (found[1] and (kind, address) in self.tried):
            return None
        self.tried.add((kind, address))
        with open(self.folder / "faults", "a") as lines:
            print(found[0], file=lines)
        return found[2] or ""

    def fault_of_all(self):
        try:
            return (self.folder / "fault").read_text()
        except FileNotFoundError:
            return ""


class Handler:
    """One connection's."""

    def __init__(self, mailbox, name):
        self.mailbox = mailbox
        self.name = name
        self.is_mute = False

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.name == "relay":
            return f"554 5.7.1 <{address}>: Relay access denied"
        self.is_mute = self.mailbox.fault("mute", address) is not None
        seconds = self.mailbox.fault("slow", address)
        if seconds is not None:
            await asyncio.sleep(float(seconds))
        code = self.mailbox.fault("refuse", address)
        if code is not None:
            return f"{code} {code[0]}.1.1 <{address}>: {WORDS}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        [address] = envelope.rcpt_tos
        code = self.mailbox.fault("reject", address)
        if code is not None:
            return f"{code}-{code[0]}.6.0 {WORDS}\r\n{code} {code[0]}.6.0 nor tomorrow"
        self.mailbox.keep(self.name, session, envelope)
        if self.mailbox.fault("drop", address) is not None:
            server.transport.abort()
        seconds = self.mailbox.fault("late", address)
        if seconds is not None:
            await asyncio.sleep(float(seconds))
        return "250 2.0.0 kept"

    async def handle_QUIT(self, server, session, envelope):
        if self.is_mute:
            await asyncio.sleep(600)
        return "221 Bye"

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        if self.name == "relay":
            responses = [line for line in responses if not line.startswith("250-AUTH")]
        return responses


def authenticate(server, session, envelope, mechanism, data):
    if data.login == b"busy":
        return AuthResult(success=False, handled=False, message="454 4.7.0 Ask me later")
    is_right = (data.login, data.password) == LOGIN
    return AuthResult(success=is_right, handled=False, auth_data=data)


def context_of(name):
    file = pathlib.Path(os.environ["TLS_DIR"]) / (name if name in OWN_CERTIFICATES else "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file.with_suffix(".pem"), file.with_suffix(".key"))
    return context


async def listen(mailbox, name, port):
    loop = asyncio.get_running_loop()
    context = None if name == "plain" else context_of(name)
    starttls = None if name == "tls" else context
    wants_login = name not in ("relay", "plain")

    def answer():
        return SMTP(
            Handler(mailbox, name), hostname="mail.localhost", ident="ESMTP", loop=loop,
            enable_SMTPUTF8=name != "plain",
            tls_context=starttls, require_starttls=starttls is not None,
            authenticator=authenticate, auth_required=wants_login,
            auth_require_tls=starttls is not None or not wants_login,
        )

    await loop.create_server(answer, "127.0.0.1", port, ssl=context if name == "tls" else None)


async def serve(folder, ports):
    mailbox = Mailbox(folder)
    for name, port in ports:
        await listen(mailbox, name, int(port))
    (folder / "ready").touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # it warns of itself at each login
    asyncio.run(serve(pathlib.Path(sys.argv[1]), [word.split("=") for word in sys.argv[2:]]))
