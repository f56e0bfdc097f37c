"""The channel protocol: the libraries that people use (pusher_client_test.mjs), and what they can't be made to say."""

import concurrent.futures
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time
import unittest

from harness import *

APP = {"id": "1", "key": "app-key", "secret": "app-secret"}


def signed(path, method="GET", body=b"", app=APP, **more):
    """The path with a query that is signed as the protocol wants."""
    query = {"auth_key": app["key"], "auth_timestamp": str(int(time.time())), "auth_version": "1.0", **more}
    if body:
        query["body_md5"] = hashlib.md5(body).hexdigest()
    text = "&".join(f"{name}={query[name]}" for name in sorted(query))
    query_text = f"{text}&auth_signature=" + hmac.new(app["secret"].encode(), f"{method}\n{path}\n{text}".encode(), hashlib.sha256).hexdigest()
    return f"{path}?{query_text}"


def publish(server, name="event", channel="news", data="{}", app=APP, **more):
    body = json.dumps({"name": name, "channel": channel, "data": data, **more}).encode()
    path = f"/apps/{app['id']}/events"
    return post(server.address, signed(path, "POST", body, app=app), body)


class Client(Peer):
    """A client that speaks the protocol by hand."""

    def __init__(self, server, key=APP["key"], query="protocol=7", extra=""):
        super().__init__(server, f"/app/{key}?{query}", extra=extra)

    def hear(self):
        opcode, payload, _ = self.read()
        return json.loads(payload) if opcode == TEXT else (opcode, payload)

    def say(self, event, data=None, **more):
        self.send(frame(TEXT, json.dumps({"event": event, "data": data if data is not None else {}, **more}).encode()))

    def join(self, channel, **more):
        self.say("pusher:subscribe", {"channel": channel, **more})
        return self.hear()

    def socket_id(self):
        return json.loads(self.hear()["data"])["socket_id"]


