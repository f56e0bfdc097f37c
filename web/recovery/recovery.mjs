// Lets pusher-js ask for what it missed (docs/pusher.md, "History and recovery").
//
// pusher-js passes on neither the serials of events nor the fields of a subscription that it does not know. So its
// messages are read a second time where they come in, and the place of each channel goes out with its subscription:
//
//   transport ── message ──┬─► places: channel ─► { serial, epoch } behind its last event
//                          └─► pusher-js ──► handlers of the page
//   pusher-js ── pusher:subscribe ──► + recover: the channel's place ──► server

const kSubscribe = 'pusher:subscribe';
const kSucceeded = 'pusher_internal:subscription_succeeded';

// What a message tells of its channel's place; null: nothing. Quotes inside of data are escaped, so that few other messages are parsed.
function read(text) {
  if (typeof text !== 'string' || !(text.includes('"epoch":"') || text.includes(kSucceeded))) return null;
  try {
    const message = JSON.parse(text);
    const isSucceeded = message.event === kSucceeded;
    const { serial, epoch, recovered } = isSucceeded ? JSON.parse(message.data) : message;
    return { channel: message.channel, isSucceeded, recovered, place: epoch ? { serial, epoch } : null };
  } catch {
    return null; // pusher-js says what is wrong with it.
  }
}

export function withRecovery(pusher, places = new Map()) {
  const note = (text) => {
    const { channel, isSucceeded, recovered, place } = read(text) ?? {};
    if (!isSucceeded) return void (place && places.has(channel) && places.set(channel, place));
    const isBack = places.has(channel);
    places.set(channel, place);
    if (isBack) pusher.channel(channel)?.emit(recovered ? 'holdfast:recovered' : 'holdfast:lost');
  };

  const { send_event: send, unsubscribe } = pusher;
  pusher.send_event = (event, data, channel) => {
    const place = event === kSubscribe && places.get(data.channel);
    return send.call(pusher, event, place ? { ...data, recover: place } : data, channel);
  };
  // Who leaves on purpose misses nothing.
  pusher.unsubscribe = (name) => {
    places.delete(name);
    return unsubscribe.call(pusher, name);
  };

  // Listeners to all events of the transport hear of each before pusher-js does: a handler of the page that throws has heard its event.
  const listen = () => pusher.connection.connection.transport.bind_global((event, message) => event === 'message' && note(message.data));
  pusher.connection.bind('connected', listen);
  if (pusher.connection.state === 'connected') listen();
  return pusher;
}
