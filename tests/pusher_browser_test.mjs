// pusher-js and Laravel Echo as a web page runs them. HOLDFAST_URL is ws://HOST:PORT, HOLDFAST_ADMIN the operator's listener,
// HOLDFAST_PID the server, HOLDFAST_RECOVERY the built script of web/recovery, HOLDFAST_CHROMIUM the browser.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test, { after, before, describe } from 'node:test';
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
let browser;

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
    setTimeout(() => reject(new Error(`no ${event} in 30 s`)), 30000);
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

// A page that an application might have made, closed when the test is over.
async function open(t) {
  const page = await browser.newPage();
  t.after(() => page.close());
  page.setDefaultTimeout(30000);
  await page.exposeFunction('authorize', (socket, channel, user) => api.authorizeChannel(socket, channel, channel.startsWith('presence-') ? user : undefined));
  await page.exposeFunction('signIn', (socket, user) => api.authenticateUser(socket, { id: user.user_id }));
  await page.exposeFunction('trigger', (channel, event, data) => api.trigger(channel, event, data).then(() => true));
  await page.exposeFunction('cutOff', cutOff);
  await page.goto(`http://${host}/page`);
  for (const path of libraries) await page.addScriptTag({ path });
  await page.evaluate(prelude, { hostname, port: Number(port) });
  return page;
}

async function endConnection(id, code) {
  const answer = await fetch(`${process.env.HOLDFAST_ADMIN}/connections/${id}?code=${code}`, { method: 'DELETE' });
  assert.equal(answer.status, 202);
}

// Closes the connection of that socket id with that code, as an operator does.
function cutOff(socketId, code) {
  const [place, serial] = socketId.split('.').map(Number);
  return endConnection(`${Math.floor(place / 2 ** 32)}-${place % 2 ** 32}-${serial}`, code);
}

const soon = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const numbers = (from, to) => Array.from({ length: to - from }, (_, index) => from + index);