class Protocol(unittest.TestCase):
    def test_the_client_and_server_libraries_are_content(self):
        with Server("--workers", 3) as server:
            done = subprocess.run(
                ["node", "--test", pathlib.Path(__file__).with_name("pusher_client_test.mjs")],
                cwd=ROOT, env={**os.environ, "HOLDFAST_URL": server.url}, capture_output=True, text=True, timeout=110, check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            eventually(lambda: server.connections() == 0)

    def test_the_handshake_names_the_socket_and_the_time_to_be_silent(self):
        with Server() as server, Client(server) as client:
            hello = client.hear()
            self.assertEqual(hello["event"], "pusher:connection_established")
            data = json.loads(hello["data"])
            self.assertRegex(data["socket_id"], r"^\d+\.\d+$")
            self.assertEqual(data["activity_timeout"], 120)

    def test_a_ping_is_answered_in_any_spelling(self):
        with Server() as server, Client(server) as client:
            client.socket_id()
            for text in (b'{"event":"pusher:ping","data":{}}', b' { "data" : "" , "event" : "pusher:ping" } '):
                client.send(frame(TEXT, text))
                self.assertEqual(client.hear()["event"], "pusher:pong")

    def test_what_makes_no_sense_is_told_and_does_no_harm(self):
        with Server() as server, Client(server) as client:
            client.socket_id()
            for payload in (b"", b"nonsense", b"[]", b'{"event":7}', b"{}"):
                client.send(frame(TEXT, payload))
                self.assertEqual(client.hear()["event"], "pusher:error", payload)
            client.send(frame(BINARY, b"{}"))
            self.assertEqual(client.hear()["event"], "pusher:error")
            for data in ("", {}, {"channel": ""}, {"channel": "no/slash"}, {"channel": 7}, {"channel": "x" * 165}, "not json"):
                client.say("pusher:subscribe", data)
                self.assertEqual(client.hear()["event"], "pusher:subscription_error", data)
            client.say("pusher:unsubscribe", {"channel": "never-joined"})
            client.say("pusher:pong")
            client.say("unheard-of")
            self.assertEqual(client.join("news")["event"], "pusher_internal:subscription_succeeded")

    def test_close_codes_say_what_was_wrong(self):
        with Server() as server:
            for key, query, code in (("nobody", "protocol=7", 4001), (APP["key"], "", 4008), (APP["key"], "protocol=4", 4007), (APP["key"], "protocol=8", 4007)):
                with Client(server, key, query) as client:
                    self.assertEqual(client.hear()["data"]["code"], code)
                    self.assertEqual(client.read_close(), code)

    def test_a_channels_own_topic_is_no_topic_of_the_plain_endpoints(self):
        with Server() as server, Client(server) as client, Peer(server, "/topics/%011%01news") as back_door:
            client.socket_id()
            client.join("news")
            self.assertEqual(publish(server).status, 200)
            self.assertEqual(client.hear()["event"], "event")
            post(server.address, "/topics/%011%01news", b"only this")
            self.assertEqual(back_door.read()[1], b"only this")

    def test_presence_takes_a_numeric_user_for_its_digits(self):
        with Server() as server, Client(server) as one, Client(server) as two:
            for client, data in ((one, '{"user_id":10}'), (two, '{"user_id":"10"}')):
                text = f"{client.socket_id()}:presence-a:{data}"
                auth = f"{APP['key']}:" + hmac.new(APP["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
                joined = client.join("presence-a", auth=auth, channel_data=data)
                self.assertEqual(json.loads(joined["data"])["presence"]["count"], 1)

    def test_a_request_is_refused_for_its_time_its_body_or_its_app(self):
        with Server() as server:
            body = b'{"name":"a","channel":"b","data":"c"}'
            self.assertEqual(post(server.address, signed("/apps/1/events", "POST", body), body).status, 200)
            self.assertEqual(post(server.address, signed("/apps/1/events", "POST", body), body + b" ").status, 401)
            self.assertEqual(post(server.address, signed("/apps/1/events", "POST", body, auth_timestamp=str(int(time.time()) - 601)), body).status, 401)
            self.assertEqual(post(server.address, signed("/apps/2/events", "POST", body), body).status, 404)
            self.assertEqual(post(server.address, signed("/apps/1/nothing", "POST", body), body).status, 404)
            for bad in (b"{", b"[]", b'{"name":"a","channel":"b"}', b'{"name":"","channel":"b","data":"c"}', b'{"name":"a","channels":[],"data":"c"}',
                        b'{"name":"a","channel":"b","data":"c","socket_id":"x"}'):
                self.assertEqual(post(server.address, signed("/apps/1/events", "POST", bad), bad).status, 400, bad)


class Idempotency(unittest.TestCase):
    def test_a_request_that_comes_again_with_its_key_publishes_nothing_twice(self):
        with Server() as server, Client(server) as client:
            client.socket_id()
            client.join("news")

            def publish_once(data, key):
                body = json.dumps({"name": "event", "channel": "news", "data": data}).encode()
                return post(server.address, signed("/apps/1/events", "POST", body), body, extra=f"Idempotency-Key: {key}\r\n")

            self.assertNotIn("idempotency-replayed", publish_once("1", "a").headers)
            self.assertEqual(publish_once("1", "a").headers["idempotency-replayed"], "true")
            self.assertEqual(publish_once("x" * 20_000, "b").status, 413)
            self.assertEqual(publish_once("2", "b").status, 200)
            self.assertEqual([client.hear()["data"], client.hear()["data"]], ["1", "2"])
            self.assertEqual(publish_once("3", "k" * 256).status, 400)


class Commands(unittest.TestCase):
    def test_a_terminal_publishes_and_subscribes(self):
        with Server() as server:
            address = "%s:%d" % server.address
            listener = subprocess.Popen([HOLDFAST, "subscribe", "news", "private-a", "presence-b", "--count", "3", "--server", address],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            joined = [listener.stderr.readline() for _ in range(3)]
            self.assertEqual(joined, ["on news\n", "on private-a\n", "on presence-b\n"])
            for channel in ("news", "private-a", "presence-b"):
                done = run("publish", channel, "greeting", '{"text":"hello"}', "--server", address)
                self.assertEqual(done.returncode, 0, done.stderr)
            out, errors = listener.communicate(timeout=10)
            self.assertEqual(listener.returncode, 0, errors)
            self.assertEqual(out.splitlines(), [f'{channel}\tgreeting\t{{"text":"hello"}}' for channel in ("news", "private-a", "presence-b")])
            wrong = run("publish", "news", "x", "y", "--server", address, "--app", "1:app-key:wrong")
            self.assertEqual(wrong.returncode, 1)
            self.assertIn("HTTP 401", wrong.stderr)

    def test_a_new_key_is_an_app_that_a_reload_puts_in_force(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "holdfast.toml"
            path.write_text("")
            with Server("--config", path) as server:
                path.write_text(run("key", "new").stdout)
                key = [line.split('"')[1] for line in path.read_text().splitlines() if line.startswith("key")][0]
                done = run("reload", "--pid", server.process.pid)
                self.assertEqual(done.returncode, 0, done.stderr)
                server.wait_for_log("apps reloaded")
                with Client(server, key) as client:
                    self.assertEqual(client.hear()["event"], "pusher:connection_established")
                with Client(server) as client:
                    self.assertEqual(client.hear()["data"]["code"], 4001)


class Figures(unittest.TestCase):
    def test_an_operator_is_told_of_apps_and_channels_by_name(self):
        with Server() as server, Client(server) as one, Client(server) as two:
            for client in (one, two):
                client.socket_id()
                client.join("news")
            two.join("sport")
            publish(server)
            for client in (one, two):
                client.hear()
            self.assertEqual(server.metric("holdfast_app_connections", app="1"), 2)
            self.assertEqual(server.metric("holdfast_app_channels", app="1", kind="public"), 2)
            self.assertEqual(server.metric("holdfast_app_subscriptions", app="1", kind="public"), 3)
            self.assertEqual(server.metric("holdfast_app_events_published_total"), 1)
            app = server.stats()["apps"][0]
            self.assertEqual((app["id"], app["connections"], app["channels"]["public"], app["channels"]["presence"]), ("1", 2, 2, 0))
            largest = json.loads(server.get("/channels?limit=1")[1])["channels"]
            self.assertEqual(largest, [{"app": "1", "name": "news", "kind": "public", "subscriptions": 2, "users": None}])
            self.assertEqual(server.get("/channels?limit=x")[0], 400)
            names = [topic["name"] for topic in json.loads(server.get("/topics")[1])["topics"]]
            self.assertEqual(names, ["news (app 1)", "sport (app 1)"])
            rows = json.loads(server.get("/connections")[1])["connections"]
            self.assertEqual(sorted(row["topics"] for row in rows), [["news (app 1)"], ["news (app 1)", "sport (app 1)"]])
            for row in rows:
                self.assertTrue(0 <= row["age_seconds"] < 10, row)
            two.say("pusher:unsubscribe", {"channel": "sport"})
            eventually(lambda: server.metric("holdfast_app_channels", app="1", kind="public") == 1)


class Hooks:
    """An app's server: takes webhooks, refuses the first `refusals` of them."""

    def __init__(self, refusals=0):
        self.posts = []  # (headers, body)
        hooks = self

        class Taker(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hooks.posts.append((dict(self.headers), body))
                self.send_response(200 if len(hooks.posts) > refusals else 500)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Taker)
        self.url = f"http://{HOST}:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        return [event for _, body in self.posts for event in json.loads(body)["events"]]


class Load(unittest.TestCase):
    def test_the_generator_is_many_clients_and_loses_none(self):
        with Server("--workers", 2) as server:
            for more in (("--scenario", "idle", "--channels", 50), ("--scenario", "storm", "--channels", 50, "--rounds", 2),
                         ("--scenario", "fanout", "--message-rate", 20), ("--channels", 500, "--channel-kind", "presence")):
                done = run("load", server.url, "--protocol", "pusher", "--connections", 1000, "--rate", 0, "--hold", "1s", *more)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                if "fanout" in more:
                    self.assertIn(" 0 missing, 0 twice", done.stdout)
            eventually(lambda: server.connections() == 0)
            self.assertEqual(server.metric("holdfast_app_subscriptions"), 0)

    def test_idle_clients_ask_now_and_then_whether_the_server_is_there(self):
        with Server("--workers", 2) as server:
            done = run("load", server.url, "--protocol", "pusher", "--connections", 200, "--rate", 0, "--hold", "2s", "--client-ping-interval", "500ms")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"messages +(7\d\d|8\d\d) sent, \1 of \1 received, 0 missing")

    def test_the_generator_counts_those_who_get_on_no_channel_as_refused(self):
        with Server() as server:
            done = run("load", server.url, "--protocol", "pusher", "--pusher-app", "1:no-such-key:x", "--connections", 5, "--hold", "0")
            self.assertEqual(done.returncode, 1)
            self.assertIn("an error of the Pusher protocol", done.stdout)

    @unittest.skipIf(SANITIZED, "memory tells nothing then")
    def test_a_client_on_a_public_channel_costs_at_most_192_bytes(self):
        clients = 9000
        with Server("--workers", 2) as server:
            before = server.resident_bytes()
            load = subprocess.Popen([HOLDFAST, "load", server.url, "--protocol", "pusher", "--channels", "150", "--connections", str(clients),
                                     "--rate", "0", "--hold", "4s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            eventually(lambda: server.connections() == clients, 30)
            time.sleep(1)
            each = (server.resident_bytes() - before) / clients
            self.assertEqual(load.wait(30), 0)
            self.assertLess(each, 192)


class Applications(unittest.TestCase):
    def file(self, text):
        handle = tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False)
        self.addCleanup(os.unlink, handle.name)
        handle.write(text)
        handle.close()
        return handle.name

    APP = '[[apps]]\nid = "{0}"\nkey = "{0}-key"\nsecret = "{0}-secret"\n'

    def test_apps_come_from_the_file_and_change_on_sighup_without_dropping_anybody(self):
        path = self.file(self.APP.format("one"))
        with Server("--config", path) as server, Client(server, "one-key") as client:
            client.socket_id()
            with Client(server, "two-key") as early:
                self.assertEqual(early.hear()["data"]["code"], 4001)
            pathlib.Path(path).write_text(self.APP.format("one") + self.APP.format("two"))
            server.signal(signal.SIGHUP)
            server.wait_for_log("apps reloaded")
            with Client(server, "two-key") as late:
                self.assertEqual(late.hear()["event"], "pusher:connection_established")
            pathlib.Path(path).write_text(self.APP.format("one") + "[[apps]]\nid = 7\n")
            server.signal(signal.SIGHUP)
            server.wait_for_log("apps not reloaded")
            with Client(server, "two-key") as still:
                self.assertEqual(still.hear()["event"], "pusher:connection_established")
            self.assertEqual(client.join("news")["event"], "pusher_internal:subscription_succeeded")

    def test_a_reload_ends_the_clients_of_apps_that_are_gone_or_disabled_and_no_others(self):
        path = self.file("".join(self.APP.format(name) for name in ("one", "two", "three")))
        with Server("--config", path) as server, Client(server, "one-key") as kept, Client(server, "two-key") as removed, Client(server, "three-key") as disabled:
            for client in (kept, removed, disabled):
                client.socket_id()
                client.join("news")
            pathlib.Path(path).write_text(self.APP.format("one") + self.APP.format("three") + "enabled = false\n")
            server.signal(signal.SIGHUP)
            for client, code in ((removed, 4001), (disabled, 4003)):
                self.assertEqual(client.hear()["data"]["code"], code)
                self.assertEqual(client.read_close(), code)
            self.assertEqual(kept.join("more")["event"], "pusher_internal:subscription_succeeded")

    def test_a_client_that_reads_too_slowly_is_told_to_come_back(self):
        path = self.file(self.APP.format("one") + "event_bytes_max = 60000\n")
        with Server("--config", path, "--queue-bytes-max", "64KiB", "--close-timeout", "20s") as server, Client(server, "one-key") as client:
            client.socket_id()
            client.join("news")
            app = {"id": "one", "key": "one-key", "secret": "one-secret"}
            while server.connections() == 1 and not server.metric("holdfast_queued_bytes"):
                publish(server, data="x" * 50_000, app=app)
            publish(server, data="x" * 50_000, app=app)
            publish(server, data="x" * 50_000, app=app)
            heard = client.hear()
            while isinstance(heard, dict):
                heard = client.hear()
            self.assertEqual(heard, (CLOSE, heard[1]))
            self.assertEqual(int.from_bytes(heard[1][:2], "big"), 4100)

    def test_a_client_whose_pong_does_not_come_is_told_so(self):
        with Server("--ping-interval", "200ms", "--pong-timeout", "200ms") as server, Client(server) as client:
            client.socket_id()
            heard = client.read()
            while heard[0] != CLOSE:
                heard = client.read()
            self.assertEqual(int.from_bytes(heard[1][:2], "big"), 4201)

    def hooks_file(self, hooks):
        return self.file(self.APP.format("one") + f'client_events = true\nsubscription_counts = true\nwebhooks = [{{ url = "{hooks.url}" }}]\n')

    def join_presence(self, client, channel, user):
        data = json.dumps({"user_id": user})
        text = f"{client.socket_id()}:{channel}:{data}"
        auth = "one-key:" + hmac.new(b"one-secret", text.encode(), hashlib.sha256).hexdigest()
        self.assertEqual(client.join(channel, auth=auth, channel_data=data)["event"], "pusher_internal:subscription_succeeded")

    def test_webhooks_tell_what_happened_signed_and_again_where_nobody_took_them(self):
        hooks = Hooks(refusals=1)
        self.addCleanup(hooks.close)
        with Server("--config", self.hooks_file(hooks)) as server:
            with Client(server, "one-key") as anna, Client(server, "one-key") as bob, Client(server, "one-key") as carl:
                self.join_presence(anna, "presence-room", "anna")
                self.join_presence(bob, "presence-room", "bob")
                carl.socket_id()
                carl.join("cache-price")
                anna.say("client-hello", {"x": 1}, channel="presence-room")
                names = lambda: sorted({event["name"] for event in hooks.events()})
                eventually(lambda: names() == ["cache_miss", "channel_occupied", "client_event", "member_added", "subscription_count"], 10)
            eventually(lambda: {"member_removed", "channel_vacated"} <= set(names()), 10)
        self.assertEqual(hooks.posts[0][1], next(body for _, body in hooks.posts[1:] if body == hooks.posts[0][1]), "what was refused came again")
        said = next(event for event in hooks.events() if event["name"] == "client_event")
        self.assertEqual((said["channel"], said["event"], said["data"], said["user_id"]), ("presence-room", "client-hello", {"x": 1}, "anna"))
        self.assertRegex(said["socket_id"], r"^\d+\.\d+$")
        script = """const Pusher = require("pusher"); const [headers, rawBody] = JSON.parse(process.argv[1]);
          const hook = new Pusher({appId: "one", key: "one-key", secret: "one-secret"}).webhook({headers, rawBody});
          console.log(hook.isValid(), hook.getTime().getFullYear());"""
        for headers, body in hooks.posts:
            small = {name.lower(): value for name, value in headers.items()}
            done = subprocess.run(["node", "-e", script, json.dumps([small, body.decode()])], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.stdout, f"true {time.localtime().tm_year}\n", done.stderr)
            break

    def test_an_absence_of_a_moment_is_told_to_nobody(self):
        hooks = Hooks()
        self.addCleanup(hooks.close)
        with Server("--config", self.hooks_file(hooks)) as server:
            for _ in range(3):
                with Client(server, "one-key") as client:
                    self.join_presence(client, "presence-room", "anna")
            eventually(lambda: {"channel_vacated", "member_removed"} <= {event["name"] for event in hooks.events()}, 10)
            counts = [event["name"] for event in hooks.events()]
            for name in ("channel_occupied", "channel_vacated", "member_added", "member_removed"):
                self.assertEqual(counts.count(name), 1, counts)

    def test_an_app_over_its_connections_sheds_before_the_upgrade(self):
        path = self.file(self.APP.format("one") + "max_connections = 2\n")
        with Server("--config", path) as server, Client(server, "one-key") as a, Client(server, "one-key") as b:
            a.socket_id(), b.socket_id()
            answer = exchange(server.address, upgrade_request("/app/one-key?protocol=7"))
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.headers["retry-after"], "15")

    def test_limits_of_a_client_hold(self):
        path = self.file(self.APP.format("one") + "channels_per_client = 2\nenabled = true\n")
        with Server("--config", path) as server, Client(server, "one-key") as client:
            client.socket_id()
            for name in ("a", "b"):
                self.assertEqual(client.join(name)["event"], "pusher_internal:subscription_succeeded")
            self.assertEqual(client.join("c")["data"]["type"], "LimitReached")
            client.say("pusher:unsubscribe", {"channel": "a"})
            self.assertEqual(client.join("c")["event"], "pusher_internal:subscription_succeeded")


class Stream:
    """A reader of server-sent events."""

    def __init__(self, server, path, extra=""):
        self.socket = connect(server.address)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n{extra}\r\n".encode())
        self.buffer = b""
        self.last_id = None
        self.retry = None
        self.response = Response(self._until(b"\r\n\r\n"))

    def _until(self, end):
        while end not in self.buffer:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        part, _, self.buffer = self.buffer.partition(end)
        return part + end

    def hear(self):
        """The next event's message; comments and retry are passed over."""
        while True:
            data = []
            for line in self._until(b"\n\n").decode().split("\n"):
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last_id = value
                if name == "retry":
                    self.retry = int(value)
                if name == "data":
                    data.append(value)
            if data:
                return json.loads("\n".join(data))


class History(unittest.TestCase):
    """Channels whose events are kept, and clients that come back to them."""

    CONFIG = """
[[apps]]
id = "1"
key = "app-key"
secret = "app-secret"
client_events = true
[[apps.history]]
prefix = "kept"
events = 5
[[apps.history]]
prefix = "presence-kept"
[[apps.history]]
prefix = "private-kept"
[[apps.history]]
prefix = "cache-kept"
[[apps.history]]
prefix = "long"
events = 10000
age = "60s"
"""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "holdfast.toml"
        self.path.write_text(self.CONFIG)

    def serve(self, *arguments):
        server = Server("--config", self.path, *arguments)
        self.addCleanup(server.end)
        return server

    def client(self, server):
        client = Client(server)
        self.addCleanup(client.socket.close)
        client.id = client.socket_id()
        return client

    def join(self, client, channel, **more):
        """The data of subscription_succeeded."""
        if channel.startswith("private-"):
            more.setdefault("auth", f"{APP['key']}:" + hmac.new(APP["secret"].encode(), f"{client.id}:{channel}".encode(), hashlib.sha256).hexdigest())
        answer = client.join(channel, **more)
        self.assertEqual(answer["event"], "pusher_internal:subscription_succeeded", answer)
        return json.loads(answer["data"])

    def place(self, message):
        return {"serial": message["serial"], "epoch": message["epoch"]}

    def test_events_have_a_serial_where_they_are_kept_and_nowhere_else(self):
        server = self.serve()
        client = self.client(server)
        start = self.join(client, "kept")
        self.assertEqual(start["serial"], 0)
        self.assertEqual(self.join(client, "news"), {})
        for channel in ("kept", "news", "kept"):
            publish(server, channel=channel, data="x")
        heard = [client.hear() for _ in range(3)]
        self.assertEqual(heard[1], {"event": "event", "channel": "news", "data": "x"})
        self.assertEqual(heard[2], {"event": "event", "channel": "kept", "data": "x", "serial": 2, "epoch": start["epoch"]})
        self.assertEqual(self.join(client, "other", recover={"serial": 1, "epoch": "5"}), {"recovered": False})

    def test_who_comes_back_is_told_what_it_missed_or_that_this_is_not_known(self):
        server = self.serve()
        place = self.join(self.client(server), "kept")
        for number in range(3):
            publish(server, channel="kept", data=str(number))
        back = self.client(server)
        self.assertEqual(self.join(back, "kept", recover=place), {"recovered": True, **place})
        heard = [back.hear() for _ in range(3)]
        self.assertEqual([message["data"] for message in heard], ["0", "1", "2"])
        publish(server, channel="kept", data="live")
        self.assertEqual(back.hear()["data"], "live")
        for number in range(2):
            publish(server, channel="kept", data=str(number))
        late = self.client(server)
        self.assertEqual(self.join(late, "kept", recover=place), {"recovered": False, "serial": 6, "epoch": place["epoch"]}, "five are kept")
        odd = self.client(server)
        self.assertEqual(self.join(odd, "kept", recover="nonsense")["recovered"], False)
        self.assertEqual(self.join(self.client(server), "kept", recover={"serial": 6, "epoch": place["epoch"]})["recovered"], True)

    def test_nobody_recovers_what_it_may_not_read(self):
        server = self.serve()
        member = self.client(server)
        place = self.join(member, "private-kept")
        publish(server, channel="private-kept", data="secret")
        stranger = self.client(server)
        self.assertEqual(stranger.join("private-kept", auth="app-key:" + "0" * 64, recover=place)["event"], "pusher:subscription_error")
        publish(server, channel="private-kept", data="secret")
        stranger.say("pusher:ping")
        self.assertEqual(stranger.hear()["event"], "pusher:pong")
        self.assertEqual(self.join(stranger, "private-kept", recover=place)["recovered"], True)
        self.assertEqual([stranger.hear()["serial"] for _ in range(2)], [1, 2])

    def test_a_client_that_leaves_again_at_once_hears_nothing_of_it(self):
        server = self.serve()
        place = self.join(self.client(server), "kept")
        publish(server, channel="kept", data="1")
        client = self.client(server)
        subscribe = json.dumps({"event": "pusher:subscribe", "data": {"channel": "kept", "recover": place}}).encode()
        unsubscribe = json.dumps({"event": "pusher:unsubscribe", "data": {"channel": "kept"}}).encode()
        client.send(frame(TEXT, subscribe), frame(TEXT, unsubscribe), frame(TEXT, subscribe))
        self.assertEqual(client.hear()["event"], "pusher_internal:subscription_succeeded")
        self.assertEqual(client.hear()["data"], "1")
        client.send(frame(TEXT, unsubscribe))
        client.send(frame(TEXT, subscribe), frame(TEXT, unsubscribe))
        client.say("pusher:ping")
        self.assertEqual(client.hear()["event"], "pusher:pong")
        publish(server, channel="kept", data="2")
        client.say("pusher:ping")
        self.assertEqual(client.hear()["event"], "pusher:pong")

    def stream(self, server, path, **more):
        stream = Stream(server, path, **more)
        self.addCleanup(stream.socket.close)
        return stream

    def test_a_channel_can_be_read_as_a_stream_of_server_sent_events(self):
        server = self.serve("--ping-interval", "200ms")
        stream = self.stream(server, "/apps/1/channels/kept/sse?key=app-key", extra="Origin: https://page.example\r\n")
        self.assertEqual(stream.response.status, 200)
        self.assertEqual(stream.response.headers["content-type"], "text/event-stream")
        self.assertEqual(stream.response.headers["access-control-allow-origin"], "*")
        joined = stream.hear()
        self.assertEqual(joined["event"], "pusher_internal:subscription_succeeded")
        self.assertTrue(1000 <= stream.retry < 5000)
        epoch = json.loads(joined["data"])["epoch"]
        self.assertEqual(stream.last_id, f"{epoch}:0")
        socket = self.client(server)
        self.join(socket, "kept")
        for number in range(3):
            publish(server, channel="kept", data=f"{number}\r\nline")
            message = stream.hear()
            self.assertEqual(message, socket.hear(), "the same message")
            self.assertEqual(stream.last_id, f"{epoch}:{message['serial']}")
        back = self.stream(server, "/apps/1/channels/kept/sse?key=app-key", extra=f"Last-Event-ID: {epoch}:1\r\n")
        self.assertEqual(json.loads(back.hear()["data"]), {"recovered": True, "serial": 1, "epoch": epoch})
        self.assertEqual(back.last_id, f"{epoch}:1")
        self.assertEqual([back.hear()["serial"] for _ in range(2)], [2, 3])
        lost = self.stream(server, "/apps/1/channels/kept/sse?key=app-key&last_event_id=5:1")
        self.assertEqual(json.loads(lost.hear()["data"])["recovered"], False)
        plain = self.stream(server, "/apps/1/channels/news/sse?key=app-key")
        self.assertEqual(plain.hear()["data"], "{}")
        publish(server, channel="news", data="x")
        self.assertEqual((plain.hear()["data"], plain.last_id), ("x", None))
        plain._until(b":\n\n")
        self.assertEqual((server.connections(), server.metric("holdfast_event_streams")), (5, 4))
        self.assertEqual(json.loads(exchange(server.address, f"GET {signed('/apps/1/channels/kept', info='subscription_count')} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode()).body)["subscription_count"], 4)
        for one in (stream, back, lost, plain):
            one.socket.close()
        eventually(lambda: server.metric("holdfast_event_streams") == 0 and server.connections() == 1)

    def test_a_stream_is_for_those_alone_who_may_read_the_channel(self):
        self.path.write_text(self.CONFIG.replace("client_events = true", 'origins = ["https://page.example"]\nmax_connections = 2'))
        server = self.serve()
        path = "/apps/1/channels/private-kept/sse"
        status = lambda path, extra="": exchange(server.address, f"GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{extra}\r\n".encode()).status
        self.assertEqual(status(path), 401)
        self.assertEqual(status(path + "?key=app-key"), 401)
        self.assertEqual(status(signed(path) + "x"), 401)
        self.assertEqual(status(signed("/apps/1/channels/private-other/sse").replace("other", "kept")), 401)
        old = str(int(time.time()) - 700)
        self.assertEqual(status(signed(path, auth_timestamp=old)), 401)
        self.assertEqual(status(signed(path, auth_timestamp=old, expires=str(int(time.time()) - 10))), 401)
        self.assertEqual(status(signed(path, expires=str(int(time.time()) + 100_000))), 401)
        self.assertEqual(status("/apps/1/channels/presence-kept/sse?key=app-key"), 400)
        self.assertEqual(status("/apps/1/channels/kept/sse?key=no-key"), 401)
        self.assertEqual(status("/apps/1/channels/kept/sse?key=app-key", "Origin: https://other.example\r\n"), 403)
        self.assertEqual(status("/apps/2/channels/kept/sse?key=app-key"), 404)
        first = self.stream(server, signed(path, auth_timestamp=old, expires=str(int(time.time()) + 1000)), extra="Origin: https://page.example\r\n")
        self.assertEqual(first.response.headers["access-control-allow-origin"], "https://page.example")
        first.hear()
        publish(server, channel="private-kept", data="secret")
        second = self.stream(server, signed(path) + "&last_event_id=" + first.last_id)
        self.assertEqual(json.loads(second.hear()["data"])["recovered"], True)
        self.assertEqual(second.hear()["data"], "secret")
        full = exchange(server.address, b"GET /apps/1/channels/kept/sse?key=app-key HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        self.assertEqual((full.status, full.body), (200, b"retry: 15000\n\n"), "one too many comes back later")

    def test_streams_are_drained_and_slow_ones_ended_like_other_connections(self):
        server = self.serve("--drain-time", "500ms", "--queue-bytes-max", "64KiB")
        slow = self.stream(server, "/apps/1/channels/long/sse?key=app-key")
        streams = [self.stream(server, "/apps/1/channels/kept/sse?key=app-key") for _ in range(20)]
        for stream in streams:
            stream.hear()
        while server.metric("holdfast_closed_total", reason="queue_full") == 0:
            batch = json.dumps({"batch": [{"name": "event", "channel": "long", "data": "x" * 10_000}] * 10}).encode()
            for _ in range(20):
                post(server.address, signed("/apps/1/batch_events", "POST", batch), batch)
        slow.socket.close()
        server.signal(signal.SIGTERM)
        for stream in streams:
            self.assertEqual(read_until_closed(stream.socket), b"")
        self.assertEqual(server.wait(10), 0)

    def test_members_and_the_last_event_of_a_cache_come_with_a_recovery(self):
        server = self.serve()
        client = self.client(server)
        data = '{"user_id":"anna"}'
        auth = f"{APP['key']}:" + hmac.new(APP["secret"].encode(), f"{client.id}:presence-kept:{data}".encode(), hashlib.sha256).hexdigest()
        joined = self.join(client, "presence-kept", auth=auth, channel_data=data, recover={"serial": 3, "epoch": "5"})
        self.assertEqual((joined["presence"]["count"], joined["recovered"], joined["serial"]), (1, False, 0))
        first = self.client(server)
        place = self.join(first, "cache-kept")
        self.assertEqual(first.hear()["event"], "pusher:cache_miss")
        publish(server, channel="cache-kept", data="price")
        back = self.client(server)
        self.join(back, "cache-kept", recover=place)
        self.assertEqual(back.hear()["data"], "price")
        publish(server, channel="cache-kept", data="next")
        self.assertEqual(back.hear()["data"], "next", "the last event came once, as what was missed")
        lost = self.client(server)
        self.assertEqual(self.join(lost, "cache-kept", recover={"serial": 1, "epoch": "5"})["recovered"], False)
        self.assertEqual(self.place(lost.hear()), {"serial": 2, "epoch": place["epoch"]})

    def test_another_process_or_other_rules_are_another_epoch(self):
        server = self.serve()
        place = self.join(self.client(server), "kept")
        self.path.write_text(self.CONFIG.replace("events = 5", "events = 6"))
        server.signal(signal.SIGHUP)
        server.wait_for_log("apps reloaded")
        changed = self.join(self.client(server), "kept", recover=place)
        self.assertEqual(changed["recovered"], False)
        server.signal(signal.SIGHUP)
        server.wait_for_log("apps reloaded")
        self.assertEqual(self.join(self.client(server), "kept", recover=self.place(changed))["recovered"], True, "the rules are the same")
        again = self.serve()
        self.assertEqual(self.join(self.client(again), "kept", recover=self.place(changed))["recovered"], False)

    def test_more_than_a_queue_may_hold_is_told_to_nobody(self):
        server = self.serve("--queue-bytes-max", "64KiB")
        place = self.join(self.client(server), "long")
        for _ in range(8):
            publish(server, channel="long", data="x" * 8000)
        back = self.client(server)
        joined = self.join(back, "long", recover=place)
        self.assertEqual((joined["recovered"], joined["serial"]), (False, 8))
        self.assertEqual(self.join(self.client(server), "long", recover={**place, "serial": 6})["recovered"], True)

    def test_whoever_comes_and_goes_while_all_publish_hears_each_event_once_and_in_order(self):
        server = self.serve("--workers", 3)
        events_of_one, publishers = 1_000, 3
        total = events_of_one * publishers
        place = self.join(self.client(server), "long")
        listeners = [self.client(server) for _ in range(6)]  # so that each worker delivers the channel anyway
        for listener in listeners:
            self.join(listener, "long", recover=place)

        def publish_all():
            batch = json.dumps({"batch": [{"name": "event", "channel": "long", "data": "x"}] * 10}).encode()
            for _ in range(events_of_one // 10):
                assert post(server.address, signed("/apps/1/batch_events", "POST", batch), batch).status == 200

        returns, problems = [], []

        def come_and_go(seed):
            dice = random.Random(seed)
            at = dict(place)
            while at["serial"] < total:
                client = Client(server)
                client.socket_id()
                joined = json.loads(client.join("long", recover=at)["data"])
                if joined["recovered"] is not True or joined["serial"] != at["serial"]:
                    problems.append((at, joined))
                    return
                returns.append(at["serial"])
                for _ in range(min(dice.randrange(1, 150), total - at["serial"])):
                    serial = client.hear()["serial"]
                    if serial != at["serial"] + 1:
                        problems.append((at, serial))
                        return
                    at["serial"] = serial
                client.socket.close()

        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            work = [threads.submit(publish_all) for _ in range(publishers)] + [threads.submit(come_and_go, seed) for seed in range(8)]
            for one in work:
                one.result(60)
        self.assertEqual(problems, [])
        self.assertGreater(len(returns), 8 * total / 150)
        for listener in listeners:
            self.assertEqual([listener.hear()["serial"] for _ in range(total)], list(range(1, total + 1)))


if __name__ == "__main__":
    unittest.main()
