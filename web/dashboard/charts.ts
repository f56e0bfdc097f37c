// The curves. All share one cursor; they are made once and then fed.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { element } from '../common/dom.js';
import { bytes, compact, count } from '../common/format.js';
import type { History, Series } from './stats';

interface Line { label: string; series: Series; colour: string; fill?: boolean }
interface Chart { title: string; lines: Line[]; format: (value: number) => string; axis: (value: number) => string }

const charts: Chart[] = [
  { title: 'Connections', format: count, axis: compact, lines: [{ label: 'open', series: 'connections', colour: '--blue', fill: true }] },
  {
    title: 'Opened, closed and refused, per second', format: count, axis: compact,
    lines: [
      { label: 'opened', series: 'opened', colour: '--blue', fill: true },
      { label: 'closed', series: 'closed', colour: '--violet' },
      { label: 'refused', series: 'refused', colour: '--orange' },
    ],
  },
  {
    title: 'Messages per second', format: count, axis: compact,
    lines: [
      { label: 'deliveries', series: 'deliveries', colour: '--violet', fill: true },
      { label: 'received', series: 'received', colour: '--aqua' },
      { label: 'pings', series: 'pings', colour: '--ink-soft' },
    ],
  },
  {
    title: 'Bytes per second', format: bytes, axis: bytes,
    lines: [
      { label: 'sent', series: 'sentBytes', colour: '--blue', fill: true },
      { label: 'received', series: 'receivedBytes', colour: '--aqua' },
    ],
  },
  { title: 'Waiting for slow readers', format: bytes, axis: bytes, lines: [{ label: 'queued', series: 'queued', colour: '--orange', fill: true }] },
  { title: 'Memory of this process', format: bytes, axis: bytes, lines: [{ label: 'user', series: 'userMemory', colour: '--aqua', fill: true }] },
];

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const sync = uPlot.sync('dashboard');
const clock = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

function options(chart: Chart, width: number): uPlot.Options {
  const axis = { stroke: colour('--ink-soft'), font: '12px system-ui, sans-serif', grid: { stroke: colour('--grid'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: 190,
    cursor: { sync: { key: sync.key }, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { y: { range: (_, _least, most) => [0, Math.max(most ?? 0, 1) * 1.08] } },
    axes: [
      { ...axis, size: 32, space: 80, values: (_, ticks) => ticks.map((tick) => (tick % 60 === 0 ? clock(tick).slice(0, 5) : clock(tick))) },
      { ...axis, size: 70, values: (_, ticks) => ticks.map((tick) => chart.axis(tick)) },
    ],
    series: [
      { label: 'time', value: (_, value) => (value === null ? '–' : clock(value)) },
      ...chart.lines.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: 2,
        fill: line.fill ? `color-mix(in srgb, ${colour(line.colour)} 14%, transparent)` : undefined,
        points: { show: false },
        value: (_: uPlot, value: number | null) => (value === null || value === undefined ? '–' : chart.format(value)),
      })),
    ],
  };
}

// Puts the charts into `place`; what is returned draws what `history` has got.
export function makeCharts(place: HTMLElement, history: History): () => void {
  const data = (chart: Chart) => [history.times, ...chart.lines.map((line) => history.values[line.series])] as uPlot.AlignedData;
  const figures = charts.map((chart) => {
    const plotPlace = element('div', { class: 'plot' });
    place.append(element('figure', {}, element('figcaption', {}, chart.title), plotPlace));
    return { chart, place: plotPlace, plot: null as uPlot | null };
  });
  const make = () => {
    for (const figure of figures) {
      figure.plot?.destroy();
      figure.plot = figure.place.clientWidth > 0 ? new uPlot(options(figure.chart, figure.place.clientWidth), data(figure.chart), figure.place) : null;
    }
  };
  make();
  let waiting = 0;
  window.addEventListener('resize', () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(make);
  });
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', make);
  return () => figures.forEach(({ chart, plot }) => plot?.setData(data(chart)));
}
