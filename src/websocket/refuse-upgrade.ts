import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** Answers an upgrade with an HTTP error and ends its connection. */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  message: string,
  more: Readonly<Record<string, string>> = {},
): void {
  const body = `${message}\n`;
  const headers = [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    ...Object.entries(more).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.on('error', () => {
    socket.destroy();
  });
  socket.once('finish', () => {
    socket.destroy();
  });
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
