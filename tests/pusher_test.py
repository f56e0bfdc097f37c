"""The channel protocol: the libraries that people use (pusher_client_test.mjs), and what they can't be made to say."""

import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from pusher_peers import *


class Protocol(unittest.TestCase):
    CONFIG = '[[apps]]\nid = "1"\nkey = "app-key"\nsecret = "app-secret"\nclient_events = true\n' + "".join(
        f'[[apps.history]]\nprefix = "{kind}kept"\n' for kind in ("", "private-", "presence-", "cache-")
    ) + '[[apps]]\nid = "full"\nkey = "full-key"\nsecret = "x"\nmax_connections = 1\n'

    def test_the_client_and_server_libraries_are_content(self):
        config = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.addCleanup(config.close)
        config.write(self.CONFIG)
        config.flush()
        with Server("--config", config.name, "--workers", 3) as server:
            done = subprocess.run(
                ["node", "--test", pathlib.Path(__file__).with_name("pusher_client_test.mjs")],
                cwd=ROOT,
                env={**os.environ, "HOLDFAST_URL": server.url, "HOLDFAST_ADMIN": "http://%s:%d" % server.admin,
                     "HOLDFAST_RECOVERY": str(pathlib.Path(HOLDFAST).with_name("web") / "recovery/recovery.mjs")},
                capture_output=True, text=True, timeout=110 * SLOWNESS, check=False,
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
            out, errors = listener.communicate(timeout=PATIENCE)
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
                self.assertTrue(0 <= row["age_seconds"] < 2 * PATIENCE, row)
            two.say("pusher:unsubscribe", {"channel": "sport"})
            eventually(lambda: server.metric("holdfast_app_channels", app="1", kind="public") == 1)


if __name__ == "__main__":
    unittest.main()