// Side by side: most of the time they wait.
describe('a page', { concurrency: 4 }, () => {
  test('joins every kind of channel', async (t) => {
    const page = await open(t);
    const heard = await page.evaluate(async () => {
      const client = connect();
      const results = {};
      for (const name of [
        'news', 'private-news', 'presence-news', 'private-encrypted-news', 'cache-news', 'private-cache-news', 'presence-cache-news', 'private-encrypted-cache-news',
      ]) {
        const channel = await joined(client, name);
        const data = once(channel, 'headline');
        await trigger(name, 'headline', { from: name, text: 'Grüße “☃”' });
        results[name] = (await data).from === name && (await data).text === 'Grüße “☃”';
      }
      client.disconnect();
      return results;
    });
    assert.equal(Object.keys(heard).length, 8);
    assert.ok(Object.values(heard).every(Boolean), JSON.stringify(heard));
  });

  test('is one member with another of its user, and talks to members', async (t) => {
    const page = await open(t);
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

  test('signs a user in, who is spoken to', async (t) => {
    const page = await open(t);
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

  test('listens, whispers and sees who is here with Laravel Echo', async (t) => {
    const page = await open(t);
    const result = await page.evaluate(async () => {
      const make = (user) => new Echo.default({ broadcaster: 'reverb', key: 'app-key', Pusher, ...options(user) });
      const [one, two] = ['one', 'two'].map((id) => make({ user_id: id, user_info: { name: id } }));
      const out = {};
      const waited = (subscribe) => new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error('nothing in 30 s')), 30000);
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

  test('that was away hears what it missed, whole and in order, or that it is lost', async (t) => {
    const page = await open(t);
    const names = ['kept-page', 'presence-kept', 'private-encrypted-kept'];
    await page.evaluate(async (names) => {
      window.client = holdfast.withRecovery(connect());
      window.isAway = false;
      client.connection.bind('connecting_in', () => (window.isAway = true));  // its state is "connected" until then
      client.connection.bind('connected', () => (window.isAway = false));
      // It comes back when it wants to and may: whoever publishes meanwhile may take longer than it would wait.
      const { connect: comeBack } = client.connection;
      client.connection.connect = () => window.mayReturn.then(() => comeBack.call(client.connection));
      window.heard = {};
      for (const name of names) {
        const channel = await joined(client, name);
        heard[name] = [];
        channel.bind_global((event, data) => heard[name].push(event.startsWith('pusher') ? event : event === 'said' ? data : event));
      }
    }, names);
    const publish = async (from, to) => {
      const events = numbers(from, to).flatMap((data) => names.map((channel) => ({ channel, name: 'said', data })));
      while (events.length > 0) await api.triggerBatch(events.splice(0, 10));
    };
    const heard = async (count) => {
      await page.waitForFunction(({ count, names }) => names.every((name) => heard[name].length >= count), { count, names });
      return page.evaluate(() => heard);
    };
    const goAway = async () => {
      await page.evaluate(() => void (window.mayReturn = new Promise((resolve) => (window.letReturn = resolve))));
      await cutOff(await page.evaluate(() => client.connection.socket_id), 4100);  // after which it waits for a second
      await page.waitForFunction(() => isAway);
    };
    const comeBack = async () => {
      assert.ok(await page.evaluate(() => isAway), 'all was said while it was away');
      await page.evaluate(() => letReturn());
    };

    await publish(0, 3);
    await heard(3);
    await goAway();
    await publish(3, 11);
    await comeBack();
    const back = await page.waitForFunction(() => !isAway).then(() => publish(11, 13)).then(() => heard(15));
    for (const name of names) {
      assert.deepEqual(back[name], [...numbers(0, 3), 'holdfast:recovered', 'pusher:subscription_succeeded', ...numbers(3, 13)], name);
    }

    await goAway();
    await api.triggerBatch(numbers(0, 10).map((data) => ({ channel: 'kept-page', name: 'said', data })));
    await api.triggerBatch(numbers(10, 20).map((data) => ({ channel: 'kept-page', name: 'said', data })));
    await api.trigger('kept-page', 'said', 20);
    await comeBack();
    const late = await page.waitForFunction(() => heard['kept-page'].length >= 17 && heard['presence-kept'].length >= 17).then(() => page.evaluate(() => heard));
    assert.deepEqual(late['kept-page'].slice(15), ['holdfast:lost', 'pusher:subscription_succeeded'], 'of the 21 that it missed, 20 are kept');
    assert.deepEqual(late['presence-kept'].slice(15), ['holdfast:recovered', 'pusher:subscription_succeeded']);
    await api.trigger('kept-page', 'said', 'live');
    assert.deepEqual((await page.waitForFunction(() => heard['kept-page'].length > 17).then(() => page.evaluate(() => heard['kept-page']))).slice(17), ['live']);
    await page.evaluate(() => client.disconnect());
  });

  // pusher-js decides by the code (protocol.ts, getCloseAction).
  const returns = { atOnce: [4200, 4201, 4202], afterASecond: [1001, 1011, 4100], never: [4001, 4003, 4009, 4301] };

  test('comes back at once, after a second or never, as the close code says', async (t) => {
    const page = await open(t);
    const codes = Object.values(returns).flat();
    const back = await page.evaluate(async ([codes, never]) => {
      const one = async (code) => {
        const client = connect();
        await connected(client);
        let returned = null;
        const states = [], waited = [];
        const { retryIn } = client.connection;
        client.connection.retryIn = (delay) => (waited.push(delay), retryIn.call(client.connection, delay));
        client.connection.bind('state_change', ({ current }) => {
          states.push(current);
          if (current === 'connected') returned ??= performance.now();
        });
        const before = performance.now();
        await cutOff(client.connection.socket_id, code);
        const patience = never.includes(code) ? 2500 : 30000;
        while (returned === null && performance.now() - before < patience) await new Promise((resolve) => setTimeout(resolve, 20));
        client.disconnect();
        return [code, returned && returned - before, states, waited];
      };
      return Promise.all(codes.map(one));
    }, [codes, returns.never]);
    for (const [code, milliseconds, states, waited] of back) {
      if (returns.never.includes(code)) {
        assert.equal(milliseconds, null, `never, with ${code}: ${states}`);
        continue;
      }
      assert.ok(milliseconds !== null, `it is back, with ${code}: ${states}`);
      // What it means to wait: on a busy machine it takes longer.
      const pause = returns.afterASecond.includes(code) ? 1000 : 0;
      assert.equal(Math.min(...waited), pause, `with ${code}`);
      assert.ok(milliseconds > 0.9 * pause, `with ${code}: ${milliseconds}`);
    }
  });

  test('of an unknown app is told so, and does not come back', async (t) => {
    const page = await open(t);
    const [code, states] = await page.evaluate(async () => {
      const client = new Pusher('nobody', options());
      const states = [];
      client.connection.bind('state_change', ({ current }) => states.push(current));
      const { error } = await once(client.connection, 'error');
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return [error.data.code, states];
    });
    assert.equal(code, 4001);
    assert.ok(!states.includes('connected') && states.filter((state) => state === 'connecting').length <= 1, states.join());
  });

  test('reads a channel with EventSource, which comes back by itself to where it was', async (t) => {
    const page = await open(t);
    await page.evaluate(() => {
      window.heard = [];
      window.opened = 0;
      window.source = new EventSource('/apps/1/channels/kept-stream/sse?key=app-key');
      source.onopen = () => ++opened;
      source.onmessage = ({ data, lastEventId }) => heard.push([JSON.parse(data), lastEventId]);
    });
    const heard = async (count) => {
      await page.waitForFunction((count) => heard.length >= count, count);
      return page.evaluate(() => heard);
    };
    await heard(1);
    for (const number of numbers(0, 2)) await api.trigger('kept-stream', 'said', number);
    await heard(3);
    const { connections } = await (await fetch(`${process.env.HOLDFAST_ADMIN}/connections`)).json();
    const { id } = connections.find(({ topics }) => topics.includes('kept-stream (app 1)'));
    // It comes back when it wants to and may.
    let letReturn;
    const mayReturn = new Promise((resolve) => (letReturn = resolve));
    await page.route('**/sse?*', (route) => mayReturn.then(() => route.continue()));
    await endConnection(id, 1000);
    await page.waitForFunction(() => source.readyState === EventSource.CONNECTING);
    for (const number of numbers(2, 5)) await api.trigger('kept-stream', 'said', number);
    assert.equal(await page.evaluate(() => opened), 1, 'all was said while it was away');
    letReturn();
    await heard(7);
    await api.trigger('kept-stream', 'said', 5);
    const all = await heard(8);
    const { epoch } = JSON.parse(all[0][0].data);
    assert.deepEqual(all.map(([{ event, data }]) => (event === 'said' ? Number(data) : JSON.parse(data).recovered)), [undefined, 0, 1, true, 2, 3, 4, 5]);
    assert.deepEqual(all.map(([, id]) => id), [0, 1, 2, 2, 3, 4, 5, 6].map((serial) => `${epoch}:${serial}`));
    assert.equal(await page.evaluate(() => (source.close(), opened)), 2);
  });

  test('of another origin may read a stream from where it was', async (t) => {
    await api.trigger('kept-elsewhere', 'said', 1);
    const page = await open(t);
    await page.goto(`${process.env.HOLDFAST_ADMIN}/healthz`);
    const [status, text] = await page.evaluate(async (url) => {
      const answer = await fetch(url, { headers: { 'Last-Event-ID': 'abc:0' } });  // which a browser asks for first, with OPTIONS
      const reader = answer.body.getReader();
      let text = '';
      while (!text.includes('subscription_succeeded')) text += new TextDecoder().decode((await reader.read()).value);
      await reader.cancel();
      return [answer.status, text];
    }, `http://${host}/apps/1/channels/kept-elsewhere/sse?key=app-key`);
    assert.equal(status, 200);
    assert.match(text, /\\"recovered\\":false,\\"serial\\":1/);
  });
});

test('a drain sends pages elsewhere at once', async (t) => {
  const page = await open(t);
  await page.evaluate(async () => {
    window.client = connect();
    await connected(client);
    window.states = [];
    client.connection.bind('state_change', ({ current }) => states.push(current));
  });
  process.kill(Number(process.env.HOLDFAST_PID), 'SIGTERM');
  const states = await page.evaluate(async () => {
    for (let tries = 0; tries < 600 && !states.includes('connecting'); ++tries) await new Promise((resolve) => setTimeout(resolve, 50));
    return states;
  });
  assert.ok(states.includes('connecting'), states.join());
});
