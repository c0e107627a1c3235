import { describe, expect, it } from 'vitest';
import { ConnectedUsers } from '../../../src/relay/connected-users.js';
import type { RelayClient } from '../../../src/relay/relay-connection.js';

const client = (connectionId: number, userId?: string): RelayClient => ({
  publicKey: 'ab'.repeat(32),
  connectionId,
  remoteAddress: undefined,
  ...(userId !== undefined && { userId }),
});

describe('ConnectedUsers', () => {
  it('knows the clients of each user, each once', () => {
    const users = new ConnectedUsers();
    const [phone, laptop, other, nobody] = [client(1, 'a'), client(2, 'a'), client(3, 'b'), client(4)];
    for (const each of [phone, laptop, other, nobody]) users.add(each);
    expect(users.of(['a'])).toEqual(new Set([phone, laptop]));
    expect([...users.of(['b', 'a', 'b', 'c'])]).toEqual([other, phone, laptop]);
    expect(users.of(['', 'undefined']).size).toBe(0);

    users.remove(phone);
    users.remove(phone);
    users.remove(nobody);
    expect(users.of(['a'])).toEqual(new Set([laptop]));
    users.remove(laptop);
    expect(users.of(['a']).size).toBe(0);
  });
});
