// npm's `ws` as a peer that compresses. Called by deflate_test.py with ws://HOST:PORT.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import WebSocket from 'ws';

const url = process.env.HOLDFAST_URL;

function open(path, perMessageDeflate) {
  return new Promise((resolve, reject) => {
    const peer = new WebSocket(url + path, { perMessageDeflate });
    peer.received = [];
    peer.waiting = [];
    peer.on('message', (data, binary) => {
      const message = binary ? data : data.toString();
      const waiter = peer.waiting.shift();
      if (waiter) waiter(message);
      else peer.received.push(message);
    });
    peer.once('open', () => resolve(peer));
    peer.once('error', reject);
  });
}

function next(peer) {
  if (peer.received.length) return Promise.resolve(peer.received.shift());
  return new Promise((resolve) => peer.waiting.push(resolve));
}

const quotes = (size) => Array.from({ length: size }, (_, i) => `{"symbol":"S${i % 50}","price":${(i * 7919) % 1000}}`).join(',').slice(0, size);

for (const [name, options] of Object.entries({
  'its defaults': {},
  'everything compressed': { threshold: 0 },
  'no takeover': { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
  'the server forgetting': { threshold: 0, serverNoContextTakeover: true },
  'small windows': { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
  'the smallest windows': { threshold: 0, serverMaxWindowBits: 8, clientMaxWindowBits: 9 },
})) {
  test(`echo with ${name}`, async () => {
    const peer = await open('/echo', options);
    assert.match(peer.extensions, /^permessage-deflate/);
    for (const size of [0, 1, 125, 126, 1000, 65535, 65536, 131072]) {
      for (const message of [quotes(size), Buffer.from(quotes(size)), randomBytes(size)]) {
        peer.send(message);
        assert.deepEqual(await next(peer), message);
      }
    }
    peer.send(quotes(3000), { fin: false });
    peer.ping('between');
    peer.send(quotes(40), { fin: false });
    peer.send(quotes(5000), { fin: true });
    assert.equal(await next(peer), quotes(3000) + quotes(40) + quotes(5000));
    for (let i = 0; i < 500; i++) peer.send(quotes(i));
    for (let i = 0; i < 500; i++) assert.equal(await next(peer), quotes(i));
    peer.terminate();
  });
}

test('a hundred peers get one publication', async () => {
  const peers = await Promise.all(Array.from({ length: 100 }, () => open('/topics/quotes', { threshold: 0 })));
  const heard = peers.map(next);
  const answer = await fetch(url.replace('ws:', 'http:') + '/topics/quotes', { method: 'POST', body: quotes(20000) });
  assert.equal(answer.status, 202);
  assert.deepEqual(await Promise.all(heard), peers.map(() => quotes(20000)));
  for (const peer of peers) peer.terminate();
});
