/**
 * The number of HTTP connections of one listener.
 *
 * uWebSockets closes by itself, within twelve seconds, a connection that is silent, whose head is
 * not complete, or whose body comes too slowly; so only their number is left to bound.
 */
import type { HttpResponse, TemplatedApp } from 'uWebSockets.js';

/** Of one listener. WebSockets are not counted: `/wire` has a limit of its own. */
export const httpConnectionsMax = 4096;

export class ConnectionLimit {
  readonly #max: number;
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Closes a new connection of an app that has as many as it may. */
  attachTo(app: TemplatedApp): void {
    app.filter(this.#changed);
  }

  readonly #changed = (response: HttpResponse, change: number): void => {
    this.#count += Math.sign(change);
    if (change > 0 && this.#count > this.#max) response.close();
  };

  /** Counts one connection less, since an app does not report the end of one that was upgraded. */
  upgraded(): void {
    this.#count--;
  }
}
