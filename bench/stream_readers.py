"""Readers of one stream of server-sent events each, that hold it until they are ended: SOURCE ADDRESS PORT COUNT PATH."""
import signal, socket, sys

source, address, port, count, path = sys.argv[1:]
sockets = []
for _ in range(int(count)):
    one = socket.create_connection((address, int(port)), timeout=30, source_address=(source, 0))
    one.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    sockets.append(one)
for one in sockets:
    head = b""
    while b"subscription_succeeded" not in head:
        part = one.recv(4096)
        if not part.startswith(b"HTTP/1.1 200 ") and not head:
            sys.exit(f"refused: {part.decode()}")
        if not part:
            sys.exit("the stream ended")
        head += part
print("holding", flush=True)
signal.pause()
