// Subscribes to a topic and publishes to it, by way of the operator's own listener.
import { element } from '../common/dom.js';

const kLines = 200;

export function makeConsole(by: (id: string) => HTMLElement) {
  const log = by('log');
  const button = by('subscribe') as HTMLButtonElement;
  const topic = by('topic') as HTMLInputElement;
  const message = by('message') as HTMLInputElement;
  let socket: WebSocket | null = null;

  const say = (text: string, kind = '') => {
    const stays = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    const time = new Date().toLocaleTimeString([], { hour12: false });
    log.append(element('div', kind === '' ? {} : { class: kind }, `${time}  ${text}`));
    while (log.childElementCount > kLines) log.firstElementChild!.remove();
    if (stays) log.scrollTop = log.scrollHeight;
  };
  const path = () => `/debug/topics/${topic.value.split('/').map(encodeURIComponent).join('/')}`;
  const show = (subscribed: boolean) => {
    button.setAttribute('aria-pressed', String(subscribed));
    button.textContent = subscribed ? 'Unsubscribe' : 'Subscribe';
    topic.readOnly = subscribed;
  };

  button.addEventListener('click', () => {
    if (socket !== null) return socket.close(1000);
    if (!topic.reportValidity()) return;
    const name = topic.value;
    const opening = new WebSocket(location.origin.replace(/^http/, 'ws') + path());
    socket = opening;
    show(true);
    opening.onopen = () => say(`subscribed to ${name}`);
    opening.onmessage = async ({ data }) => say(`${name}: ${typeof data === 'string' ? data : `${(data as Blob).size} bytes`}`);
    opening.onclose = ({ code, reason }) => {
      say(code === 1006 ? `not subscribed: the server refused or is away` : `unsubscribed from ${name} (${code}${reason ? ` ${reason}` : ''})`, code === 1000 ? '' : 'wrong');
      socket = null;
      show(false);
    };
  });

  by('console').addEventListener('submit', async (event) => {
    event.preventDefault();
    const text = message.value;
    const answer = await fetch(path(), { method: 'POST', body: text, headers: { 'Content-Type': 'text/plain; charset=utf-8' } }).catch(() => null);
    if (answer?.ok) say(`published to ${topic.value}: ${text}`, 'sent');
    else say(`not published: ${answer === null ? 'the server is away' : (await answer.text()).trim()}`, 'wrong');
  });
}
