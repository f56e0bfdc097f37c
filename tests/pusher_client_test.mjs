// The client and server libraries that people use, against our server: pusher-js 8, Laravel Echo and npm's `pusher`.
// HOLDFAST_URL is ws://HOST:PORT, HOLDFAST_ADMIN the operator's listener, HOLDFAST_RECOVERY the built module of web/recovery.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";

const require = createRequire(import.meta.url);
const PusherJs = require("pusher-js/dist/node/pusher.js");
const PusherServer = require("pusher");
const { default: Echo } = await import("laravel-echo");
const { withRecovery } = await import(process.env.HOLDFAST_RECOVERY);

const { hostname, port } = new URL(process.env.HOLDFAST_URL);
const APP = { id: "1", key: "app-key", secret: "app-secret" };
const PATIENCE = 30_000; // milliseconds for what has to come

const api = (more = {}) =>
  new PusherServer({
    appId: APP.id, key: APP.key, secret: APP.secret, host: hostname, port, useTLS: false,
    encryptionMasterKeyBase64: Buffer.alloc(32, 7).toString("base64"), ...more,
  });

const open = [];
function connect({ user, key = APP.key, ...options } = {}) {
  const client = new PusherJs(key, {
    wsHost: hostname, wsPort: Number(port), forceTLS: false, enabledTransports: ["ws"], cluster: "", disableStats: true,
    channelAuthorization: {
      customHandler: ({ socketId, channelName }, done) =>
        done(null, api().authorizeChannel(socketId, channelName, channelName.startsWith("presence-") ? user : undefined)),
    },
    userAuthentication: {
      customHandler: ({ socketId }, done) => done(null, api().authenticateUser(socketId, { id: user.user_id, user_info: user.user_info })),
    },
    ...options,
  });
  open.push(client);
  return client;
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what}: not within ${PATIENCE} ms`)), PATIENCE)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
const once = (emitter, event) => within(new Promise((resolve) => emitter.bind(event, (...values) => resolve(values[0]))), event);
const connected = (client) => (client.connection.state === "connected" ? Promise.resolve() : once(client.connection, "connected"));
async function subscribed(client, name) {
  const channel = client.subscribe(name);
  return channel.subscribed ? channel : (await once(channel, "pusher:subscription_succeeded"), channel);
}
// Closes the client's connection with that code, as an operator does.
async function cutOff(client, code) {
  const [place, serial] = client.connection.socket_id.split(".").map(Number);
  const id = `${Math.floor(place / 2 ** 32)}-${place % 2 ** 32}-${serial}`;
  const answer = await fetch(`${process.env.HOLDFAST_ADMIN}/connections/${id}?code=${code}`, { method: "DELETE" });
  assert.equal(answer.status, 202);
}
const soon = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
// Waits until it is so, and a moment longer for what should not come. On the deadline it goes on: the asserts behind it tell more.
async function until(isSo) {
  for (const end = Date.now() + PATIENCE; !(await isSo()) && Date.now() < end; ) await soon(20);
  await soon(100);
}

test.afterEach(() => {
  for (const client of open.splice(0)) client.disconnect();
});

test("an event reaches a public channel, and its data is what was sent", async () => {
  const client = connect();
  const channel = await subscribed(client, "news");
  const heard = once(channel, "headline");
  await api().trigger("news", "headline", { title: "ä \"quoted\" \u2028", number: 7 });
  assert.deepEqual(await heard, { title: "ä \"quoted\" \u2028", number: 7 });
});

test("an event goes to many channels, and not to the socket that caused it", async () => {
  const [sender, other] = [connect(), connect()];
  const heard = [];
  for (const [name, client] of [["sender", sender], ["other", other]]) {
    for (const channel of ["a", "b"]) (await subscribed(client, channel)).bind("moved", () => heard.push(`${name} ${channel}`));
  }
  await api().trigger(["a", "b"], "moved", {}, { socket_id: sender.connection.socket_id });
  await until(() => heard.length >= 2);
  assert.deepEqual(heard.sort(), ["other a", "other b"]);
});

test("a batch arrives, and a bad event spoils the whole of it", async () => {
  const client = connect();
  const heard = [];
  (await subscribed(client, "batch")).bind_global((event, data) => event.startsWith("pusher") || heard.push(data));
  await api().triggerBatch([{ channel: "batch", name: "x", data: "1" }, { channel: "batch", name: "x", data: "2" }]);
  await assert.rejects(api().triggerBatch([{ channel: "batch", name: "x", data: "3" }, { channel: "no such/name", name: "x", data: "4" }]));
  await until(() => heard.length >= 2);
  assert.deepEqual(heard, [1, 2]);
});

test("a batch may be as large as ten events may be, and no larger", async () => {
  const client = connect();
  const heard = [];
  (await subscribed(client, "large")).bind("x", (data) => heard.push(data.length));
  const batch = (count, size) => api().triggerBatch(Array.from({ length: count }, () => ({ channel: "large", name: "x", data: '"'.repeat(size) })));
  await batch(10, 10240);
  await assert.rejects(batch(10, 10241), (error) => error.status === 413);
  await assert.rejects(api().triggerBatch([{ channel: "large", name: "x", data: "y".repeat(400_000) }]), (error) => error.status === 413);
  await until(() => heard.length >= 10);
  assert.deepEqual(heard, Array(10).fill(10240));
});

test("a private channel lets in whom the application signed, and nobody else", async () => {
  await subscribed(connect(), "private-room");
  const stranger = connect({
    channelAuthorization: { customHandler: (_, done) => done(null, { auth: `${APP.key}:${"0".repeat(64)}` }) },
  });
  await connected(stranger);
  const channel = stranger.subscribe("private-room");
  const error = await once(channel, "pusher:subscription_error");
  assert.equal(error.status, 401);
  assert.equal(error.type, "AuthError");
});

test("members of a private channel talk to each other, and not to themselves", async () => {
  const [one, two] = [connect(), connect()];
  const [mine, theirs] = [await subscribed(one, "private-chat"), await subscribed(two, "private-chat")];
  let echoed = false;
  mine.bind("client-typing", () => (echoed = true));
  const heard = once(theirs, "client-typing");
  mine.trigger("client-typing", { who: "one" });
  assert.deepEqual(await heard, { who: "one" });
  await soon(100);
  assert.equal(echoed, false);
});

test("client events beyond the rate are refused and the connection is kept", async () => {
  const client = connect();
  const channel = await subscribed(client, "private-fast");
  const refused = once(client.connection, "error");
  for (let i = 0; i < 30; ++i) channel.trigger("client-x", { i });
  assert.equal((await refused).data.code, 4301);
  await soon(100);
  assert.equal(client.connection.state, "connected");
});

test("an encrypted channel carries what only its members can read", async () => {
  const client = connect();
  const channel = await subscribed(client, "private-encrypted-safe");
  const heard = once(channel, "secret");
  await api().trigger("private-encrypted-safe", "secret", { code: 42 });
  assert.deepEqual(await heard, { code: 42 });
});

test("a presence channel knows users, not connections", async () => {
  const anna = connect({ user: { user_id: "anna", user_info: { name: "Anna" } } });
  const room = await subscribed(anna, "presence-room");
  assert.equal(room.members.count, 1);
  assert.equal(room.members.me.id, "anna");

  const added = once(room, "pusher:member_added");
  const bobs = [connect({ user: { user_id: "bob", user_info: { name: "Bob" } } }), connect({ user: { user_id: "bob", user_info: { name: "Bob" } } })];
  const theirs = await subscribed(bobs[0], "presence-room");
  assert.deepEqual(await added, { id: "bob", info: { name: "Bob" } });
  assert.deepEqual(Object.keys(theirs.members.members).sort(), ["anna", "bob"]);
  await subscribed(bobs[1], "presence-room");
  assert.equal(room.members.count, 2);
  assert.deepEqual((await (await api().get({ path: "/channels/presence-room/users" })).json()).users.map((user) => user.id), ["anna", "bob"]);

  let removed = 0;
  room.bind("pusher:member_removed", () => ++removed);
  bobs[0].disconnect();
  await soon(200);
  assert.equal(removed, 0, "bob is there by another connection");
  const back = connect({ user: { user_id: "bob", user_info: { name: "Bob" } } });
  await connected(back);
  bobs[1].disconnect();
  let addedAgain = 0;
  room.bind("pusher:member_added", () => ++addedAgain);
  await subscribed(back, "presence-room");
  const left = Date.now();
  const gone = once(room, "pusher:member_removed");
  back.disconnect();
  assert.equal((await gone).id, "bob");
  assert.deepEqual([removed, addedAgain], [1, 0], "who is back within three seconds was never away");
  assert.ok(Date.now() - left > 2900);
  assert.equal(room.members.count, 1);
});

test("client events on a presence channel say who spoke", async () => {
  const [anna, bob] = ["anna", "bob"].map((id) => connect({ user: { user_id: id, user_info: {} } }));
  const [mine, theirs] = [await subscribed(anna, "presence-talk"), await subscribed(bob, "presence-talk")];
  const heard = within(new Promise((resolve) => theirs.bind("client-hello", (data, metadata) => resolve([data, metadata.user_id]))), "hello");
  mine.trigger("client-hello", { x: 1 });
  assert.deepEqual(await heard, [{ x: 1 }, "anna"]);
});

test("a cache channel gives newcomers its last event, or says that it has none", async () => {
  const first = connect();
  const channel = first.subscribe("cache-price");
  await once(channel, "pusher:cache_miss");
  await api().trigger("cache-price", "price", { value: 1 });
  await api().trigger("cache-price", "price", { value: 2 });
  const late = connect().subscribe("cache-price");
  assert.deepEqual(await once(late, "price"), { value: 2 });
  const state = await (await api().get({ path: "/channels/cache-price", params: { info: "cache,subscription_count" } })).json();
  assert.equal(state.subscription_count, 2);
  assert.deepEqual(JSON.parse(state.cache.data), { value: 2 });
});

test("a user signs in, is spoken to on all connections, and can be sent away", async () => {
  const clients = [1, 2].map(() => connect({ user: { user_id: "carla", user_info: { name: "C" } } }));
  const heard = [];
  for (const client of clients) {
    client.signin();
    await within(client.user.signinDonePromise, "sign-in");
    heard.push(once(client.user, "greeting"));
  }
  await api().sendToUser("carla", "greeting", { hello: "carla" });
  for (const one of heard) assert.deepEqual(await one, { hello: "carla" });
  const ended = clients.map((client) => once(client.connection, "disconnected").catch(() => once(client.connection, "failed")));
  await api().terminateUserConnections("carla");
  await Promise.all(ended);
  await soon(1500);
  for (const client of clients) assert.notEqual(client.connection.state, "connected", "it does not come back");
});

test("the HTTP API tells of channels, and refuses what it should", async () => {
  await subscribed(connect(), "listed-1");
  await subscribed(connect({ user: { user_id: "u", user_info: {} } }), "presence-listed");
  const get = async (path, params) => (await api().get({ path, params })).json();
  assert.deepEqual((await get("/channels", { filter_by_prefix: "listed-" })).channels, { "listed-1": {} });
  assert.deepEqual((await get("/channels", { filter_by_prefix: "presence-listed", info: "user_count" })).channels, { "presence-listed": { user_count: 1 } });
  assert.equal((await get("/channels/listed-1")).occupied, true);
  assert.equal((await get("/channels/empty")).occupied, false);
  const status = (promise) => promise.then(() => 200, (error) => error.status);
  assert.equal(await status(api().get({ path: "/channels", params: { info: "user_count" } })), 400);
  assert.equal(await status(api().get({ path: "/channels/listed-1/users" })), 400);
  assert.equal(await status(api({ secret: "wrong" }).trigger("a", "b", {})), 401);
  assert.equal(await status(api({ key: "wrong" }).trigger("a", "b", {})), 401);
  assert.equal(await status(api({ appId: "9" }).trigger("a", "b", {})), 404);
  assert.equal(await status(api().post({ path: "/events", body: { name: "x", channel: "a", data: "y".repeat(10241) } })), 413);
  assert.equal(await status(api().post({ path: "/events", body: { name: "x", channel: "a", data: "y".repeat(10240) } })), 200);
  assert.equal(await status(api().post({ path: "/events", body: { name: "x", channel: "a", data: { not: "text" } } })), 400);
});

test("an unknown app is told so, and does not come again", async () => {
  const client = connect({ key: "nobody" });
  assert.equal((await once(client.connection, "error")).error.data.code, 4001);
  await soon(1500);
  assert.notEqual(client.connection.state, "connected");
});

test("a user is told who of its watchlist is there, comes and goes", async () => {
  const named = (id, watchlist) => ({
    userAuthentication: { customHandler: ({ socketId }, done) => done(null, api().authenticateUser(socketId, { id, watchlist })) },
  });
  const signedIn = async (client) => (client.signin(), await within(client.user.signinDonePromise, "sign-in"), client);
  await signedIn(connect(named("early")));
  const watcher = connect(named("watcher", ["early", "late"]));
  const heard = [];
  for (const event of ["online", "offline"]) watcher.user.watchlist.bind(event, ({ user_ids }) => heard.push(`${event} ${user_ids}`));
  await signedIn(watcher);
  const late = await signedIn(connect(named("late")));
  await until(() => heard.length >= 2);
  late.disconnect();
  await until(() => heard.length >= 3);
  assert.deepEqual(heard, ["online early", "online late", "offline late"]);
});

test("every kind of channel carries events, and tells its members alone what they say", async () => {
  const kinds = ["", "private-", "presence-", "private-encrypted-", "cache-", "private-cache-", "presence-cache-", "private-encrypted-cache-"];
  const [one, two] = ["one", "two"].map((id) => connect({ user: { user_id: id, user_info: {} } }));
  await Promise.all(kinds.map(async (kind) => {
    const name = `${kind}kinds`;
    const missed = kind.includes("cache-") && once(one.subscribe(name), "pusher:cache_miss");
    const mine = await subscribed(one, name);
    const theirs = await subscribed(two, name);
    const heard = [mine, theirs].map((channel) => once(channel, "said"));
    await api().trigger(name, "said", { kind });
    for (const each of heard) assert.deepEqual(await each, { kind });
    if (missed) await missed;
    if (!/^(private|presence)-/.test(kind) || kind.includes("encrypted")) return;
    const whispered = within(new Promise((resolve) => theirs.bind("client-said", (...all) => resolve(all))), `client event on ${name}`);
    mine.trigger("client-said", { kind });
    const [data, metadata] = await whispered;
    assert.deepEqual([data, metadata?.user_id], [{ kind }, kind.startsWith("presence-") ? "one" : undefined]);
  }));
});

test("an unsubscribed channel is silent, and can be joined again", async () => {
  const client = connect();
  const channel = await subscribed(client, "left");
  let heard = 0;
  channel.bind("said", () => ++heard);
  client.unsubscribe("left");
  const isOccupied = async () => (await (await api().get({ path: "/channels/left" })).json()).occupied;
  await until(async () => !(await isOccupied()));
  assert.equal(await isOccupied(), false);
  await api().trigger("left", "said", {});
  const again = once(await subscribed(client, "left"), "said");
  await api().trigger("left", "said", { x: 1 });
  assert.deepEqual(await again, { x: 1 });
  assert.equal(heard, 0);
});

test("a close code says whether and when a client comes back; one who is refused waits longer", async () => {
  await connected(connect({ key: "full-key" }));
  const began = Date.now();
  const oneTooMany = connect({ key: "full-key" });
  const [atOnce, afterASecond] = [0, 1000]; // what it means to wait: on a busy machine it takes longer
  const wanted = { 4200: atOnce, 4201: atOnce, 4202: atOnce, 1001: afterASecond, 1011: afterASecond, 4100: afterASecond, 4001: null, 4003: null, 4009: null, 4301: null };
  await Promise.all(Object.entries(wanted).map(async ([code, pause]) => {
    const client = connect();
    await connected(client);
    const states = [], waited = [];
    client.connection.bind("state_change", ({ current }) => states.push([Date.now(), current]));
    const { retryIn } = client.connection;
    client.connection.retryIn = (delay) => (waited.push(delay), retryIn.call(client.connection, delay));
    const back = () => states.find(([, state]) => state === "connected");
    const before = Date.now();
    await cutOff(client, code);
    await soon(2600);
    if (pause === null) return assert.equal(back(), undefined, `never, with ${code}: ${states}`);
    await until(back);
    assert.ok(back(), `with ${code}: ${states}`);
    assert.equal(Math.min(...waited), pause, `with ${code}`);
    assert.ok(back()[0] - before >= 0.9 * pause, `with ${code}: ${back()[0] - before} ms`);
  }));
  assert.notEqual(oneTooMany.connection.state, "connected");
  const metrics = await (await fetch(`${process.env.HOLDFAST_ADMIN}/metrics`)).text();
  const [, times] = metrics.match(/^holdfast_app_connections_refused_total\{app="full"\} (\d+)$/m);
  assert.ok(times >= 1 && times <= 1 + Math.floor((Date.now() - began) / 10_000), `it came ${times} times in ${Date.now() - began} ms`);
});

test("a client that was away hears what it missed on each of its channels, once and in order", async () => {
  const client = withRecovery(connect({ user: { user_id: "r", user_info: {} } }));
  const names = ["kept-node", "private-kept-node", "presence-kept-node", "cache-kept-node"];
  const heard = {};
  for (const name of names) {
    const channel = await subscribed(client, name);
    heard[name] = [];
    channel.bind("said", (data) => heard[name].push(data));
    for (const what of ["recovered", "lost"]) channel.bind(`holdfast:${what}`, () => heard[name].push(what));
  }
  let echoed = 0;
  new Echo({ broadcaster: "pusher", key: APP.key, client }).channel(names[0]).listen(".holdfast:recovered", () => ++echoed);
  const publish = async (from, to) => {
    for (let number = from; number < to; ++number) await Promise.all(names.map((name) => api().trigger(name, "said", number)));
  };
  await publish(0, 3);
  const away = once(client.connection, "connecting_in");
  await cutOff(client, 4100);
  await away;
  const back = new Promise((resolve) => client.connection.bind("connected", resolve));
  await publish(3, 6);
  await within(Promise.all([back, publish(6, 40)]), "the return, while all go on to publish");
  await until(() => echoed && names.every((name) => heard[name].length >= 41));
  for (const name of names) {
    const numbers = heard[name].filter((one) => one !== "recovered");
    assert.deepEqual(numbers, Array.from({ length: 40 }, (_, number) => number), name);
    assert.ok(heard[name].indexOf("recovered") >= 3, name);
  }
  assert.equal(echoed, 1, "Laravel Echo hears of it too");
});

for (const broadcaster of ["pusher", "reverb"]) {
  test(`Laravel Echo hears what an application says, as "${broadcaster}"`, async () => {
    const client = connect({ user: { user_id: "echo", user_info: { name: "E" } } });
    const echo = new Echo({ broadcaster, key: APP.key, client });
    const heard = [];
    const on = (what) => (data) => heard.push([what, data]);
    const ready = [];
    const joined = (channel) => (ready.push(within(new Promise((resolve) => channel.subscribed(resolve)), channel.name)), channel);
    const prefix = `echo-${broadcaster}`;
    joined(echo.channel(`${prefix}-public`)).listen("OrderShipped", on("namespaced")).listen(".plain", on("plain")).listenToAll((event) => heard.push(["all", event]));
    joined(echo.private(`${prefix}-user`)).notification(on("notification"));
    joined(echo.encryptedPrivate(`${prefix}-safe`)).listen(".secret", on("secret"));
    joined(echo.join(`${prefix}-room`)).here((users) => heard.push(["here", users]));
    await Promise.all(ready);
    assert.match(echo.socketId(), /^\d+\.\d+$/);
    await api().trigger(`${prefix}-public`, "App\\Events\\OrderShipped", { order: 7 });
    await api().trigger(`${prefix}-public`, "plain", { others: true }, { socket_id: echo.socketId() });
    await api().trigger(`${prefix}-public`, "plain", { all: true });
    await api().trigger(`private-${prefix}-user`, "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated", { id: "n1" });
    await api().trigger(`private-encrypted-${prefix}-safe`, "secret", { code: 42 });
    const of = (what) => heard.filter(([one]) => one === what).map(([, data]) => data);
    await until(() => ["here", "namespaced", "plain", "notification", "secret"].every((what) => of(what).length >= 1));
    echo.channel(`${prefix}-public`).stopListening(".plain");
    echo.leave(`${prefix}-user`);
    await api().trigger(`${prefix}-public`, "plain", { late: true });
    await api().trigger(`private-${prefix}-user`, "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated", { id: "n2" });
    await until(() => of("all").length >= 3);
    assert.deepEqual(of("here"), [[{ name: "E" }]]);
    assert.deepEqual(of("namespaced"), [{ order: 7 }]);
    assert.deepEqual(of("plain"), [{ all: true }], "toOthers() leaves out its own socket, and nobody listens any more");
    assert.deepEqual(of("notification"), [{ id: "n1" }]);
    assert.deepEqual(of("secret"), [{ code: 42 }]);
    assert.ok(of("all").length >= 3);
  });
}

test("Laravel Echo is told that a channel is not for it", async () => {
  const client = connect({ channelAuthorization: { customHandler: (_, done) => done(null, { auth: `${APP.key}:${"0".repeat(64)}` }) } });
  const echo = new Echo({ broadcaster: "pusher", key: APP.key, client });
  const error = await within(new Promise((resolve) => echo.private("not-mine").error(resolve)), "the error");
  assert.deepEqual([error.type, error.status], ["AuthError", 401]);
});

test("an application asks for figures with what it publishes", async () => {
  await subscribed(connect(), "counted");
  await subscribed(connect({ user: { user_id: "u", user_info: {} } }), "presence-counted");
  const figures = { counted: { subscription_count: 1 }, "presence-counted": { user_count: 1 } };
  const one = await api().trigger(["counted", "presence-counted"], "x", {}, { info: "subscription_count,user_count" });
  assert.deepEqual((await one.json()).channels, figures);
  const batch = await api().triggerBatch([
    { channel: "counted", name: "x", data: {}, info: "subscription_count" }, { channel: "presence-counted", name: "x", data: {}, info: "user_count" }, { channel: "empty", name: "x", data: {} },
  ]);
  assert.deepEqual((await batch.json()).batch, [figures.counted, figures["presence-counted"], {}]);
});

// pusher-js keeps timers that would hold the process for half a minute.
test("the end", () => void setTimeout(() => process.exit(), 300));
