// The curves over time. All share one cursor.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clock, compact, count, duration } from '../common/format.js';
import { element } from '../common/dom.js';

const sync = uPlot.sync('report');

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function faint(name) {
  return `color-mix(in srgb, ${colour(name)} 14%, transparent)`;
}

const axis = (format) => ({
  stroke: colour('--ink-soft'),
  font: '12px system-ui, sans-serif',
  grid: { stroke: colour('--grid'), width: 1 },
  ticks: { show: false },
  size: 56,
  values: (_, ticks) => ticks.map(format),
});

function line({ label, values, colour: name, fill, format = count, dash }) {
  return {
    label,
    stroke: colour(name),
    width: 2,
    dash,
    fill: fill ? faint(name) : undefined,
    points: { show: values.filter((value) => value !== null).length < 2 },
    value: (_, value) => (value === null || value === undefined ? '–' : format(value)),
  };
}

function options(chart, width) {
  return {
    width,
    height: 220,
    cursor: { sync: { key: sync.key }, points: { size: 7 }, drag: { x: true, y: false } },
    legend: { live: true },
    scales: {
      x: { time: false },
      y: chart.log
        ? { distr: 3, log: 10 }
        : { range: (_, least, most) => [0, Math.max(most ?? 0, 1) * 1.06] },
    },
    axes: [
      { ...axis(clock), size: 32 },
      chart.log
        ? { ...axis((tick) => (tick === null ? null : chart.axis(tick))), filter: (u, splits) => splits.map((at) => (Number.isInteger(Math.log10(at)) ? at : null)) }
        : axis(chart.axis ?? compact),
    ],
    series: [{ label: 'time', value: (_, value) => (value === null ? '–' : clock(value)) }, ...chart.lines.map(line)],
  };
}

function draw(chart, seconds) {
  const figure = element('figure', {}, element('figcaption', {}, chart.title));
  const place = element('div', { class: 'plot' });
  figure.append(place);
  let plot = null;
  figure.redraw = () => {
    const width = place.clientWidth;
    if (width === 0) return;
    if (plot !== null) plot.destroy();
    plot = new uPlot(options(chart, width), [seconds, ...chart.lines.map(({ values }) => values)], place);
  };
  return figure;
}

// A log scale has no place for zero.
const positive = (value) => (value > 0 ? value : null);

function chartsOf(report) {
  const series = report.series.seconds;
  const of = (key) => series.map((second) => second[key] ?? null);
  const any = (key) => series.some((second) => second[key] > 0);
  const charts = [
    { title: 'Connections open', lines: [{ label: 'open', values: of('open'), colour: '--blue', fill: true }] },
    {
      title: 'Opened per second',
      lines: [
        { label: 'opened', values: of('opened'), colour: '--blue', fill: true },
        any('refused') && { label: 'refused', values: of('refused'), colour: '--orange' },
        any('lost') && { label: 'lost', values: of('lost'), colour: '--red' },
      ].filter(Boolean),
    },
  ];
  if (any('pings')) {
    const { first_whole_second: first, whole_seconds: whole, per_second_mean: mean } = report.holding.pings;
    const holding = series.map((_, at) => report.series.first_second + at >= first && report.series.first_second + at < first + whole);
    charts.push({
      title: 'Pings received per second',
      lines: [
        { label: 'pings', values: of('pings'), colour: '--aqua', fill: true },
        { label: 'mean while holding', values: holding.map((is) => (is ? mean : null)), colour: '--ink-soft', dash: [4, 4] },
      ],
    });
  }
  if (any('sent') || any('received')) {
    charts.push({
      title: 'Messages per second',
      lines: [
        { label: 'received', values: of('received'), colour: '--violet', fill: true },
        { label: 'sent', values: of('sent'), colour: '--blue' },
      ],
    });
  }
  if (any('latency_p99_ns')) {
    charts.push({
      title: 'Message latency, from the intended send time',
      log: true,
      axis: duration,
      lines: [
        { label: 'p99', values: of('latency_p99_ns').map(positive), colour: '--orange', format: duration },
        { label: 'p50', values: of('latency_p50_ns').map(positive), colour: '--violet', format: duration },
      ],
    });
  }
  return charts;
}

// Puts the charts into `place`, and draws them anew when the window or the colours change.
export function showCharts(place, report) {
  if (report.series.seconds.length === 0) return;
  const seconds = report.series.seconds.map((_, at) => at);
  const figures = chartsOf(report).map((chart) => draw(chart, seconds));
  place.append(...figures);
  const redraw = () => figures.forEach((figure) => figure.redraw());
  redraw();
  let waiting = 0;
  window.addEventListener('resize', () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(redraw);
  });
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  window.addEventListener('beforeprint', redraw);
}
