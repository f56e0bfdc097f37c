// A browser that knows nothing of Holdfast but its address: headless Chromium, told what to do over its DevTools protocol.
// HOLDFAST_URL is ws://HOST:PORT or wss://HOST:PORT; HOLDFAST_CHROMIUM the browser; HOLDFAST_SPKI the key that it trusts without an authority: the
// SHA-256 of what a certificate says of it, in base64. HOLDFAST_DEFLATE is the server's --deflate, HOLDFAST_ADMIN the operator's http://HOST:PORT.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { after, before } from 'node:test';
import WebSocket from 'ws';

const url = process.env.HOLDFAST_URL;
const deflate = process.env.HOLDFAST_DEFLATE;
let browser, profile, devtools, session;

class DevTools {
  constructor(socket) {
    this.socket = socket;
    this.waiting = new Map();
    this.last = 0;
    socket.on('message', (text) => {
      const answer = JSON.parse(text);
      this.waiting.get(answer.id)?.(answer);
      this.waiting.delete(answer.id);
    });
  }

  call(method, params = {}, sessionId = undefined) {
    const id = ++this.last;
    this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${method}: no answer for 40 s`)), 40000);
      this.waiting.set(id, (answer) => {
        clearTimeout(late);
        answer.error ? reject(new Error(`${method}: ${answer.error.message}`)) : resolve(answer.result);
      });
    });
  }
}

// What the page runs before each script: a peer with promises.
const prelude = `
  const open = (path) => new Promise((resolve, reject) => {
    const peer = new WebSocket(${JSON.stringify(url)} + path);
    peer.binaryType = 'arraybuffer';
    const received = [], waiting = [];
    peer.onmessage = ({ data }) => waiting.length ? waiting.shift()(data) : received.push(data);
    peer.next = () => received.length ? Promise.resolve(received.shift()) : new Promise((r) => waiting.push(r));
    peer.closed = new Promise((r) => { peer.onclose = ({ code, reason, wasClean }) => r({ code, reason, wasClean }); });
    peer.onopen = () => resolve(peer);
    peer.onerror = () => reject(new Error('no connection to ' + path));
  });
`;

// Runs the body of an async function in the page and returns its result.
async function inPage(body) {
  const expression = `(async () => { ${prelude} ${body} })()`;
  const { result, exceptionDetails } = await devtools.call(
    'Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, session);
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

before(async () => {
  profile = await mkdtemp(join(tmpdir(), 'holdfast-chromium-'));
  browser = spawn(process.env.HOLDFAST_CHROMIUM, [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions',
    '--disable-background-networking', '--disable-component-update', '--remote-debugging-port=0',
    `--user-data-dir=${profile}`,
    ...process.env.HOLDFAST_SPKI ? [`--ignore-certificate-errors-spki-list=${process.env.HOLDFAST_SPKI}`] : [], 'about:blank',
  ], { stdio: ['ignore', 'ignore', 'pipe'] });
  const address = await new Promise((resolve, reject) => {
    browser.once('exit', (code) => reject(new Error(`the browser ended with ${code}`)));
    createInterface({ input: browser.stderr }).on('line', (line) => {
      const match = line.match(/^DevTools listening on (ws:.*)$/);
      if (match) resolve(match[1]);
    });
  });
  const socket = new WebSocket(address, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  devtools = new DevTools(socket);
  // A page of the server's own host: a browser lets it speak to that, wherever it is.
  const { targetId } = await devtools.call('Target.createTarget', { url: url.replace(/^ws/, 'http') + '/page' });
  ({ sessionId: session } = await devtools.call('Target.attachToTarget', { targetId, flatten: true }));
  const loaded = { expression: `document.readyState === 'complete' && location.pathname === '/page'`, returnByValue: true };
  for (const end = Date.now() + 40000; Date.now() < end; ) {
    const { result } = await devtools.call('Runtime.evaluate', loaded, session).catch(() => ({ result: {} }));
    if (result.value) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the page did not load');
});

after(async () => {
  await devtools?.call('Browser.close').catch(() => {});
  devtools?.socket.terminate();
  browser?.kill('SIGKILL');
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

test('text comes back as it was, of every length form and beyond ASCII', async () => {
  assert.equal(await inPage(`
    const peer = await open('/echo');
    for (const text of ['', 'x', 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(65535), 'x'.repeat(65536), 'Grüße, 世界 🌍'.repeat(1000)]) {
      peer.send(text);
      if (await peer.next() !== text) return 'not the same: ' + text.length;
    }
    peer.close();
    return (await peer.closed).wasClean;
  `), true);
});

test('binary data comes back as it was, from a buffer, a view and a blob', async () => {
  assert.equal(await inPage(`
    const peer = await open('/echo');
    const same = (a, b) => a.byteLength === b.byteLength && new Uint8Array(a).every((byte, i) => byte === new Uint8Array(b)[i]);
    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 100000]) {
      const bytes = new Uint8Array(size).map((_, i) => i * 7 + 255);
      for (const form of [bytes, bytes.buffer, new Blob([bytes])]) {
        peer.send(form);
        if (!same(await peer.next(), bytes.buffer)) return 'not the same: ' + size;
      }
    }
    peer.close();
    return (await peer.closed).wasClean;
  `), true);
});

test('a message of 16 MiB comes back whole', async () => {
  assert.deepEqual(await inPage(`
    const peer = await open('/echo');
    const text = 'Ein langer Satz, der sich wiederholt. '.repeat(450000).slice(0, 16 * 1024 * 1024);
    peer.send(text);
    const back = await peer.next();
    peer.close();
    return [back.length, back === text, (await peer.closed).wasClean];
  `), [16 * 1024 * 1024, true, true]);
});

test('ten thousand messages in flight come back in their order', async () => {
  assert.equal(await inPage(`
    const peer = await open('/echo');
    for (let i = 0; i < 10000; ++i) peer.send(String(i));
    for (let i = 0; i < 10000; ++i) if (await peer.next() !== String(i)) return i;
    peer.close();
    return 'all';
  `), 'all');
});

test('a close by the page ends cleanly with the code that the page gave', async () => {
  for (const code of [1000, 3000, 3999, 4000, 4999]) {
    const end = await inPage(`const peer = await open('/echo'); peer.close(${code}, 'good night 🌙'); return peer.closed;`);
    assert.deepEqual([end.code, end.wasClean], [code, true]);
  }
});

test('a close by the page without a code is answered without one', async () => {
  const end = await inPage(`const peer = await open('/echo'); peer.close(); return peer.closed;`);
  assert.deepEqual([end.code, end.wasClean], [1005, true]);
});

test('too long a message is closed with 1009, and the page is told', async () => {
  const end = await inPage(`const peer = await open('/echo'); peer.send(new Uint8Array(16 * 1024 * 1024 + 1)); return peer.closed;`);
  assert.equal(end.code, 1009);
});

test('a path that is not there is no connection', async () => {
  await assert.rejects(inPage(`await open('/nowhere');`), /no connection to \/nowhere/);
});

test('a page that subscribes gets what another page posts', async () => {
  assert.equal(await inPage(`
    const peer = await open('/topics/news');
    const done = await fetch('/topics/news', { method: 'POST', body: 'the cache is warm' });
    return [done.status, await peer.next()].join(' ');
  `), '202 the cache is warm');
});

async function counted() {
  const text = await (await fetch(process.env.HOLDFAST_ADMIN + '/metrics')).text();
  const total = (name) => text.split('\n').filter((line) => line.replace(/{.*/, '').split(' ')[0] === name)
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  return {
    agreed: total('holdfast_deflate_agreed_total'), before: total('holdfast_deflated_message_bytes_total'),
    after: total('holdfast_deflated_payload_bytes_total'), received: total('holdfast_received_bytes_total'),
  };
}

test('messages are compressed, both ways, where the server is told so and nowhere else', async () => {
  const before = await counted();
  const { extensions, said, told } = await inPage(`
    const peer = await open('/echo');
    const quotes = (size) => Array.from({ length: size / 20 + 1 }, (_, i) => '{"symbol":"S' + i % 50 + '","price":' + i * 7919 % 1000 + '}').join().slice(0, size);
    let said = 0, told = 'all';
    for (const size of [0, 1, 125, 126, 1000, 65535, 65536, 70000, 300000]) {
      const text = quotes(size);
      for (const message of [text, text, new TextEncoder().encode(text)]) {
        peer.send(message);
        const back = await peer.next();
        if ((typeof back === 'string' ? back : new TextDecoder().decode(back)) !== text || typeof back !== typeof (message.buffer ?? message))
          told = 'not the same: ' + size;
        said += size;
      }
      // What cannot be compressed.
      const noise = new Uint8Array(size).map(() => Math.random() * 256);
      peer.send(noise);
      const back = new Uint8Array(await peer.next());
      if (back.length !== size || noise.some((byte, i) => byte !== back[i])) told = 'not the same noise: ' + size;
      said += size;
    }
    const { extensions } = peer;
    peer.close();
    await peer.closed;
    return { extensions, said, told };
  `);
  const after = await counted();
  assert.equal(told, 'all');
  if (deflate === 'off') {
    assert.equal(extensions, '');
    assert.deepEqual([after.agreed, after.before], [0, 0]);
    assert.ok(after.received - before.received >= said, 'the server was sent fewer bytes than the page said');
    return;
  }
  assert.match(extensions, /^permessage-deflate\b/);
  assert.equal(/server_no_context_takeover/.test(extensions), deflate === 'on', extensions);
  assert.equal(after.agreed, before.agreed + 1);
  assert.ok(after.after - before.after < (after.before - before.before) * 0.6, JSON.stringify([before, after]));
  // A quarter of it is noise.
  assert.ok(after.received - before.received < said * 0.6, `${after.received - before.received} bytes for ${said}`);
});

// The last one: the server is told to leave.
test('a server that drains closes with 1001, cleanly', async () => {
  await inPage(`window.held = await open('/');`);
  process.kill(Number(process.env.HOLDFAST_PID), 'SIGTERM');
  const { code, wasClean } = await inPage(`return held.closed;`);
  assert.deepEqual([code, wasClean], [1001, true]);
});
