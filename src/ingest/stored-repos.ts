/** Asks nodes what their slots hold of one account: hidden or not, complete or not. */
import type { RecordRef } from '../atproto/compact-key.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import {
  type StoredAccount,
  type StoredHandle,
  storedAccountAnswer,
  storedAccountRequest,
  storedHandleAnswer,
  storedHandleRequest,
  storedRecordsAnswer,
  storedRecordsRequest,
} from '../wire/stored-repo.ts';
import type { ClusterAccess } from './slot-dids.ts';

const callTimeoutMs = 10_000;

export class StoredRepos {
  readonly #cluster: ClusterAccess;

  /** Errors, of all methods: those of a node that does not answer. */
  constructor(cluster: ClusterAccess) {
    this.#cluster = cluster;
  }

  slotOf(key: string): number {
    return slotOf(key, this.#cluster.map().slots);
  }

  async #ask(key: string, method: string, payload: Uint8Array): Promise<Uint8Array> {
    const { caller, map } = this.#cluster;
    const node = map().primaryBySlot[this.slotOf(key)];
    if (node === undefined) throw new DataPlaneError('WrongEpoch', `the map has no slot ${this.slotOf(key)}`);
    return caller.call({ node, method, payload, timeoutMs: callTimeoutMs });
  }

  async account(did: string, record: Pick<RecordRef, 'collection' | 'rkey'> | null): Promise<StoredAccount> {
    const named = record === null ? null : { collection: record.collection, rkey: record.rkey };
    const payload = storedAccountRequest.encode({ did, record: named });
    return storedAccountAnswer.decode(await this.#ask(did, nodeCalls.storedAccount, payload));
  }

  /** Returns what the slot of another DID set aside of an account, and that slot's condition. */
  async accountAt(did: string, other: string): Promise<StoredAccount> {
    const payload = storedAccountRequest.encode({ did, record: null, slotOf: other });
    return storedAccountAnswer.decode(await this.#ask(other, nodeCalls.storedAccount, payload));
  }

  /** Returns the newest claim of a handle in lower case, or null. */
  async handle(handle: string): Promise<StoredHandle> {
    const answer = await this.#ask(handle, nodeCalls.storedHandle, storedHandleRequest.encode({ handle }));
    return storedHandleAnswer.decode(answer).claim;
  }

  /** Yields the records of an account in pages; commits may come between them. */
  async *records(did: string): AsyncGenerator<readonly { readonly path: string; readonly cid: string }[]> {
    for (let after: string | null = ''; after !== null; ) {
      const payload = storedRecordsRequest.encode({ did, after });
      const page: ReturnType<typeof storedRecordsAnswer.decode> = storedRecordsAnswer.decode(
        await this.#ask(did, nodeCalls.storedRecords, payload),
      );
      yield page.records;
      after = page.next;
    }
  }
}
