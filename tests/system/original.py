"""The parts of the original system as they look from outside, for ours to stand among: what they
send, store and ask. They know nothing that is ours alone."""

import datetime
import http.server
import json
import smtplib
import ssl
import subprocess
import threading
import urllib.parse
from base64 import b64decode
from email.message import EmailMessage

import gridfs
import jwt
import pika
import pymongo
import requests
from bson import ObjectId

SECRET = "a secret of the original's, which all its services share"
TABLE = """
    CREATE TABLE user (
      id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
      email VARCHAR(255) NOT NULL UNIQUE,
      password VARCHAR(255) NOT NULL
    );
"""


class Auth:
    """`/login` and `/validate`, by a secret of its own; every token is an administrator's."""

    def __init__(self, accounts):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                status, body = outer.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.accounts = dict(accounts)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, header):
        kind, _, credentials = header.partition(" ")
        if path == "/login" and kind == "Basic":
            email, _, password = b64decode(credentials).decode().partition(":")
            if self.accounts.get(email) != password:
                return 401, "invalid credentials"
            now = datetime.datetime.now(datetime.timezone.utc)
            claims = {"username": email, "exp": now + datetime.timedelta(days=1), "iat": now}
            return 200, jwt.encode({**claims, "admin": True}, SECRET, algorithm="HS256")
        if path != "/validate" or not credentials:
            return 401, "missing credentials"
        try:
            claims = jwt.decode(credentials, SECRET, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return 403, "not authorized"
        return 200, json.dumps(claims, sort_keys=True)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Stores:
    """What its services share: two databases of GridFS, and a channel of the broker."""

    def __init__(self, mongodb_uri, ca_file, channel):
        self.client = pymongo.MongoClient(mongodb_uri, tlsCAFile=ca_file)
        self.videos = gridfs.GridFS(self.client.videos, disable_md5=True)
        self.mp3s = gridfs.GridFS(self.client.mp3s, disable_md5=True)
        self.channel = channel

    def publish(self, queue, message):
        self.channel.basic_publish(
            "", queue, json.dumps(message), pika.BasicProperties(delivery_mode=2)
        )

    def document(self, database, fid):
        return self.client[database].fs.files.find_one({"_id": ObjectId(fid)})

    def close(self):
        self.client.close()


class Gateway:
    def __init__(self, stores, auth_url):
        self.stores = stores
        self.auth_url = auth_url

    def login(self, account):
        answer = requests.post(f"{self.auth_url}/login", auth=account)
        return answer.text if answer.status_code == 200 else None

    def admits(self, token):
        """The claims, where auth vouches for them and they are an admin's."""
        answer = requests.post(
            f"{self.auth_url}/validate", headers={"Authorization": f"Bearer {token}"}
        )
        claims = json.loads(answer.text) if answer.status_code == 200 else {"admin": False}
        return claims if claims["admin"] else None

    def upload(self, token, path):
        claims = self.admits(token)
        with open(path, "rb") as video:
            fid = self.stores.videos.put(video)
        message = {"video_fid": str(fid), "mp3_fid": None, "username": claims["username"]}
        self.stores.publish("video", message)
        return str(fid)

    def download(self, token, fid):
        assert self.admits(token)
        return self.stores.mp3s.get(ObjectId(fid)).read()


class Converter:
    def __init__(self, stores):
        self.stores = stores

    def convert(self, body):
        message = json.loads(body)
        video = self.stores.videos.get(ObjectId(message["video_fid"])).read()
        mp3 = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", "-", "-f", "mp3", "-"],
            input=video, capture_output=True, check=True,
        ).stdout
        message["mp3_fid"] = str(self.stores.mp3s.put(mp3))
        self.stores.publish("mp3", message)


class Notifier:
    def __init__(self, smtp_url, ca_file):
        self.url = urllib.parse.urlsplit(smtp_url)
        self.ca_file = ca_file

    def notify(self, body):
        message = json.loads(body)
        mail = EmailMessage()
        mail.set_content(f"mp3 file_id: {message['mp3_fid']} is now ready!")
        mail["Subject"] = "MP3 Download"
        mail["From"] = "original@example.org"
        mail["To"] = message["username"]
        with smtplib.SMTP(self.url.hostname, self.url.port) as server:
            server.starttls(context=ssl.create_default_context(cafile=self.ca_file))
            server.login(self.url.username, self.url.password)
            server.send_message(mail)
