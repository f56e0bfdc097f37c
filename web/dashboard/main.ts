// The operator's page: asks /stats once a second and draws what it says.
import './style.css';
import { element } from '../common/dom.js';
import { bytes, count, duration, percent } from '../common/format.js';
import { makeCharts } from './charts';
import { makeConsole } from './console';
import { makePeers, table } from './peers';
import { History, total, type Stats } from './stats';

const by = (id: string) => document.getElementById(id)!;
const history = new History();

const perSecond = (value: number | null, format: (value: number) => string = count) => (value === null ? '–' : `${format(value)}/s`);

function showHead(stats: Stats) {
  by('version').textContent = stats.version;
  by('connections').textContent = count(stats.connections);
  document.title = `${count(stats.connections)} connections – Holdfast`;
  by('state').textContent = stats.ready ? 'ready' : stats.ready_reason;
  by('state').className = stats.ready ? 'ready' : 'full';
  by('subtitle').textContent =
    `${stats.listening.join(', ')} · ${stats.workers} workers over ${stats.io} · at most ${count(stats.connections_max)} · up for ${duration(Math.floor(stats.uptime_seconds) * 1e9)}`;
}

function showFigures(stats: Stats) {
  const figures: [string, string, string][] = [
    ['Opened', perSecond(history.last('opened')), `${count(stats.opened_total)} in all`],
    ['Deliveries', perSecond(history.last('deliveries')), `${count(stats.messages_dropped_total)} dropped, ${count(stats.publications_lost_total)} publications lost`],
    ['Received', perSecond(history.last('received')), 'messages'],
    ['Sent', perSecond(history.last('sentBytes'), bytes), `${bytes(stats.sent_bytes_total)} in all`],
    ['Waiting', bytes(stats.queued_bytes), 'for slow readers'],
    ['User memory', bytes(Math.round(stats.memory.user_bytes)), stats.connections > 0 ? `${count(stats.memory.user_bytes_per_connection)} B a connection, the start included` : 'with nobody on'],
    ['Kernel memory', bytes(Math.round(stats.memory.kernel_bytes_per_connection * stats.connections)), `${count(stats.memory.kernel_bytes_per_connection)} B a connection`],
    ['Pongs missed', count(stats.pongs_missed_total), `${perSecond(history.last('pings'))} pings`],
  ];
  by('figures').replaceChildren(...figures.map(([label, value, more]) =>
    element('div', { class: 'figure' }, element('div', { class: 'label' }, label), element('div', { class: 'value' }, value), element('div', { class: 'more' }, more))));
}

function showResources(stats: Stats) {
  by('resources').replaceChildren(...Object.entries(stats.resources).map(([name, { used, limit }]) => {
    const format = name === 'memory' ? bytes : count;
    const share = limit > 0 ? Math.min(1, used / limit) : 0;
    const fill = element('div', { class: 'fill' });
    fill.style.width = `${share * 100}%`;
    return element('div', { class: share > 0.9 ? 'meter full' : 'meter' },
      element('span', {}, name),
      element('div', { class: 'track', role: 'meter', 'aria-label': name, 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': String(Math.round(share * 100)) }, fill),
      element('span', { class: 'amount number' }, limit > 0 ? `${format(used)} of ${format(limit)}, ${percent(share)}` : `${format(used)}, no limit`));
  }));
}

function showWorkers(stats: Stats) {
  const each = stats.connections_per_worker;
  const most = Math.max(...each, 1);
  const mean = each.reduce((sum, value) => sum + value, 0) / Math.max(each.length, 1);
  const bars = each.map((value, at) => {
    const bar = element('div', { title: `worker ${at}: ${count(value)}` });
    bar.style.height = `${Math.max(1, (value / most) * 100)}%`;
    return bar;
  });
  by('workers').replaceChildren(
    element('div', { class: 'spread', role: 'img', 'aria-label': `${each.length} workers, the fullest with ${count(most)}` }, ...bars),
    element('p', { class: 'note' }, mean > 0 ? `fullest ${count(Math.max(...each))}, ${(Math.max(...each) / mean).toFixed(2)}× the mean of ${count(mean)}` : 'none yet',
      ` · a turn takes ${duration(stats.turns.mean_microseconds * 1000) || '0'} in the mean`));
}

function showReasons(stats: Stats) {
  const rows = [...Object.entries(stats.refused).map(([reason, times]) => ['refused', reason, times] as const), ...Object.entries(stats.closed).map(([reason, times]) => ['closed', reason, times] as const)]
    .filter(([, , times]) => times > 0)
    .sort((a, b) => b[2] - a[2])
    .map(([what, reason, times]) => [what, reason.replaceAll('_', ' '), count(times)]);
  by('reasons').replaceChildren(table(['', 'reason', 'times'], rows, new Set([2]), 'None so far.'));
}

function showApps(stats: Stats) {
  by('channel-figures').hidden = stats.apps === undefined;
  const apps = stats.apps ?? [];
  const rows = [...apps].sort((a, b) => b.connections - a.connections)
    .map((app) => [app.enabled ? app.id : `${app.id} (disabled)`, count(app.connections), count(total(app.channels)), count(total(app.subscriptions)), count(app.members), count(app.events_published_total), count(app.client_events_total)]);
  by('apps').replaceChildren(table(['app', 'clients', 'channels', 'subscriptions', 'members', 'events published', 'client events'], rows, new Set([1, 2, 3, 4, 5, 6]), 'There are no apps.'));
}

function show(stats: Stats) {
  showHead(stats);
  showFigures(stats);
  showResources(stats);
  showWorkers(stats);
  showReasons(stats);
  showApps(stats);
}

const draw = makeCharts(by('charts'), history);
makeConsole(by);
const peers = makePeers(by);

async function look(): Promise<void> {
  let stats: Stats | null = null;
  try {
    const answer = await fetch('/stats', { signal: AbortSignal.timeout(5000) });
    if (answer.ok) stats = await answer.json();
  } catch {
    // It is away; the page says so and goes on asking.
  }
  history.add(stats, Date.now());
  if (stats === null) {
    by('state').textContent = 'no answer';
    by('state').className = 'away';
  } else {
    show(stats);
  }
  draw();
}

// One after the other, a second apart; slow answers do not pile up, and a page nobody sees rests.
async function watch() {
  for (let round = 0; ; ++round) {
    if (!document.hidden || round === 0) {
      await look();
      if (round % 5 === 0) await Promise.all([peers.refreshTopics(), history.latest?.apps && peers.refreshChannels()]);
      if (round === 0) await peers.refresh();
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
watch();
