// Shows the report that stands in the page.
import './style.css';
import { showCharts } from './charts.js';
import { element } from '../common/dom.js';
import { bytes, count, duration, percent } from '../common/format.js';

const by = (id) => document.getElementById(id);

const sum = (reasons) => Object.values(reasons).reduce((total, times) => total + times, 0);

function showHead(report) {
  const { asked, verdict } = report;
  by('title').textContent = `${count(asked.connections)} connections, ${report.scenario}`;
  document.title = `${verdict.text}: ${by('title').textContent} – Holdfast load report`;
  by('verdict').textContent = verdict.text;
  by('verdict').className = verdict.result;
  const began = new Date(report.series.first_second * 1000);
  by('subtitle').append(element('code', {}, report.url), ` · ${began.toISOString().replace('T', ' ').slice(0, 19)} UTC · held for ${duration(report.holding.held_for_ns)}`);
  by('notes').append(...verdict.notes.map((note) => element('li', {}, note)));
}

function figuresOf({ asked, opening, tls, holding, messages, odd_peers: odd, generator, storm }) {
  const { handshake } = opening;
  const { pings } = holding;
  const toHold = asked.connections - odd.asked;
  const figures = [
    ['Opened', count(opening.opened), `of ${count(asked.connections)}, ${count(opening.refused)} refused`],
    ['Held to the end', count(holding.held), `of ${count(toHold)}, ${count(holding.lost)} lost`],
    ['Opening rate', `${count(opening.opens_per_second)}/s`, `${asked.rate === 0 ? 'no pace asked' : `${count(asked.rate)}/s asked`}, all in ${duration(opening.time_to_open_ns)}`],
  ];
  if (tls.full + tls.resumed + tls.failed > 0) {
    figures.push(['TLS', count(tls.full + tls.resumed), `${count(tls.full)} full, ${count(tls.resumed)} resumed, ${count(tls.failed)} failed`]);
  }
  if (handshake.count > 0) {
    figures.push(['Handshake, p99', duration(handshake.p99_ns), `p50 ${duration(handshake.p50_ns)}, max ${duration(handshake.max_ns)}`]);
  }
  if (pings.total > 0) {
    figures.push(['Pings a connection', pings.mean.toFixed(2), `least ${pings.min}, most ${pings.max} while holding`]);
    if (pings.per_second_mean > 0) {
      figures.push(['Fullest second of pings', `${(pings.per_second_max / pings.per_second_mean).toFixed(2)}×`, `of the mean, ${count(pings.per_second_mean)}/s`]);
    }
  }
  if (messages.expected > 0) {
    figures.push(['Messages received', count(messages.received), `of ${count(messages.expected)}, ${count(messages.missing)} missing`]);
  }
  if (messages.latency.count > 0) {
    figures.push(['Message latency, p99', duration(messages.latency.p99_ns), `p50 ${duration(messages.latency.p50_ns)}, p99.9 ${duration(messages.latency['p99.9_ns'])}`]);
  }
  if (storm.length > 0) {
    const slowest = Math.max(...storm.map((round) => round.time_to_full_ns));
    figures.push(['All back after', duration(slowest), `slowest of ${storm.length} rounds`]);
  }
  if (odd.asked > 0) {
    figures.push([odd.kind === 'slow' ? 'Slow readers dropped' : 'Vanished peers dropped', count(odd.dropped),
      `of ${count(odd.opened)}${odd.dropped > 0 ? `, after ${duration(odd.dropped_after.mean_ns)} in the mean` : ''}`]);
  }
  figures.push(['Generator CPU', percent(generator.share_of_cpus),
    `of ${generator.cpus} CPUs; workers busy ${percent(generator.workers_busy_opening)} opening, ${percent(generator.workers_busy_holding)} holding`]);
  return figures;
}

const showFigures = (report) =>
  by('figures').append(
    ...figuresOf(report).map(([label, value, more]) =>
      element('div', { class: 'figure' }, element('div', { class: 'label' }, label), element('div', { class: 'value' }, value), element('div', { class: 'more' }, more))));

function table(title, head, rows) {
  if (rows.length === 0) return null;
  const cell = (name) => (text, at) => element(name, at === 0 ? {} : { class: 'number' }, text);
  return element('div', { class: 'table' },
    element('h2', {}, title),
    element('table', {},
      element('thead', {}, element('tr', {}, ...head.map(cell('th')))),
      element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row.map(cell('td')))))));
}

const reasonRows = (reasons) => Object.entries(reasons).sort((a, b) => b[1] - a[1]).map(([reason, times]) => [reason, count(times)]);

function showTables({ opening, holding, messages, storm, odd_peers: odd, machines }) {
  const names = ['p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'p99.99'];
  const distributions = [
    ['Handshake', opening.handshake],
    ['Message latency', messages.latency],
    ['… of it sent late', messages.lateness],
    ['Publishing', messages.publishing],
    [odd.kind === 'slow' ? 'Slow reader dropped after' : 'Vanished peer dropped after', odd.dropped_after],
  ].filter(([, histogram]) => histogram.count > 0);
  const refused = reasonRows(opening.refused_by_reason);
  const lost = reasonRows(holding.lost_by_reason);
  const unpublished = sum(messages.refused) > 0 ? reasonRows(messages.refused) : [];
  by('tables').append(...[
    table('Percentiles', ['', ...names, 'max'],
      distributions.map(([name, histogram]) => [name, ...names.map((percentile) => duration(histogram[`${percentile}_ns`])), duration(histogram.max_ns)])),
    table('Refused', ['reason', 'times'], refused),
    table('Lost while held', ['reason', 'connections'], lost),
    table('Not published', ['reason', 'times'], unpublished),
    table('Storm', ['round', 'dropped', 'back', 'refusals', 'time to full'],
      storm.map((round, at) => [String(at + 1), count(round.dropped), count(round.returned), count(round.refusals), duration(round.time_to_full_ns)])),
    table('Load machines', ['host', 'kernel', 'CPU', 'CPUs', 'memory'],
      machines.map((machine) => [machine.host, machine.kernel, machine.cpu, String(machine.cpus), bytes(machine.memory_bytes)])),
  ].filter(Boolean));
}

function showFoot(report) {
  by('footer').append(
    ...report.command_line.split('\n').map((line) => element('pre', {}, line)),
    element('p', {}, `holdfast ${report.version} · ${report.asked.workers} workers over ${report.asked.io} · ${count(report.asked.source_addresses)} source address${report.asked.source_addresses === 1 ? '' : 'es'} · ` +
      'Latency counts from the time at which a message should have left. Percentiles come from merged histograms. Clients that never connected are counted.'));
}

const report = JSON.parse(by('report').textContent);
showHead(report);
showFigures(report);
showCharts(by('charts'), report);
showTables(report);
showFoot(report);
