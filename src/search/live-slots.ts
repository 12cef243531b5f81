/**
 * What the slots say of a hit at this moment: whether it is there, and whether it may be shown.
 *
 * The index follows its slots within a second, but what was deleted, taken down or deactivated is
 * left out at once, since every hit is looked up here.
 */
import { nsid } from '../atproto/collection.ts';
import { recordUri } from '../atproto/compact-key.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { parentOfChild, readSlotMeta } from '../slot/slot-meta.ts';
import { type ActorRow, getActor } from '../slot/table/actor-row.ts';
import { getRecordRow, recordKey, sortMsOf } from '../slot/table/record-row.ts';
import { RecordView } from '../slot/table/record-view.ts';
import { SlotState, slotTableNames } from '../slot/table/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import { decodeDocKey } from './doc-key.ts';
import type { SlotPlace } from './indexed-slot.ts';
import { actorTerms, type Listed, type NamedTerms, namedTerms, postTerms, recordValue } from './record-terms.ts';

type LiveSlot = { readonly environment: Environment; readonly state: SlotState; isFresh: boolean };

const view = new RecordView();

/** `sortMs`: of a record; 0 of an actor. */
export type LiveHit = { readonly name: string; readonly sortMs: number };

export class LiveSlots {
  readonly #bySlot = new Map<number, LiveSlot>();
  #slotByKey = new Map<number, number>();
  #keyBySlot = new Map<number, number>();
  /** By slot, its child whose index is not built: what it has is found by the parent's. */
  readonly #childBySlot = new Map<number, number>();
  #primaries: ReadonlySet<number>;
  /** Of the cluster. */
  #slots: number;

  /** `primaries`: the slots for which this node answers, since replicas index theirs too. */
  constructor(places: readonly SlotPlace[], primaries: readonly number[], slots: number) {
    this.#primaries = new Set(primaries);
    this.#slots = slots;
    for (const place of places) this.#open(place);
  }

