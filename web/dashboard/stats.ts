// What /stats says, and what the page makes of two of them.

export interface Stats {
  version: string;
  uptime_seconds: number;
  listening: string[];
  connections: number;
  connections_max: number;
  connections_per_worker: number[];
  accepted_total: number;
  opened_total: number;
  deliveries_total: number;
  messages_received_total: number;
  messages_sent_total: number;
  publications_lost_total: number;
  messages_dropped_total: number;
  pings_sent_total: number;
  pongs_missed_total: number;
  queued_bytes: number;
  received_bytes_total: number;
  sent_bytes_total: number;
  refused: Record<string, number>;
  closed: Record<string, number>;
  resources: Record<string, { used: number; limit: number }>;
  memory: { user_bytes: number; user_bytes_per_connection: number; kernel_bytes_per_connection: number };
  ready: boolean;
  ready_reason: string;
  io: string;
  workers: number;
  turns: { count: number; mean_microseconds: number };
  apps?: App[];
}

export interface App {
  id: string;
  enabled: boolean;
  connections: number;
  members: number;
  events_published_total: number;
  client_events_total: number;
  channels: Record<string, number>;
  subscriptions: Record<string, number>;
}

export const total = (reasons: Record<string, number>) => Object.values(reasons).reduce((sum, times) => sum + times, 0);

// What is drawn: one value a second, null where the server did not answer.
export const seriesOf = {
  connections: (now: Stats) => now.connections,
  opened: (now: Stats, rate: Rate) => rate((s) => s.opened_total),
  refused: (now: Stats, rate: Rate) => rate((s) => total(s.refused)),
  closed: (now: Stats, rate: Rate) => rate((s) => total(s.closed)),
  deliveries: (now: Stats, rate: Rate) => rate((s) => s.deliveries_total),
  received: (now: Stats, rate: Rate) => rate((s) => s.messages_received_total),
  pings: (now: Stats, rate: Rate) => rate((s) => s.pings_sent_total),
  receivedBytes: (now: Stats, rate: Rate) => rate((s) => s.received_bytes_total),
  sentBytes: (now: Stats, rate: Rate) => rate((s) => s.sent_bytes_total),
  queued: (now: Stats) => now.queued_bytes,
  userMemory: (now: Stats) => now.memory.user_bytes,
};
export type Series = keyof typeof seriesOf;

type Rate = (read: (stats: Stats) => number) => number | null;

const kKept = 600;

// The last ten minutes.
export class History {
  times: number[] = [];
  values: Record<Series, (number | null)[]>;
  latest: Stats | null = null;
  private at = 0;

  constructor() {
    this.values = Object.fromEntries(Object.keys(seriesOf).map((name) => [name, []])) as unknown as Record<Series, (number | null)[]>;
  }

  // `stats` null: no answer.
  add(stats: Stats | null, now: number) {
    const before = this.latest;
    const seconds = (now - this.at) / 1000;
    // A server that was started anew counts from nothing again.
    const goesOn = before !== null && stats !== null && stats.uptime_seconds >= before.uptime_seconds;
    const rate: Rate = (read) => (goesOn ? Math.max(0, (read(stats!) - read(before!)) / seconds) : null);
    this.times.push(now / 1000);
    for (const [name, value] of Object.entries(seriesOf)) this.values[name as Series].push(stats === null ? null : value(stats, rate));
    if (this.times.length > kKept) {
      this.times.shift();
      for (const values of Object.values(this.values)) values.shift();
    }
    this.latest = stats;
    this.at = now;
  }

  last(name: Series): number | null {
    return this.values[name].at(-1) ?? null;
  }
}
