/** The repair of a slot that runs, or was the last: it goes on after a restart. */
import * as v from 'valibot';
import { invariant } from '../../base/invariant.ts';
import { objectShape, parseShape, recordShape, wholeNumberShape } from '../../config/json-shape.ts';
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, readValue, textKey } from './state-codec.ts';

const count = wholeNumberShape(0, Number.MAX_SAFE_INTEGER);
const repairShape = objectShape({
  slot: count,
  /** Of the slot: what it had in another one may be lost again. */
  generation: count,
  phase: v.picklist(['running', 'done', 'failed']),
  /** True once all repos have been asked for. */
  isRequested: v.boolean(),
  repos: count,
  failed: count,
  problem: v.nullable(v.string()),
  /** Labelers that the operator gave up. */
  withoutLabels: v.array(v.string()),
  positions: recordShape(v.string(), count),
  done: v.array(v.string()),
});

export type StoredRepair = Readonly<v.InferOutput<typeof repairShape>>;

const key = textKey('slot');

/** Table `repairs`: one row. */
export class StoredRepairs {
  readonly #table: Table;
  readonly #commits: CommitQueue;

  constructor(table: Table, commits: CommitQueue) {
    this.#table = table;
    this.#commits = commits;
  }

  get(): StoredRepair | null {
    const value = this.#table.get(key);
    if (value === undefined) return null;
    const repair = parseShape(repairShape, readValue(value).text());
    invariant(repair !== undefined, 'a stored repair has its shape');
    return repair;
  }

  /** Returns: once durable. */
  put(repair: StoredRepair): Promise<void> {
    const value = beginValue().text(JSON.stringify(repair)).finish();
    return this.#commits.write(() => this.#table.put(key, value));
  }
}
