import { describe, expect, it } from 'vitest';
import { SecureWebSocketServer as NodeSecureWebSocketServer } from '../../../src/socket/node-secure-web-socket-server.js';
import { createResumption } from '../../../src/socket/resumption-options.js';
import { SecureWebSocketServer } from '../../../src/socket/secure-web-socket-server.js';

describe('what is kept for clients that are away', () => {
  it('has defaults, can be chosen, and be nothing', () => {
    expect(createResumption({})).toBeDefined();
    expect(createResumption({ resumeWindow: undefined, maxResumable: undefined })).toBeDefined();
    expect(
      createResumption({ resumeWindow: 2 ** 31 - 1, maxResumable: 0, maxResumableBytes: 0 }),
    ).toBeDefined();
    expect(createResumption({ resumeWindow: 0 })).toBeUndefined();
  });

  it.each(['resumeWindow', 'maxResumable', 'maxResumableBytes'])('cannot be nonsense: %s', name => {
    for (const value of [-1, NaN, Infinity, '1', null, true]) {
      const options = { [name]: value };
      for (const create of [
        () => createResumption(options),
        () => new SecureWebSocketServer({ relay: 'wss://relay.example', ...options }),
        () => new NodeSecureWebSocketServer({ noServer: true, ...options }),
      ]) {
        expect(create, String(value)).toThrow(TypeError);
        expect(create, String(value)).toThrow(name);
      }
    }
  });

  it('cannot be kept longer than a timer runs', () => {
    expect(() => createResumption({ resumeWindow: 2 ** 31 })).toThrow(TypeError);
  });
});
