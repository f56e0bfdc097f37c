// A Node.js program that knows nothing of Holdfast but its address: npm's `ws` as the peer. Called with ws://HOST:PORT.
import assert from 'node:assert/strict';
import test from 'node:test';
import WebSocket from 'ws';

const url = process.env.HOLDFAST_URL;

function open(path, options = {}) {
  return new Promise((resolve, reject) => {
    const peer = new WebSocket(url + path, options);
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

function closed(peer) {
  return new Promise((resolve) => peer.once('close', (code, reason) => resolve([code, reason.toString()])));
}

test('echo sends back text and binary of every length form', async () => {
  const peer = await open('/echo');
  for (const size of [0, 1, 125, 126, 127, 65535, 65536]) {
    peer.send('x'.repeat(size));
    assert.equal(await next(peer), 'x'.repeat(size));
    peer.send(Buffer.alloc(size, 7));
    assert.deepEqual(await next(peer), Buffer.alloc(size, 7));
  }
  peer.close();
  await closed(peer);
});

test('echo joins fragments, with a ping between them', async () => {
  const peer = await open('/echo');
  const pong = new Promise((resolve) => peer.once('pong', (data) => resolve(data.toString())));
  peer.send('one ', { fin: false });
  peer.ping('between');
  peer.send('two', { fin: true });
  assert.equal(await pong, 'between');
  assert.equal(await next(peer), 'one two');
  peer.terminate();
});

test('a ping is answered with its payload', async () => {
  const peer = await open('/');
  const pong = new Promise((resolve) => peer.once('pong', (data) => resolve(data)));
  peer.ping(Buffer.alloc(125, 9));
  assert.deepEqual(await pong, Buffer.alloc(125, 9));
  peer.terminate();
});

test('the close handshake completes with every code that may be sent', async () => {
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4001, 4999]) {
    const peer = await open('/echo');
    const end = closed(peer);
    peer.close(code, 'good night');
    assert.equal((await end)[0], code);
  }
});

test('a close without a code is answered without one', async () => {
  const peer = await open('/echo');
  const end = closed(peer);
  peer.close();
  assert.equal((await end)[0], 1005);
});

test('a message of 16 MiB comes back whole', async () => {
  const peer = await open('/echo');
  const message = Buffer.alloc(16 * 1024 * 1024, 'wrapped ');
  peer.send(message);
  assert.ok(message.equals(await next(peer)));
  peer.terminate();
});

test('a message of ten thousand fragments comes back whole', async () => {
  const peer = await open('/echo');
  for (let i = 0; i < 10000; ++i) peer.send(`fragment ${i};`, { fin: false });
  peer.send('the end', { fin: true });
  assert.equal(await next(peer), Array.from({ length: 10000 }, (_, i) => `fragment ${i};`).join('') + 'the end');
  peer.terminate();
});

test('what was said before a close comes back before the end', async () => {
  const peer = await open('/echo');
  const end = closed(peer);
  peer.send('x'.repeat(1000000));
  peer.send('last words');
  peer.close(1000);
  assert.equal((await next(peer)).length, 1000000);
  assert.equal(await next(peer), 'last words');
  assert.equal((await end)[0], 1000);
});

test('a text that is no UTF-8 is closed with 1007', async () => {
  const peer = await open('/echo');
  const end = closed(peer);
  peer.send(Buffer.from([0x67, 0xff]), { binary: false });
  assert.equal((await end)[0], 1007);
});

test('a frame without mask is closed with 1002', async () => {
  const peer = await open('/echo');
  const end = closed(peer);
  peer.send('bare', { mask: false });
  assert.equal((await end)[0], 1002);
});

test('permessage-deflate is declined and the messages stay whole', async () => {
  const peer = await open('/echo', { perMessageDeflate: true });
  assert.equal(peer.extensions, '');
  peer.send('plain');
  assert.equal(await next(peer), 'plain');
  peer.terminate();
});

test('a thousand peers at once get their own words back', async () => {
  const peers = await Promise.all(Array.from({ length: 1000 }, () => open('/echo')));
  const answers = peers.map((peer, number) => {
    peer.send(`peer ${number}`);
    return next(peer);
  });
  assert.deepEqual(await Promise.all(answers), peers.map((_, number) => `peer ${number}`));
  for (const peer of peers) peer.terminate();
});

test('an unknown path is refused with 404', async () => {
  await assert.rejects(open('/nowhere'), /404/);
});

test('a subscriber gets what is posted to its topic, and only that', async () => {
  const news = await open('/topics/news');
  const sport = await open('/topics/sport');
  const post = (topic, body) => fetch(`${url.replace(/^ws/, 'http')}/topics/${topic}`, { method: 'POST', body });
  assert.ok((await post('sport', 'one nil')).ok);
  assert.ok((await post('news', 'the cache is warm')).ok);
  assert.equal(await next(news), 'the cache is warm');
  assert.equal(await next(sport), 'one nil');
  assert.deepEqual(news.received, []);
  news.terminate();
  sport.terminate();
});
