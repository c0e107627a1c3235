import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { EventQueue } from './event-queue.js';

/** A request, to be answered by the test. */
export interface Question {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The connection that it came over. */
  readonly socket: Socket;
  readonly response: ServerResponse;
  /** Answers with 200, or `status`: text as it is, all else as JSON. */
  answer(body: unknown, status?: number, headers?: Record<string, string>): void;
}

/** An HTTP server at 127.0.0.1 that is gone when the test is. */
export class QuestionServer {
  readonly questions = new EventQueue<Question>();
  /** Answers in place of the test, which takes nothing from `questions` then. */
  handler: ((question: Question) => void) | undefined;
  readonly server: Server = createServer();
  count = 0;

  static async start(handler?: (question: Question) => void): Promise<QuestionServer> {
    const asked = new QuestionServer();
    asked.handler = handler;
    asked.server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        asked.count += 1;
        const question: Question = {
          method: request.method!,
          url: request.url!,
          headers: request.headers,
          body: Buffer.concat(parts).toString(),
          socket: request.socket,
          response,
          answer: (body, status = 200, headers = {}) => {
            response.writeHead(status, headers);
            response.end(typeof body === 'string' ? body : JSON.stringify(body));
          },
        };
        if (asked.handler) asked.handler(question);
        else asked.questions.push(question);
      });
    });
    await asked.listen(0);
    onTestFinished(() => asked.stop());
    return asked;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/ask`;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>(resolve => this.server.listen(port, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    const closed = new Promise(resolve => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}
