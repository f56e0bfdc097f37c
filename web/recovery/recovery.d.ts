import type Pusher from 'pusher-js';

/** Behind the event `serial` of a channel's stream. */
export interface Place {
  serial: number;
  epoch: string;
}

/**
 * Lets `pusher` (pusher-js 8) come back to each of its channels where it was: what it missed is heard by the channel's handlers,
 * each event once and in order, as if it had never been away. To be called once, before channels are subscribed.
 *
 * A channel on which the client is again tells, just before its `pusher:subscription_succeeded`, by an event what came of it:
 * `holdfast:recovered`: nothing is lost, what was missed follows;
 * `holdfast:lost`: events are lost, or the channel has no history: fetch the state anew.
 *
 * `places` is where each channel is. A page that keeps it and gives it back comes back to its channels even when it was loaded anew;
 * null stands for a channel without a history. A channel that is unsubscribed is forgotten.
 *
 * Returns `pusher`.
 */
export function withRecovery<Client extends Pusher>(pusher: Client, places?: Map<string, Place | null>): Client;
