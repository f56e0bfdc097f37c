"""Applications of the channel protocol: their settings, limits and webhooks, and what a reload changes."""

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
                eventually(lambda: names() == ["cache_miss", "channel_occupied", "client_event", "member_added", "subscription_count"])
            eventually(lambda: {"member_removed", "channel_vacated"} <= set(names()))
            eventually(lambda: hooks.posts[0][1] in [body for _, body in hooks.posts[1:]], message="what was refused did not come again")
        said = next(event for event in hooks.events() if event["name"] == "client_event")
        self.assertEqual((said["channel"], said["event"], said["data"], said["user_id"]), ("presence-room", "client-hello", {"x": 1}, "anna"))
        self.assertRegex(said["socket_id"], r"^\d+\.\d+$")
        script = """const Pusher = require("pusher");
          const hook = (secret, {headers, body}) => new Pusher({appId: "one", key: "one-key", secret}).webhook({headers, rawBody: body});
          for (const post of JSON.parse(process.argv[1])) {
            const mine = hook("one-secret", post);
            console.log(mine.isValid(), hook("another", post).isValid(), hook("one-secret", {...post, body: post.body + " "}).isValid(),
                        mine.getTime().getFullYear(), mine.getEvents().length);
          }"""
        posts = [{"headers": {name.lower(): value for name, value in headers.items()}, "body": body.decode()} for headers, body in hooks.posts]
        done = subprocess.run(["node", "-e", script, json.dumps(posts)], cwd=ROOT, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
        expected = [f"true false false {time.localtime().tm_year} {len(json.loads(body)['events'])}" for _, body in hooks.posts]
        self.assertEqual(done.stdout.splitlines(), expected, done.stderr)

    def test_an_absence_of_a_moment_is_told_to_nobody(self):
        hooks = Hooks()
        self.addCleanup(hooks.close)
        with Server("--config", self.hooks_file(hooks)) as server:
            for _ in range(3):
                with Client(server, "one-key") as client:
                    self.join_presence(client, "presence-room", "anna")
            eventually(lambda: {"channel_vacated", "member_removed"} <= {event["name"] for event in hooks.events()})
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


if __name__ == "__main__":
    unittest.main()
