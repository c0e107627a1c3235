import { World } from './world.js';

/** What became of one run. */
export interface RunResult {
  readonly steps: number;
  /** Of everything that happened, in order: two runs of one seed have the same. */
  readonly hash: number;
  readonly delivered: number;
  readonly resumed: number;
}

/**
 * Runs the simulation of one seed to its end.
 * @throws SimulationError when something happens that must not
 */
export function simulate(seed: number, trace?: (lines: readonly string[]) => void): RunResult {
  const world = new World(seed, trace !== undefined);
  try {
    world.run();
  } finally {
    trace?.(world.log);
  }
  const parties = world.everyProcess.flatMap(process => process.parties);
  return {
    steps: world.timeline.steps,
    hash: world.hash >>> 0,
    delivered: parties.reduce((sum, party) => sum + party.delivered, 0),
    resumed: parties.reduce((sum, party) => sum + party.resumed, 0),
  };
}
