"""Channels whose events are kept: clients that come back to them, and readers of server-sent events."""

import concurrent.futures
import hashlib
import hmac
import json
import pathlib
import random
import tempfile
import time
import unittest

import tls_test
from pusher_peers import *


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
age = "10m"
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
        figures = {"history_channels": 1, "history_events": 5, "history_evicted_total": 0, "recoveries_total": 2,
                   "recovered_events_total": 3, "recoveries_failed_total": 2}
        for name, value in figures.items():
            self.assertEqual(server.metric("holdfast_app_" + name, app="1"), value, name)
        self.assertGreater(server.metric("holdfast_app_history_bytes", app="1"), 5 * 64)

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
        server = self.serve("--ping-interval", "200ms", "--pong-timeout", "5m")
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
        self.assertEqual(back.last_id, f"{epoch}:3", "what was missed has its place too")
        lost = self.stream(server, "/apps/1/channels/kept/sse?key=app-key&last_event_id=5:1")
        self.assertEqual(json.loads(lost.hear()["data"])["recovered"], False)
        plain = self.stream(server, "/apps/1/channels/news/sse?key=app-key")
        self.assertEqual(plain.hear()["data"], "{}")
        publish(server, channel="news", data="x")
        self.assertEqual((plain.hear()["data"], plain.last_id), ("x", None))
        plain._until(b":\n\n")
        self.assertEqual((server.connections(), server.metric("holdfast_event_streams")), (5, 4))
        self.assertEqual(server.metric("holdfast_app_event_streams", app="1"), 4)
        self.assertEqual(json.loads(exchange(server.address, f"GET {signed('/apps/1/channels/kept', info='subscription_count')} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode()).body)["subscription_count"], 4)
        for one in (stream, back, lost, plain):
            one.socket.close()
        eventually(lambda: server.metric("holdfast_event_streams") == 0 and server.connections() == 1)
        self.assertEqual(server.metric("holdfast_app_event_streams", app="1"), 0)

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

    def test_other_pages_are_asked_about_before_they_recover(self):
        self.path.write_text(self.CONFIG.replace("client_events = true", 'origins = ["https://page.example"]'))
        server = self.serve()

        def preflight(origin):
            """What a browser asks before a page of another origin may read with that header (Fetch, 4.8)."""
            return exchange(server.address, (
                f"OPTIONS /apps/1/channels/kept/sse?key=app-key HTTP/1.1\r\nHost: t\r\nConnection: close\r\nOrigin: {origin}\r\n"
                "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: last-event-id\r\n\r\n").encode())

        allowed = preflight("https://page.example")
        self.assertEqual((allowed.status, allowed.body), (204, b""))
        self.assertEqual(allowed.headers["access-control-allow-origin"], "https://page.example")
        self.assertEqual(allowed.headers["vary"], "Origin")
        self.assertIn("last-event-id", allowed.headers["access-control-allow-headers"].lower().split(", "))
        self.assertEqual(allowed.headers["access-control-allow-methods"], "GET")
        self.assertGreaterEqual(int(allowed.headers["access-control-max-age"]), 60)
        refused = preflight("https://other.example")
        self.assertFalse([name for name in refused.headers if name.startswith("access-control-")], "a browser lets no such page go on")

    def test_streams_are_read_over_tls(self):
        server = self.serve("--tls-cert", tls_test.CERT, "--tls-key", tls_test.KEY, "--ping-interval", "200ms", "--drain-time", "300ms")
        secure = tls_test.client_context()
        path = "/apps/1/channels/long/sse?key=app-key"
        stream = self.stream(server, path, secure=secure)
        self.assertEqual((stream.response.status, stream.response.headers["content-type"]), (200, "text/event-stream"))
        stream.hear()

        def publish_secretly(data):
            body = json.dumps({"name": "event", "channel": "long", "data": data}).encode()
            request = f"POST {signed('/apps/1/events', 'POST', body)} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            with secure.wrap_socket(connect(server.address), server_hostname="localhost") as publisher:
                publisher.sendall(request.encode() + body)
                self.assertIn(b" 200 ", read_until_closed(publisher).split(b"\r\n")[0])

        for data in ("small", "x" * 10_000):  # of one record, and of more than fit into one packet
            publish_secretly(data)
            self.assertEqual(stream.hear()["data"], data)
        stream._until(b":\n\n")
        back = self.stream(server, path, extra=f"Last-Event-ID: {stream.last_id.replace(':2', ':0')}\r\n", secure=secure)
        self.assertEqual(json.loads(back.hear()["data"])["recovered"], True)
        self.assertEqual([len(back.hear()["data"]) for _ in range(2)], [5, 10_000])
        server.signal(signal.SIGTERM)
        for one in (stream, back):
            rest = read_until_closed(one.socket)  # raises where TLS was cut off and not ended
            self.assertEqual(rest.replace(b":\n\n", b""), b"")

    @unittest.skipIf(SANITIZED, "memory tells nothing then")
    def test_an_idle_stream_costs_what_a_client_on_a_public_channel_costs(self):
        server = self.serve("--workers", 2)
        request = b"GET /apps/1/channels/news/sse?key=app-key HTTP/1.1\r\nHost: t\r\n\r\n"
        readers = []

        def resident_bytes_with(count):
            while len(readers) < count:
                readers.append(connect(server.address))
                self.addCleanup(readers[-1].close)
                readers[-1].sendall(request)
            eventually(lambda: server.metric("holdfast_event_streams") == count, 30)
            time.sleep(1)
            return server.resident_bytes()

        # The first ones bring in pages of the program, and what workers keep for all.
        first, more = 1000, 9000
        before = resident_bytes_with(first)
        self.assertLess((resident_bytes_with(first + more) - before) / more, 192)

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
            self.assertEqual(read_until_closed(stream.socket).replace(b":\n\n", b""), b"")  # that keeps it alive
        self.assertEqual(server.wait(), 0)

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

    def test_a_process_knows_no_place_of_the_one_before_it(self):
        places = []
        for _ in range(2):  # which do the same, so that their counts are alike
            server = self.serve()
            places.append(self.join(self.client(server), "kept", **({"recover": places[0]} if places else {})))
            publish(server, channel="kept", data="x")
            server.end()
        self.assertEqual((places[1]["recovered"], places[1]["serial"]), (False, 0))
        self.assertNotEqual(places[1]["epoch"], places[0]["epoch"])

    def test_other_rules_are_another_epoch(self):
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
                one.result(60 * SLOWNESS)
        self.assertEqual(problems, [])
        self.assertGreater(len(returns), 8 * total / 150)
        for listener in listeners:
            self.assertEqual([listener.hear()["serial"] for _ in range(total)], list(range(1, total + 1)))


if __name__ == "__main__":
    unittest.main()
