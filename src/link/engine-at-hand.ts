import * as engine from './engine.js';

export type Engine = typeof engine;

/** Node's half of `#engine`: it is here with everything else, and asks for what it needs by itself. */
export function loadEngine(_withCrypto: boolean): Promise<Engine> {
  return Promise.resolve(engine);
}
