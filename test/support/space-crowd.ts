import { type ChildProcess, fork } from 'node:child_process';

/** What a process with members of a space can be asked, and what it answers. */
export interface CrowdAsk {
  /** So many more enter. Gives the member id of the one who speaks. */
  readonly enter: [details: { url: string; count: number }, id: string];
  /** Resolves when all of them see so many members. */
  readonly seeing: [details: { count: number }, nothing: undefined];
  /** One of them says the numbers from `from` on, each in a message of its own. */
  readonly say: [details: { from: number; count: number }, nothing: undefined];
  /** Resolves when all of them have heard so many messages of each of these, by member id, in their order. */
  readonly hearing: [details: { speakers: ReadonlyMap<string, number> }, nothing: undefined];
  /** So many leave, none of them the one who speaks. Resolves when they have. */
  readonly leave: [details: { count: number }, nothing: undefined];
}

/** Many members of one space, in a process of their own. What is wrong with one of them rejects whatever is asked next. */
export class SpaceCrowd {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #asked = 0;

  /** `program`: `space-crowd-main.ts`, bundled. */
  constructor(program: string) {
    this.#child = fork(program, { serialization: 'advanced' });
    this.#child.on('message', ({ id, result, error }: { id: number; result: never; error?: string }) => {
      const answer = this.#answers.get(id);
      this.#answers.delete(id);
      if (error === undefined) answer?.resolve(result);
      else answer?.reject(new Error(error));
    });
    this.#child.once('exit', (code, signal) => {
      const error = new Error(`The process of members ended (${String(code ?? signal)}).`);
      for (const { reject } of this.#answers.values()) reject(error);
      this.#answers.clear();
    });
  }

  ask<Name extends keyof CrowdAsk>(ask: Name, details: CrowdAsk[Name][0]): Promise<CrowdAsk[Name][1]> {
    return new Promise((resolve, reject) => {
      const id = (this.#asked += 1);
      this.#answers.set(id, { resolve, reject });
      this.#child.send({ id, ask, details });
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
