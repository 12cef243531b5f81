/** Writes what a bench adds to a generated network. */

import { type SeededRandom, seededRandom } from '../src/base/seeded-random.ts';
import { TidClock } from '../src/demo/model/tid-clock.ts';
import type { CommitEntry, IdentityEntry } from '../src/entry/entry.ts';
import { recordOp } from '../test/support/record-op.ts';
import { graphOutputDefaults } from './graph-output.ts';

/** Writes records after the last of the graph, a second apart. */
export class ExtraWriter {
  readonly random: SeededRandom;
  readonly #tids = new TidClock(7);
  #nowMs = graphOutputDefaults.startMs + graphOutputDefaults.spanMs + 60_000;

  constructor(seed: number) {
    this.random = seededRandom(seed + 1);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.random.below(items.length)]!;
  }

  /** Returns a commit of one record, setting the time in `value`. */
  commit(did: string, collection: string, value: object, rkey?: string): CommitEntry {
    this.#nowMs += 1000;
    const record = { $type: collection, ...value, createdAt: new Date(this.#nowMs).toISOString() };
    const tid = this.#tids.next(this.#nowMs);
    const op = recordOp({ collection, rkey: rkey ?? tid }, record);
    return { kind: 'commit', did, rev: this.#tids.next(this.#nowMs), since: null, eventMs: this.#nowMs, ops: [op] };
  }

  identity(did: string, handle: string): IdentityEntry {
    this.#nowMs += 1000;
    return {
      kind: 'identity',
      did,
      handle,
      verifiedAtMs: this.#nowMs,
      keysJson: '',
      servicesJson: '',
      eventMs: this.#nowMs,
    };
  }
}
