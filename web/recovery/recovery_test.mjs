// The addition to pusher-js, with pusher-js itself and a server that says what the test wants. HOLDFAST_RECOVERY is the module as it is built.
import assert from 'node:assert/strict';
import { once as onceOf } from 'node:events';
import { createRequire } from 'node:module';
import test, { afterEach, beforeEach } from 'node:test';
import { WebSocketServer } from 'ws';

const require = createRequire(import.meta.url);
const Pusher = require('pusher-js/dist/node/pusher.js');
const { withRecovery } = await import(process.env.HOLDFAST_RECOVERY);

let server, client, socket;

const say = (message) => socket.send(JSON.stringify(message));
const event = (serial, more = {}) => say({ event: 'said', channel: 'kept', data: JSON.stringify(`event ${serial}`), serial, epoch: 'e1', ...more });
const succeeded = (data, channel = 'kept') => say({ event: 'pusher_internal:subscription_succeeded', channel, data: JSON.stringify(data) });

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what}: not within 5 s`)), 5000)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The client's next message of that kind: its data.
const asked = (kind) =>
  within(
    new Promise((resolve) => {
      const listen = (text) => {
        const message = JSON.parse(text);
        if (message.event !== kind) return;
        socket.off('message', listen);
        resolve(message.data);
      };
      socket.on('message', listen);
    }),
    kind,
  );

// The next connection, and what it subscribes to first.
async function comes() {
  [socket] = await within(onceOf(server, 'connection'), 'a connection');
  const subscription = asked('pusher:subscribe');
  say({ event: 'pusher:connection_established', data: '{"socket_id":"1.1","activity_timeout":120}' });
  return subscription;
}

// Cut off so that it comes back at once.
const comesBack = () => {
  socket.close(4200);
  return comes();
};

// All that the channel tells from now on.
function heardOn(channel) {
  const heard = [];
  channel.bind_global((name, data) => heard.push(name.startsWith('said') ? data : name));
  return heard;
}
const told = (heard, count) =>
  within(
    new Promise((resolve) => {
      const look = () => (heard.length >= count ? resolve(heard) : setTimeout(look, 5));
      look();
    }),
    `${count} events (${heard})`,
  );

function connect(places) {
  const { address, port } = server.address();
  client = withRecovery(
    new Pusher('key', { wsHost: address, wsPort: port, forceTLS: false, enabledTransports: ['ws'], cluster: '', disableStats: true }),
    places,
  );
  return client;
}

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.0.0.7', port: 0 });
  await onceOf(server, 'listening');
});
afterEach(() => {
  client.disconnect();
  server.clients.forEach((one) => one.terminate());
  server.close();
});

test('a client asks from where it was, and says what came of it before its events', async () => {
  const channel = connect().subscribe('kept');
  assert.equal('recover' in (await comes()), false, 'it knows nothing yet');
  const heard = heardOn(channel);
  succeeded({ serial: 7, epoch: 'e1' });
  event(8);
  event(9);
  await told(heard, 3);
  assert.deepEqual((await comesBack()).recover, { serial: 9, epoch: 'e1' });
  succeeded({ recovered: true, serial: 9, epoch: 'e1' });
  event(10);
  event(11);
  assert.deepEqual(await told(heard, 7), [
    'pusher:subscription_succeeded', 'event 8', 'event 9',
    'holdfast:recovered', 'pusher:subscription_succeeded', 'event 10', 'event 11',
  ]);
  assert.deepEqual((await comesBack()).recover, { serial: 11, epoch: 'e1' });
});

test('what is lost is said so, and the stream goes on from the new place', async () => {
  const channel = connect().subscribe('kept');
  await comes();
  const heard = heardOn(channel);
  succeeded({ serial: 7, epoch: 'e1' });
  await told(heard, 1);
  await comesBack();
  succeeded({ recovered: false, serial: 99, epoch: 'e2' });
  assert.deepEqual(await told(heard, 3), ['pusher:subscription_succeeded', 'holdfast:lost', 'pusher:subscription_succeeded']);
  assert.deepEqual((await comesBack()).recover, { serial: 99, epoch: 'e2' });
});

test('where there is no history nothing is asked for, and a return says that events are lost', async () => {
  const channel = connect().subscribe('kept');
  await comes();
  const heard = heardOn(channel);
  succeeded({});
  await told(heard, 1);
  assert.equal('recover' in (await comesBack()), false);
  succeeded({});
  assert.deepEqual(await told(heard, 3), ['pusher:subscription_succeeded', 'holdfast:lost', 'pusher:subscription_succeeded']);
});

test('what an event carries is not taken for its place', async () => {
  const channel = connect().subscribe('kept');
  await comes();
  const heard = heardOn(channel);
  succeeded({ serial: 7, epoch: 'e1' });
  say({ event: 'said', channel: 'kept', data: JSON.stringify({ serial: 1, epoch: 'x' }) });
  say({ event: 'said', channel: 'kept', data: { serial: 1, epoch: 'x' } });
  say({ event: 'said', channel: 'kept', data: '"pusher_internal:subscription_succeeded"' });
  say({ event: 'said', channel: 'other', data: '1', serial: 3, epoch: 'e1' });
  await told(heard, 4);
  assert.deepEqual((await comesBack()).recover, { serial: 7, epoch: 'e1' });
});

test('a handler that throws has heard its event', async () => {
  const channel = connect().subscribe('kept');
  await comes();
  const heard = heardOn(channel);
  channel.bind('said', () => {
    throw new Error('of the page');
  });
  // Where it would become the process's uncaught exception, which the test runner takes for its own.
  const { transport } = client.connection.connection;
  const { emit } = transport;
  const thrown = [];
  transport.emit = (...parts) => {
    try {
      return emit.apply(transport, parts);
    } catch (error) {
      thrown.push(error.message);
    }
  };
  succeeded({ serial: 7, epoch: 'e1' });
  event(8);
  await told(heard, 2);
  assert.deepEqual(thrown, ['of the page']);
  assert.deepEqual((await comesBack()).recover, { serial: 8, epoch: 'e1' });
});

test('who leaves on purpose comes as a newcomer, also when it left while it was away', async () => {
  const channel = connect().subscribe('kept');
  await comes();
  succeeded({ serial: 7, epoch: 'e1' });
  await told(heardOn(channel), 1);
  const left = asked('pusher:unsubscribe');
  client.unsubscribe('kept');
  await left;
  const late = new Promise((resolve) => client.bind('said', resolve));
  event(8); // said before the server heard of it
  await within(late, 'the late event');
  let subscription = asked('pusher:subscribe');
  const again = client.subscribe('kept');
  assert.equal('recover' in (await subscription), false);
  const heard = heardOn(again);
  succeeded({ serial: 9, epoch: 'e1' });
  assert.deepEqual(await told(heard, 1), ['pusher:subscription_succeeded']);
  client.connection.bind('connecting', () => client.unsubscribe('kept'));
  client.connection.bind('connected', () => client.subscribe('kept'));
  assert.equal('recover' in (await comesBack()), false);
});

test('a page that kept its places goes on from them', async () => {
  const places = new Map([['kept', { serial: 7, epoch: 'e1' }]]);
  const channel = connect(places).subscribe('kept');
  assert.deepEqual((await comes()).recover, { serial: 7, epoch: 'e1' });
  const heard = heardOn(channel);
  succeeded({ recovered: true, serial: 7, epoch: 'e1' });
  event(8);
  assert.deepEqual(await told(heard, 3), ['holdfast:recovered', 'pusher:subscription_succeeded', 'event 8']);
  assert.deepEqual([...places], [['kept', { serial: 8, epoch: 'e1' }]]);
});

test('a client that is connected already is listened to as well', async () => {
  const { address, port } = server.address();
  client = new Pusher('key', { wsHost: address, wsPort: port, forceTLS: false, enabledTransports: ['ws'], cluster: '', disableStats: true });
  const isConnected = new Promise((resolve) => client.connection.bind('connected', resolve));
  const first = comes();
  await within(isConnected, 'connected');
  const channel = withRecovery(client).subscribe('kept');
  await first;
  succeeded({ serial: 7, epoch: 'e1' });
  await told(heardOn(channel), 1);
  assert.deepEqual((await comesBack()).recover, { serial: 7, epoch: 'e1' });
});

// pusher-js keeps timers that would hold the process for half a minute.
test('the end', () => void setTimeout(() => process.exit(), 300));
