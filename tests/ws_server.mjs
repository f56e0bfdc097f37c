// npm's `ws` as an echo server, for the generator to be held against. Prints its port, and runs until it is killed.
// Arguments: the address to listen on; "deflate" to accept permessage-deflate.
import { WebSocketServer } from 'ws';

const [host, compression] = process.argv.slice(2);
const server = new WebSocketServer({ host, port: 0, perMessageDeflate: compression === 'deflate' });
server.on('connection', (peer) => {
  peer.on('message', (data, binary) => peer.send(data, { binary }));
  peer.on('error', (problem) => console.error(`peer: ${problem.message}`)); // what breaks the protocol is told, and fails the test
});
server.on('listening', () => console.log(server.address().port));
