// pusher-js and Laravel Echo as a web page runs them. HOLDFAST_URL is ws://HOST:PORT, HOLDFAST_ADMIN the operator's listener,
// HOLDFAST_PID the server, HOLDFAST_RECOVERY the built script of web/recovery, HOLDFAST_CHROMIUM the browser.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test, { after, before, beforeEach } from 'node:test';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const PusherServer = require('pusher');
const { hostname, port, host } = new URL(process.env.HOLDFAST_URL);
const api = new PusherServer({
  appId: '1', key: 'app-key', secret: 'app-secret', host: hostname, port, useTLS: false,
  encryptionMasterKeyBase64: Buffer.alloc(32, 7).toString('base64'),
});

const libraries = [
  'node_modules/pusher-js/dist/web/pusher-with-encryption.min.js', 'node_modules/laravel-echo/dist/echo.iife.js', process.env.HOLDFAST_RECOVERY,
];
let browser, page;

// What each page has: a connection like an application would make it, whose rights the application's server gives.
const prelude = ({ hostname, port }) => {
  window.say = [];
  window.options = (user) => ({
    wsHost: hostname, wsPort: port, forceTLS: false, enabledTransports: ['ws'], cluster: '', disableStats: true,
    channelAuthorization: { customHandler: ({ socketId, channelName }, done) => authorize(socketId, channelName, user).then((rights) => done(null, rights), done) },
    userAuthentication: { customHandler: ({ socketId }, done) => signIn(socketId, user).then((rights) => done(null, rights), done) },
  });
  window.connect = (user = { user_id: 'page', user_info: {} }) => new Pusher('app-key', options(user));
  window.once = (emitter, event) => new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`no ${event} in 10 s`)), 10000);
    emitter.bind(event, (data) => resolve(data));
  });
  window.joined = async (client, name) => {
    const channel = client.subscribe(name);
    if (!channel.subscribed) await once(channel, 'pusher:subscription_succeeded');
    return channel;
  };
  window.connected = (client) => client.connection.state === 'connected' ? Promise.resolve() : once(client.connection, 'connected');
};

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.HOLDFAST_CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server'],
  });
});
after(async () => browser?.close());

beforeEach(async () => {
  await page?.close();
  page = await browser.newPage();
  page.setDefaultTimeout(20000);
  await page.exposeFunction('authorize', (socket, channel, user) => api.authorizeChannel(socket, channel, channel.startsWith('presence-') ? user : undefined));
  await page.exposeFunction('signIn', (socket, user) => api.authenticateUser(socket, { id: user.user_id }));
  await page.exposeFunction('trigger', (channel, event, data) => api.trigger(channel, event, data).then(() => true));
  await page.goto(`http://${host}/page`);
  for (const path of libraries) await page.addScriptTag({ path });
  await page.evaluate(prelude, { hostname, port: Number(port) });
});

test('every kind of channel works in a page', async () => {
  const heard = await page.evaluate(async () => {
    const client = connect();
    const results = {};
    for (const name of ['news', 'private-news', 'presence-news', 'private-encrypted-news', 'cache-news', 'private-cache-news', 'presence-cache-news']) {
      const channel = await joined(client, name);
      const data = once(channel, 'headline');
      await trigger(name, 'headline', { from: name, text: 'Grüße “☃”' });
      results[name] = (await data).from === name && (await data).text === 'Grüße “☃”';
    }
    client.disconnect();
    return results;
  });
  assert.equal(Object.keys(heard).length, 7);
  assert.ok(Object.values(heard).every(Boolean), JSON.stringify(heard));
});

test('two pages of one user are one member, and talk to each other', async () => {
  const result = await page.evaluate(async () => {
    const [anna, bob, alsoBob] = ['anna', 'bob', 'bob'].map((id) => connect({ user_id: id, user_info: { id } }));
    const room = await joined(anna, 'presence-room');
    const added = once(room, 'pusher:member_added');
    const theirs = await joined(bob, 'presence-room');
    await joined(alsoBob, 'presence-room');
    const hello = once(theirs, 'client-hello');
    room.trigger('client-hello', { x: 1 });
    const out = { added: (await added).id, count: room.members.count, hello: await hello };
    [anna, bob, alsoBob].forEach((client) => client.disconnect());
    return out;
  });
  assert.deepEqual(result, { added: 'bob', count: 2, hello: { x: 1 } });
});

test('a user signs in and is spoken to', async () => {
  const heard = page.evaluate(async () => {
    const client = connect({ user_id: 'dora' });
    await connected(client);
    client.signin();
    await client.user.signinDonePromise;
    const greeting = once(client.user, 'greeting');
    window.isSignedIn = true;
    return greeting;
  });
  while (!(await page.evaluate(() => window.isSignedIn))) await new Promise((resolve) => setTimeout(resolve, 30));
  await api.sendToUser('dora', 'greeting', { hello: 'dora' });
  assert.deepEqual(await heard, { hello: 'dora' });
});

test('Laravel Echo listens, whispers and sees who is here', async () => {
  const result = await page.evaluate(async () => {
    const make = (user) => new Echo.default({ broadcaster: 'reverb', key: 'app-key', Pusher, ...options(user) });
    const [one, two] = ['one', 'two'].map((id) => make({ user_id: id, user_info: { name: id } }));
    const out = {};
    const waited = (subscribe) => new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('nothing in 10 s')), 10000);
      subscribe(resolve);
    });
    const shipped = waited((resolve) => one.private('orders').listen('.OrderShipped', resolve).subscribed(() => trigger('private-orders', 'OrderShipped', { order: 7 })));
    out.shipped = await shipped;
    const here = waited((resolve) => one.join('chat').here(resolve));
    out.here = (await here).map((user) => user.name);
    const joining = waited((resolve) => one.join('chat').joining(resolve));
    const ready = waited((resolve) => two.join('chat').here(resolve));
    out.joining = (await joining).name;
    await ready;
    const whispered = waited((resolve) => two.join('chat').listenForWhisper('typing', resolve));
    one.join('chat').whisper('typing', { who: 'one' });
    out.whispered = await whispered;
    const leaving = waited((resolve) => one.join('chat').leaving(resolve));
    two.leave('chat');
    out.leaving = (await leaving).name;
    one.disconnect();
    two.disconnect();
    return out;
  });
  assert.deepEqual(result, { shipped: { order: 7 }, here: ['one'], joining: 'two', whispered: { who: 'one' }, leaving: 'two' });
});

