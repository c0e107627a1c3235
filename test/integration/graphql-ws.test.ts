import { createRequire } from 'node:module';
import type * as graphql from 'graphql';
import { CloseCode, createClient, type Client, type FormattedExecutionResult } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { afterEach, describe, expect, it } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../src/socket/node-server-secure-web-socket.js';
import { trustStore } from '../support/dialled-peer.js';

// The very copy that graphql-ws loads in Node: a schema of another copy (the ES modules) is refused.
const { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } = createRequire(
  import.meta.url,
)('graphql') as typeof graphql;

type Result = FormattedExecutionResult<Record<string, unknown>, unknown>;

/** How many countdowns were left by their subscribers before they were over. */
let abandoned = 0;

async function* countDown(from: number): AsyncGenerator<{ countDown: number }> {
  let left = from;
  try {
    for (; left > 0; left--) {
      // A turn of the event loop between two values, as from a real source.
      await new Promise(setImmediate);
      yield { countDown: left };
    }
  } finally {
    if (left > 0) abandoned++;
  }
}

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: {
      echo: {
        type: GraphQLString,
        args: { text: { type: new GraphQLNonNull(GraphQLString) } },
        resolve: (_source, { text }: { text: string }) => text,
      },
      key: {
        type: GraphQLString,
        description: 'The public key that the client has proven to hold.',
        resolve: (_source, _args, context: { peerPublicKey: string }) => context.peerPublicKey,
      },
      failing: {
        type: GraphQLString,
        resolve: () => {
          throw new Error('on purpose');
        },
      },
    },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      countDown: {
        type: GraphQLInt,
        args: { from: { type: new GraphQLNonNull(GraphQLInt) } },
        subscribe: (_source, { from }: { from: number }) => countDown(from),
      },
    },
  }),
});

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function listenAtPort(): Promise<SecureWebSocketServer> {
  return new SecureWebSocketServer({
    port: 0,
    host: '127.0.0.1',
    path: '/graphql',
    identity: Identity.generate(),
  });
}

async function listenAtRelay(): Promise<SecureWebSocketServer> {
  const relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
  await relay.listen();
  cleanUp.push(() => relay.close());
  return new SecureWebSocketServer({
    relay: relay.url,
    path: '/graphql',
    identity: Identity.generate(),
    trustStore,
  });
}

/** Serves the schema; nothing here but the server's class differs from what one writes for `ws`. */
async function serve(listen: () => Promise<SecureWebSocketServer>): Promise<SecureWebSocketServer> {
  const server = await listen();
  const disposable = useServer(
    {
      schema,
      context: ({ extra }) => ({
        peerPublicKey: (extra.socket as unknown as ServerSecureWebSocket).peerPublicKey,
      }),
    },
    // A type check as well: a WebSocketServer of `ws` is asked for.
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
    server,
  );
  cleanUp.push(() => disposable.dispose());
  await server.ready;
  return server;
}

async function connect(server: SecureWebSocketServer): Promise<{ client: Client; identity: Identity }> {
  const identity = await Identity.generate();
  const client = createClient({
    url: server.url?.replace(/(\/graphql)?$/, '/graphql') ?? '',
    webSocketImpl: ClientSecureWebSocket.configure({ identity, trustStore }),
    retryAttempts: 0,
    lazyCloseTimeout: 0,
  });
  cleanUp.push(() => client.dispose());
  return { client, identity };
}

async function query(client: Client, text: string): Promise<Result> {
  const results: Result[] = [];
  for await (const result of client.iterate({ query: text })) results.push(result);
  expect(results).toHaveLength(1);
  return results[0] as Result;
}

describe.each([
  ['directly', listenAtPort],
  ['through a relay', listenAtRelay],
])('graphql-ws, %s', (_how, listen) => {
  it('answers queries, and errors', async () => {
    const { client, identity } = await connect(await serve(listen));
    const big = 'grüße '.repeat(50_000);
    expect(await query(client, '{ echo(text: "hi") key }')).toEqual({
      data: { echo: 'hi', key: identity.publicKey },
    });
    expect(await query(client, `{ echo(text: "${big}") }`)).toEqual({ data: { echo: big } });
    const failed = await query(client, '{ failing }');
    expect(failed.data).toEqual({ failing: null });
    expect(failed.errors?.[0]?.message).toBe('on purpose');
  });

  it('runs several subscriptions at once, to their ends', async () => {
    const { client } = await connect(await serve(listen));
    const subscribe = async (from: number): Promise<unknown[]> => {
      const values: unknown[] = [];
      for await (const { data } of client.iterate<{ countDown: number }>({
        query: `subscription { countDown(from: ${from}) }`,
      })) {
        values.push(data?.countDown);
      }
      return values;
    };
    const down = (from: number): number[] => Array.from({ length: from }, (_, index) => from - index);
    expect(await Promise.all([subscribe(3), subscribe(100), subscribe(1)])).toEqual([
      down(3),
      down(100),
      down(1),
    ]);
  });

  it('ends a subscription that the client leaves', async () => {
    const { client } = await connect(await serve(listen));
    const before = abandoned;
    for await (const _result of client.iterate({ query: 'subscription { countDown(from: 1000000000) }' }))
      break;
    while (abandoned === before) await new Promise(setImmediate);
    expect(abandoned).toBe(before + 1);
    expect(await query(client, '{ echo(text: "goes on") }')).toEqual({ data: { echo: 'goes on' } });
  });

  it('agrees on the subprotocol inside the encryption', async () => {
    const server = await serve(listen);
    const socket = new (ClientSecureWebSocket.configure({ identity: Identity.generate(), trustStore }))(
      server.url?.replace(/(\/graphql)?$/, '/graphql') ?? '',
      ['something-else', 'graphql-transport-ws'],
    );
    await new Promise(resolve => {
      socket.onopen = resolve;
    });
    expect(socket.protocol).toBe('graphql-transport-ws');
    const closed = new Promise<{ code: number; reason: string }>(resolve => {
      socket.onclose = resolve;
    });
    // What is no message of that protocol is answered by its own close code.
    socket.send('nonsense');
    expect((await closed).code).toBe(CloseCode.BadRequest);
  });

  it('closes its clients when it is disposed of', async () => {
    const server = await listen();
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
    const disposable = useServer({ schema }, server);
    await server.ready;
    const { client } = await connect(server);
    const closed = new Promise<{ code: number; reason: string; wasClean: boolean }>(resolve => {
      client.on('closed', event => {
        resolve(event as never);
      });
    });
    const left = client.iterate({ query: 'subscription { countDown(from: 1000000000) }' });
    await left.next();
    // What it was in the middle of ends with the connection.
    const ended = (async () => {
      for await (const _result of left);
    })().catch(() => undefined);
    await disposable.dispose();
    expect(await closed).toMatchObject({ code: 1001, reason: 'Going away', wasClean: true });
    await ended;
  });
});
