import { Resumption, type ResumptionOptions } from '../link/resumption.js';

export type { ResumptionOptions };

/**
 * What keeps the channels of a server whose clients are away; undefined when none is to be kept.
 * @throws TypeError for an option that is not a number, is negative, or is too large
 */
export function createResumption(options: ResumptionOptions): Resumption | undefined {
  const resumption = new Resumption(options);
  return options.resumeWindow === 0 ? undefined : resumption;
}
