import * as engine from './engine.js';
import * as spaceEngine from './space-port.js';

export type Engine = typeof engine;
export type SpaceEngine = typeof spaceEngine;

/** Node's half of `#engine`: it is here with everything else, and asks for what it needs by itself. */
export function loadEngine(_withCrypto: boolean): Promise<Engine> {
  return Promise.resolve(engine);
}

export function loadSpaceEngine(): Promise<SpaceEngine> {
  return Promise.resolve(spaceEngine);
}