  #open({ slot, path, mapBytes }: SlotPlace): void {
    const environment = Environment.open({ path, mapBytes, tables: slotTableNames });
    this.#bySlot.set(slot, { environment, state: new SlotState(slot, environment), isFresh: false });
  }

  /** Opens slots that are new, before it waits for anything, and closes those that are gone. */
  async usePlaces(places: readonly SlotPlace[], primaries: readonly number[], slots: number): Promise<void> {
    const held = new Set(places.map(({ slot }) => slot));
    const gone = [...this.#bySlot].filter(([slot]) => !held.has(slot));
    for (const [slot] of gone) this.#bySlot.delete(slot);
    for (const place of places) if (!this.#bySlot.has(place.slot)) this.#open(place);
    this.usePrimaries(primaries, slots);
    for (const [, { environment }] of gone) await environment.close();
  }

  /** Those for which this node answers. */
  get slots(): Iterable<number> {
    return this.#primaries;
  }

  usePrimaries(primaries: readonly number[], slots: number): void {
    this.#primaries = new Set(primaries);
    this.#slots = slots;
  }

  /** Says under which key each slot is served. */
  useKeys(keyBySlot: Map<number, number>): void {
    this.#keyBySlot = keyBySlot;
    this.#slotByKey = new Map([...keyBySlot].map(([slot, key]) => [key, slot]));
    this.#childBySlot.clear();
    for (const slot of this.#primaries) {
      const state = keyBySlot.has(slot) ? undefined : this.#fresh(slot);
      const parent = state === undefined ? null : parentOfChild(slot, readSlotMeta(state));
      if (parent !== null && keyBySlot.has(parent)) this.#childBySlot.set(parent, slot);
    }
  }

  /** Slots without an index of their own whose parents' finds what they have. */
  get unservedChildCount(): number {
    return this.#childBySlot.size;
  }

  /** Returns the slot of a DID; that of its parent while that has yet to split. */
  #slotOf(did: string): number {
    const slot = slotOf(did, this.#slots);
    return this.#primaries.has(slot) || slot < this.#slots / 2 ? slot : slot - this.#slots / 2;
  }

  /** Goes on in the files that slots are in now, some times a second. */
  reopenReplaced(): void {
    for (const { environment } of this.#bySlot.values()) if (!environment.isInPlace) environment.reopen();
  }

  /** Begins a query, which is to see all commits before it. */
  begin(): void {
    for (const live of this.#bySlot.values()) live.isFresh = false;
  }

  #fresh(slot: number): SlotState | undefined {
    const live = this.#primaries.has(slot) ? this.#bySlot.get(slot) : undefined;
    if (live === undefined) return undefined;
    if (!live.isFresh) live.environment.refreshReads();
    live.isFresh = true;
    return live.state;
  }

  /** Returns the key and the owner of a DID in a slot of this node. */
  ownerOf(did: string): { readonly key: number; readonly owner: number } | undefined {
    const slot = this.#slotOf(did);
    const owner = this.#fresh(slot)?.ownerOf(did);
    if (owner === undefined) return undefined;
    const key = this.#keyBySlot.get(slot);
    if (key !== undefined) return { key, owner };
    const [parent] = [...this.#childBySlot].find(([, child]) => child === slot) ?? [];
    const parentKey = parent === undefined ? undefined : this.#keyBySlot.get(parent);
    if (parent === undefined || parentKey === undefined) return undefined;
    // Owners have the same numbers in both, but for those that came after the split.
    const state = this.#fresh(parent);
    const other = state === undefined ? undefined : getActor(state, owner)?.did;
    return other === undefined || other === did ? { key: parentKey, owner } : undefined;
  }

  /** Returns who holds what is indexed under a slot and an owner. */
  #holderOf(slot: number, owner: number): { readonly state: SlotState; readonly actor: ActorRow } | undefined {
    const state = this.#fresh(slot);
    const actor = state === undefined ? undefined : getActor(state, owner);
    if (state !== undefined && actor !== undefined && this.#slotOf(actor.did) === slot) return { state, actor };
    // A split has given it to the child, under whose own key it is found once there is one.
    const child = this.#childBySlot.get(slot);
    const childState = child === undefined ? undefined : this.#fresh(child);
    const moved = childState === undefined ? undefined : getActor(childState, owner);
    if (childState === undefined || moved === undefined || this.#slotOf(moved.did) !== child) return undefined;
    return { state: childState, actor: moved };
  }

  #actor(
    k: Uint8Array,
  ): { readonly state: SlotState; readonly owner: number; rkey: string; actor: ActorRow } | undefined {
    const { key, owner, rkey } = decodeDocKey(k);
    const slot = this.#slotByKey.get(key);
    const holder = slot === undefined ? undefined : this.#holderOf(slot, owner);
    if (holder === undefined) return undefined;
    const { state, actor } = holder;
    return actor.takedownRef === null && actor.upstreamStatus === '' ? { state, owner, rkey, actor } : undefined;
  }

  /** Returns an actor's DID; undefined if it may not be shown. */
  actor(k: Uint8Array): LiveHit | undefined {
    const found = this.#actor(k);
    return found === undefined ? undefined : { name: found.actor.did, sortMs: 0 };
  }

  /** Returns a record's URI and sort time; undefined if it is gone or may not be shown. */
  record(k: Uint8Array, collection: string): LiveHit | undefined {
    const found = this.#actor(k);
    if (found === undefined) return undefined;
    const { state, owner, rkey, actor } = found;
    const row = state.rows.getVolatile(recordKey(owner, collection, rkey));
    if (row === undefined) return undefined;
    const { isTakenDown, indexedMs, createdMs, hasCreated } = view.read(row);
    if (isTakenDown) return undefined;
    const sortMs = sortMsOf({ indexedMs, createdMs: hasCreated ? createdMs : null });
    return { name: recordUri({ did: actor.did, collection, rkey }), sortMs };
  }

  post(k: Uint8Array): LiveHit | undefined {
    return this.record(k, nsid.post);
  }

  /** Returns what the index holds of a post as it is now; undefined if it may not be shown. */
  postTerms(k: Uint8Array): string | undefined {
    const found = this.#actor(k);
    const row = found && getRecordRow(found.state, found.owner, nsid.post, found.rkey);
    return found && row && postTerms(recordValue(row), decodeDocKey(k).key, found.owner).text;
  }

  /** Returns what the index holds of an actor as it is now; undefined if it may not be shown. */
  actorTerms(k: Uint8Array): NamedTerms | undefined {
    const found = this.#actor(k);
    const row = found && getRecordRow(found.state, found.owner, nsid.profile, 'self');
    return found && actorTerms(found.actor.handle, row && recordValue(row));
  }

  /** Returns what the index holds of a feed or a pack as it is now. */
  listedTerms(k: Uint8Array, collection: Listed): NamedTerms | undefined {
    const found = this.#actor(k);
    const row = found && getRecordRow(found.state, found.owner, collection, found.rkey);
    return row && namedTerms(recordValue(row), collection);
  }

  async close(): Promise<void> {
    for (const { environment } of this.#bySlot.values()) await environment.close();
  }
}