// Ends the page's connections with that code.
async function cutOff(code) {
  const { connections } = await (await fetch(`${process.env.HOLDFAST_ADMIN}/connections`)).json();
  for (const row of connections.filter(({ path }) => path.startsWith('/app/'))) {
    const answer = await fetch(`${process.env.HOLDFAST_ADMIN}/connections/${row.id}?code=${code}`, { method: 'DELETE' });
    assert.equal(answer.status, 202);
  }
}

test('a page that was away hears what it missed, whole and in order, or that it is lost', async () => {
  const names = ['kept', 'presence-kept', 'private-encrypted-kept'];
  await page.evaluate(async (names) => {
    window.client = holdfast.withRecovery(connect());
    window.isAway = false;
    client.connection.bind('connecting_in', () => (window.isAway = true));  // its state is "connected" until then
    client.connection.bind('connected', () => (window.isAway = false));
    window.heard = {};
    for (const name of names) {
      const channel = await joined(client, name);
      heard[name] = [];
      channel.bind_global((event, data) => heard[name].push(event.startsWith('pusher') ? event : event === 'said' ? data : event));
    }
  }, names);
  const publish = async (from, to) => {
    for (let number = from; number < to; ++number) for (const name of names) await api.trigger(name, 'said', number);
  };
  const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);
  const heard = async (count) => {
    await page.waitForFunction(({ count, names }) => names.every((name) => heard[name].length >= count), { count, names });
    return page.evaluate(() => heard);
  };
  const untilAway = () => page.waitForFunction(() => isAway);

  await publish(0, 3);
  await heard(3);
  await cutOff(4100);  // It comes back after a second.
  await untilAway();
  await publish(3, 11);
  assert.ok(await page.evaluate(() => isAway), 'all was said while it was away');
  const back = await page.waitForFunction(() => !isAway).then(() => publish(11, 13)).then(() => heard(15));
  for (const name of names) {
    assert.deepEqual(back[name], [...numbers(0, 3), 'holdfast:recovered', 'pusher:subscription_succeeded', ...numbers(3, 13)], name);
  }

  await cutOff(4100);
  await untilAway();
  await api.triggerBatch(numbers(0, 10).map((data) => ({ channel: 'kept', name: 'said', data })));
  await api.triggerBatch(numbers(10, 20).map((data) => ({ channel: 'kept', name: 'said', data })));
  await api.trigger('kept', 'said', 20);
  assert.ok(await page.evaluate(() => isAway), 'all was said while it was away');
  const late = await page.waitForFunction(() => heard.kept.length >= 17 && heard['presence-kept'].length >= 17).then(() => page.evaluate(() => heard));
  assert.deepEqual(late.kept.slice(15), ['holdfast:lost', 'pusher:subscription_succeeded'], 'of the 21 that it missed, 20 are kept');
  assert.deepEqual(late['presence-kept'].slice(15), ['holdfast:recovered', 'pusher:subscription_succeeded']);
  await api.trigger('kept', 'said', 'live');
  assert.deepEqual((await page.waitForFunction(() => heard.kept.length > 17).then(() => page.evaluate(() => heard.kept))).slice(17), ['live']);
  await page.evaluate(() => client.disconnect());
});

// Milliseconds until the page is connected again after it was closed with `code`; null: it did not come back.
async function returnAfter(code) {
  const socketId = await page.evaluate(async () => {
    window.client = connect();
    await connected(client);
    window.states = [];
    client.connection.bind('state_change', ({ current }) => states.push([performance.now(), current]));
    return client.connection.socket_id;
  });
  assert.ok(socketId);
  const before = await page.evaluate(() => performance.now());
  await cutOff(code);
  const at = await page.evaluate(async () => {
    for (let tries = 0; tries < 60; ++tries) {
      const back = states.find(([, state]) => state === 'connected');
      if (back) return back[0];
      if (states.some(([, state]) => state === 'failed' || state === 'disconnected') && tries > 30) return null;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return null;
  });
  await page.evaluate(() => client.disconnect());
  return at === null ? null : at - before;
}

test('a close code says whether and when a page comes back', async () => {
  assert.ok((await returnAfter(4200)) < 700, 'at once');
  for (const code of [1001, 4100]) {
    const milliseconds = await returnAfter(code);
    assert.ok(milliseconds > 800 && milliseconds < 2500, `after a second, with ${code}: ${milliseconds}`);
  }
  for (const code of [4009, 4301]) assert.equal(await returnAfter(code), null, `never, with ${code}`);
});

test('a drain sends pages elsewhere at once', async () => {
  await page.evaluate(async () => {
    window.client = connect();
    await connected(client);
    window.states = [];
    client.connection.bind('state_change', ({ current }) => states.push(current));
  });
  process.kill(Number(process.env.HOLDFAST_PID), 'SIGTERM');
  const states = await page.evaluate(async () => {
    for (let tries = 0; tries < 100 && !states.includes('connecting'); ++tries) await new Promise((resolve) => setTimeout(resolve, 50));
    return states;
  });
  assert.ok(states.includes('connecting'), states.join());
});
