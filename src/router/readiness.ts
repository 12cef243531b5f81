/**
 * Whether a load balancer should send requests to a router.
 *
 * A router begins once it has reached every node, and stays while it reaches at least half of them:
 * were one lost node enough, it would take all routers of a fleet away at once.
 */
import { type ErrorCode, operatingFailure } from '../base/data-plane-error.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import type { FanOut } from './plan/fan-out.ts';

const codesOfNoAnswer: ReadonlySet<ErrorCode> = new Set(['Unavailable', 'DeadlineExceeded']);

/** Returns of each node whether it answers, were it by an error. Units: monotonic ms. */
export function reachedNodes(fanOut: FanOut, deadlineMs: number): Promise<boolean[]> {
  return Promise.all(
    fanOut.nodeNames.map(async (_name, node) => {
      try {
        await fanOut.ask(node, nodeCalls.ping, Buffer.alloc(0), deadlineMs);
        return true;
      } catch (thrown) {
        return !codesOfNoAnswer.has(operatingFailure(thrown).code);
      }
    }),
  );
}

export class Readiness {
  readonly #reached: () => Promise<readonly boolean[]>;
  readonly #isOwnReady: () => Promise<boolean>;
  #hasBegun = false;
  #isDraining = false;

  /** `reached` says of each node whether it answers, `isOwnReady` of the one in this process. */
  constructor(reached: () => Promise<readonly boolean[]>, isOwnReady: () => Promise<boolean>) {
    this.#reached = reached;
    this.#isOwnReady = isOwnReady;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** From now on it is not ready. */
  drain(): void {
    this.#isDraining = true;
  }

  async isReady(): Promise<boolean> {
    if (this.#isDraining || !(await this.#isOwnReady())) return false;
    const nodes = await this.#reached();
    const up = nodes.filter((isUp) => isUp).length;
    if (up === nodes.length) this.#hasBegun = true;
    return this.#hasBegun && !this.#isDraining && up * 2 >= nodes.length;
  }
}
