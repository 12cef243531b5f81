/**
 * Registers the URL of an edge in etcd, where AppViews look for edges
 * (`BSKY_DATAPLANE_URLS_ETCD_KEY_PREFIX`).
 *
 * Owns: one key under a lease, which ends by itself when this process does not renew it. An etcd
 * that is away stops nothing: it is asked again until the key is there. By its JSON gateway, since
 * three requests need no client library.
 */
import * as v from 'valibot';
import { backoffMs, isSaidAgain } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { parseShape } from '../config/json-shape.ts';

export type EtcdRegistrationOptions = {
  /** Of an etcd, such as `http://127.0.0.1:2379`. */
  readonly etcdUrl: string;
  readonly keyPrefix: string;
  /** By which AppViews reach the edge. */
  readonly edgeUrl: string;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly leaseS?: number;
};

const leaseSDefault = 15;
const requestMsMax = 5_000;
const retryPolicy = { firstMs: 200, maxMs: 5_000 };

/** JSON has 64-bit integers as text, and leaves out what is 0. */
const grantShape = v.object({ ID: v.string() });
const renewalShape = v.object({ result: v.object({ TTL: v.optional(v.string(), '0') }) });

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

export class EtcdRegistration implements AsyncDisposable {
  readonly #options: EtcdRegistrationOptions;
  readonly #leaseS: number;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #leaseId: string | null = null;

  /** Registers in the background. */
  constructor(options: EtcdRegistrationOptions) {
    this.#options = options;
    this.#leaseS = options.leaseS ?? leaseSDefault;
    this.#running = this.#run();
  }

  /** Removes the key, so that AppViews ask elsewhere before the edge closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const ID = this.#leaseId;
    if (ID === null) return;
    await this.#post('/v3/lease/revoke', { ID }).catch((error: Error) => {
      this.#options.note(`etcd keeps the key of this edge for ${this.#leaseS} s: ${error.message}`, {});
    });
  }

  async #run(): Promise<void> {
    const { clock, random, note, etcdUrl } = this.#options;
    const { signal } = this.#stop;
    let failures = 0;
    while (!signal.aborted) {
      try {
        this.#leaseId = this.#leaseId === null ? await this.#register() : await this.#renew(this.#leaseId);
        failures = 0;
        if (this.#leaseId !== null) await clock.sleep((this.#leaseS * 1000) / 3, signal);
      } catch (thrown) {
        failures++;
        const problem = `etcd at ${etcdUrl} does not take the key of this edge: ${(thrown as Error).message}`;
        if (isSaidAgain(failures)) note(problem, { failures });
        await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
      }
    }
  }

  /** Returns the lease. */
  async #register(): Promise<string> {
    const { keyPrefix, edgeUrl } = this.#options;
    const granted = parseShape(grantShape, await this.#post('/v3/lease/grant', { TTL: String(this.#leaseS) }));
    if (granted === undefined) throw new Error('no lease in its answer');
    const lease = granted.ID;
    const key = base64(`${keyPrefix}${new URL(edgeUrl).host}`);
    await this.#post('/v3/kv/put', { key, value: base64(edgeUrl), lease });
    return lease;
  }

  /** Returns the lease, or null if it has ended. */
  async #renew(ID: string): Promise<string | null> {
    const renewed = parseShape(renewalShape, await this.#post('/v3/lease/keepalive', { ID }));
    if (renewed === undefined) throw new Error('no time in its answer');
    return Number(renewed.result.TTL) > 0 ? ID : null;
  }

  async #post(path: string, body: object): Promise<string> {
    const response = await fetch(`${this.#options.etcdUrl.replace(/\/$/, '')}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(requestMsMax),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 200)}`);
    return text;
  }
}
