// The table of who is on, and of the largest topics.
import { element } from '../common/dom.js';
import { bytes, count, duration } from '../common/format.js';

interface Row {
  id: string;
  worker: number;
  address: string;
  path: string;
  state: string;
  queued_bytes: number;
  received_bytes: number | null;
  sent_bytes: number | null;
  silent_seconds: number | null;
  age_seconds: number | null;
  round_trip_seconds: number | null;
  topics: string[];
  topic_count: number;
}
interface Channel { app: string; name: string; kind: string; subscriptions: number; users: number | null }
interface Survey { connections_total: number; workers_missing: number; connections: Row[]; topics: { name: string; subscribers: number }[] }

const kRows = 100;
const kTopics = 15;

export function table(head: string[], rows: (string | Node)[][], numbers: Set<number>, empty: string): Node {
  if (rows.length === 0) return element('p', { class: 'note' }, empty);
  const cell = (name: string) => (content: string | Node, at: number) => element(name, numbers.has(at) ? { class: 'number' } : {}, content);
  return element('table', {},
    element('thead', {}, element('tr', {}, ...head.map(cell('th')))),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row.map(cell('td'))))));
}

const seconds = (value: number | null) => (value === null ? '–' : duration(value * 1e9));

export function makePeers(by: (id: string) => HTMLElement) {
  const sort = by('sort') as HTMLSelectElement;
  const note = by('peers-note');

  async function disconnect(row: Row) {
    if (!confirm(`Disconnect ${row.address}?`)) return;
    const answer = await fetch(`/connections/${row.id}`, { method: 'DELETE' }).catch(() => null);
    note.textContent = answer?.ok ? `${row.address} is being disconnected` : answer === null ? 'the server is away' : (await answer.text()).trim();
    setTimeout(refresh, 300);
  }

  function button(row: Row) {
    const node = element('button', { type: 'button', class: 'small', 'aria-label': `Disconnect ${row.address}` }, 'Disconnect');
    node.addEventListener('click', () => disconnect(row));
    return node;
  }

  async function ask<Answer = Survey>(path: string): Promise<Answer | null> {
    const answer = await fetch(path).catch(() => null);
    return answer?.ok ? answer.json() : null;
  }

  async function refresh() {
    const survey = await ask(`/connections?limit=${kRows}&sort=${sort.value}`);
    if (survey === null) return;
    by('peers').replaceChildren(table(
      ['address', 'path', 'state', 'topics', 'waiting', 'sent', 'received', 'age', 'silent for', 'round trip', 'worker', ''],
      survey.connections.map((row) => [
        row.address || 'unix socket', row.path, row.state,
        row.topics.join(', ') + (row.topic_count > row.topics.length ? `, and ${count(row.topic_count - row.topics.length)} more` : ''),
        bytes(row.queued_bytes), row.sent_bytes === null ? '–' : bytes(row.sent_bytes), row.received_bytes === null ? '–' : bytes(row.received_bytes),
        row.age_seconds === null ? '–' : duration(Math.floor(row.age_seconds) * 1e9) || '0 s', seconds(row.silent_seconds), seconds(row.round_trip_seconds), String(row.worker), button(row),
      ]), new Set([4, 5, 6, 7, 8, 9, 10]), 'Nobody is on.'));
    const shown = survey.connections.length;
    note.textContent = [
      survey.connections_total > shown ? `${count(shown)} of ${count(survey.connections_total)} are shown.` : '',
      survey.workers_missing > 0 ? `${survey.workers_missing} workers were too busy to answer.` : '',
    ].join(' ').trim();
  }

  async function refreshTopics() {
    const survey = await ask(`/topics?limit=${kTopics}`);
    if (survey === null) return;
    by('topics').replaceChildren(table(['topic', 'subscribers'],
      survey.topics.map(({ name, subscribers }) => [name, count(subscribers)]), new Set([1]), 'Nobody is subscribed to anything.'));
  }

  async function refreshChannels() {
    const found = await ask<{ channels: Channel[] }>(`/channels?limit=${kTopics}`);
    if (found === null) return;
    by('channels').replaceChildren(table(['channel', 'app', 'kind', 'subscriptions', 'users'],
      found.channels.map(({ app, name, kind, subscriptions, users }) => [name, app, kind, count(subscriptions), users === null ? '–' : count(users)]),
      new Set([3, 4]), 'Nobody is on a channel.'));
  }

  sort.addEventListener('change', refresh);
  by('refresh').addEventListener('click', refresh);
  return { refresh, refreshTopics, refreshChannels };
}
