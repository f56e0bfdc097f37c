// The operator's page, as an operator uses it. HOLDFAST_ADMIN is http://HOST:PORT of a server on which twelve peers hold the
// topic "prices"; HOLDFAST_CHROMIUM the browser.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';

const admin = process.env.HOLDFAST_ADMIN;
let browser, page;
const errors = [];

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.HOLDFAST_CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server'],
  });
  page = await browser.newPage();
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('dialog', (dialog) => dialog.accept());
  page.setDefaultTimeout(30000);
  await page.goto(admin);
});
after(async () => browser?.close());

const text = (selector) => page.locator(selector).innerText();
// Asked from here: the page's own policy forbids what waitForFunction() would put into it.
async function eventually(what) {
  for (const end = Date.now() + 30000; !(await page.evaluate(what)); await new Promise((resolve) => setTimeout(resolve, 50)))
    assert.ok(Date.now() < end, `not in time: ${what}`);
}

test('tells how many are on, and that the server is ready', async () => {
  await eventually(() => document.getElementById('connections').textContent === '12');
  assert.equal(await text('#state'), 'ready');
  assert.match(await page.title(), /^12 connections/);
});

test('draws each curve', async () => {
  await eventually(() => {
    const canvases = [...document.querySelectorAll('#charts canvas')];
    return canvases.length === 6 && canvases.every((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0));
  });
});

test('shows head-room, the spread over workers and the largest topics', async () => {
  await eventually(() => document.getElementById('topics').innerText.includes('prices'));
  assert.match(await text('#topics'), /prices\s+12/);
  assert.match(await text('#resources'), /connections[\s\S]*12 of/);
  assert.equal(await page.locator('#workers .spread > div').count(), 2);
});

test('shows apps, and channels by their names', async () => {
  const client = new WebSocket(`${process.env.HOLDFAST_URL}/app/app-key?protocol=7`);
  await new Promise((resolve) => client.addEventListener('message', resolve, { once: true }));
  client.send('{"event":"pusher:subscribe","data":{"channel":"headlines"}}');
  await new Promise((resolve) => client.addEventListener('message', resolve, { once: true }));
  await eventually(() => document.getElementById('channels').innerText.includes('headlines'));
  assert.match(await text('#channels'), /headlines\s+1\s+public\s+1/);
  await eventually(() => /^1\s+1\s+1\s+1\s+0/m.test(document.getElementById('apps').innerText));
  await page.click('#refresh');
  await eventually(() => document.getElementById('peers').innerText.includes('headlines (app 1)'));
  client.close();
  await eventually(() => document.getElementById('connections').textContent === '12');
});

test('publishes, and shows what a topic gets', async () => {
  await page.fill('#topic', 'news');
  await page.click('#subscribe');
  await eventually(() => document.getElementById('log').innerText.includes('subscribed to news'));
  await page.fill('#message', 'the cache is <b>warm</b>');
  await page.keyboard.press('Enter');
  await eventually(() => document.getElementById('log').innerText.includes('news: the cache is <b>warm</b>'));
  await page.click('#subscribe');
  await eventually(() => document.getElementById('log').innerText.includes('unsubscribed from news (1000'));
});

test('disconnects one', async () => {
  await page.click('#refresh');
  await eventually(() => document.querySelectorAll('#peers tbody tr').length === 12);
  await page.locator('#peers button').first().click();
  await eventually(() => document.getElementById('connections').textContent === '11');
});

test('is used by keyboard alone', async () => {
  await page.reload();
  await eventually(() => document.querySelectorAll('#peers tbody tr').length === 11);
  await page.locator('body').press('Tab');
  const names = [];
  for (let step = 0; step < 12; ++step) {
    names.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
    await page.keyboard.press('Tab');
  }
  assert.equal(names[0], 'Skip to the figures');
  assert.ok(names.includes('sort') && names.includes('refresh'), names.join(', '));
});

test('fits a phone, in light and in dark', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.waitForTimeout(300);
  const colours = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    colours.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    await eventually(() => document.documentElement.scrollWidth <= window.innerWidth);
  }
  assert.notEqual(colours[0], colours[1]);
});

test('wrote no error meanwhile', () => assert.deepEqual(errors, []));
