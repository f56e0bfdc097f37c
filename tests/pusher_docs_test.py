"""docs/pusher.md as a newcomer reads it: what it says to type is typed, with this machine for the address that it names."""

import json
import re
import subprocess
import tempfile
import unittest

from pusher_peers import *

TEXT_OF_DOCS = (ROOT / "docs/pusher.md").read_text()
APP_OF_DOCS = {"id": "1", "key": "a-public-key", "secret": "a-long-secret"}

# Runs each snippet of the arguments beside an application's server, whose event they all wait for; prints what they print. Snippets do not
# tell when they are subscribed: the server does.
RUNNER = r"""
const [host, port, snippets] = [process.argv[1], process.argv[2], JSON.parse(process.argv[3])];
const PusherJs = require("pusher-js/dist/node/pusher.js");
let said = 0;
const say = (...what) => (++said, console.log(...what));
// On the deadline it goes on: what was said until then tells more.
const until = async (isSo) => {
  for (const end = Date.now() + Number(process.argv[4]) * 1000; !(await isSo()) && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20));
};
const run = async (name, more = {}) => {
  const code = snippets[name].replaceAll("ws.example.com", host).replaceAll("8080", port);
  const names = { console: { log: (...what) => say(name, ...what) }, ...more };
  const AsyncFunction = (async () => {}).constructor;
  return new AsyncFunction(...Object.keys(names), code)(...Object.values(names));
};
(async () => {
  const { default: Echo } = await import("laravel-echo");
  globalThis.window = { Pusher: PusherJs };
  await run("page", { Pusher: PusherJs });
  await run("plain", { WebSocket: require("ws") });
  snippets.echo = "return " + snippets.echo;
  const echo = await run("echo", { Echo });
  echo.channel("news").listen(".headline", (data) => say("echo", data.title));
  const Pusher = require("pusher");
  const application = { appId: "1", key: "a-public-key", secret: "a-long-secret", host, port, useTLS: false };
  const news = { path: "/channels/news", params: { info: "subscription_count" } };
  await until(async () => (await (await new Pusher(application).get(news)).json()).subscription_count === 3);
  await run("node", { Pusher });
  const pusher = new Pusher({ appId: "1", key: "a-public-key", secret: "a-long-secret" });
  snippets.stream += "; return [path, query];";
  const [path, query] = await run("stream", { pusher });
  const answer = await fetch(`http://${host}:${port}${path}?${query}`);
  say("stream", answer.status, answer.headers.get("content-type"));
  await until(() => said >= 4);
  await new Promise((resolve) => setTimeout(resolve, 100)); // for what should not come
  process.exit();
})();
"""


def block(language, containing):
    """The one code block in that language with that text in it."""
    found = [text for kind, text in re.findall(r"```(\w+)\n(.*?)```", TEXT_OF_DOCS, re.S) if kind == language and containing in text]
    assert len(found) == 1, (language, containing, len(found))
    return found[0]


class Docs(unittest.TestCase):
    def serve(self):
        config = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.addCleanup(config.close)
        config.write(block("toml", "a-public-key") + block("toml", "apps.history"))
        config.flush()
        server = Server("--config", config.name)
        self.addCleanup(server.end)
        return server

    def test_what_an_application_is_told_to_write_works(self):
        server = self.serve()
        snippets = {
            "page": block("js", 'bind("headline"'),
            "plain": block("js", "new WebSocket"),
            "echo": block("js", "new Echo"),
            "node": block("js", "await pusher.trigger"),
            "stream": block("js", "createSignedQueryString"),
        }
        done = subprocess.run(["node", "-e", RUNNER, HOST, str(server.address[1]), json.dumps(snippets), str(PATIENCE)], cwd=ROOT, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
        self.assertEqual(sorted(done.stdout.splitlines()), ["echo It works", "page It works", "plain It works", "stream 200 text/event-stream"], done.stderr)

    def test_what_a_terminal_is_told_to_do_works(self):
        server = self.serve()
        with Client(server, APP_OF_DOCS["key"]) as client:
            client.socket_id()
            client.join("news")
            address = "%s:%d" % server.address
            script = block("sh", "openssl dgst").replace("ws.example.com:8080", address)
            self.assertEqual(subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout, "{}")
            publish = next(line for line in block("sh", "holdfast reload").splitlines() if line.startswith("holdfast publish"))
            script = f'holdfast() {{ "{HOLDFAST}" "$@" --server {address}; }}; {publish}'
            subprocess.run(["sh", "-c", script], capture_output=True, timeout=PATIENCE, check=True)
            for _ in range(2):
                heard = client.hear()
                self.assertEqual((heard["event"], heard["data"]), ("headline", '{"title":"It works"}'))

    def test_the_development_app_is_there_without_a_word(self):
        with Server() as server:
            first, then = block("sh", "holdfast subscribe").split("&\n")
            named = f'holdfast() {{ "{HOLDFAST}" "$@" --server %s:%d; }}\n' % server.address
            listener = subprocess.Popen(["sh", "-c", named + first + "--count 1"], stdout=subprocess.PIPE, text=True)
            eventually(lambda: server.metric("holdfast_app_subscriptions", kind="public") == 1)
            subprocess.run(["sh", "-c", named + then], capture_output=True, timeout=PATIENCE, check=True)
            self.assertEqual(listener.communicate(timeout=PATIENCE)[0], 'news\theadline\t{"title":"It works"}\n')

    def test_every_setting_of_an_app_is_told_of(self):
        source = (ROOT / "src/commands/apps_file.cc").read_text()
        keys = re.findall(r'Key\{"(\w+)"', source)
        self.assertGreater(len(keys), 15)
        table = TEXT_OF_DOCS.split("## The settings of an app")[1].split("\n## ")[0]
        self.assertEqual(sorted(set(keys) - set(re.findall(r"`(\w+)`", table))), [])


if __name__ == "__main__":
    unittest.main()
