/**
 * Caches who is on lists, for their feeds: the first page of members, split into those whom this
 * node serves and the others, as the follows of viewers are.
 *
 * Lists are cached by their owner, whose changes invalidate them together. Of an owner whose lists
 * are too large for one entry, only the last that was asked for is cached.
 */
import { parseRecordUri } from '../../atproto/compact-key.ts';
import { MessageWriter } from '../../proto/message-writer.ts';
import { followsPageLimit } from '../../wire/follows-messages.ts';
import { writeMemberDids } from '../lookup/list-record.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { type CachedDidPage, didPageBytes, didPageOf, emptyPageBytes } from './follow-cache.ts';
import { GenerationalCache } from './generational-cache.ts';

/** The lists of one owner by URI, and what they take together. */
type OwnerLists = { readonly pageByUri: Map<string, CachedDidPage>; bytes: number };

export class ListCache {
  /** Of all serving threads of a node. */
  static readonly capacityBytes = 32 * 2 ** 20;
  readonly #lookup: SlotLookup;
  readonly #texts = new MessageWriter();
  readonly cache: GenerationalCache<OwnerLists>;

  constructor(lookup: SlotLookup, capacityBytes: number) {
    this.#lookup = lookup;
    this.cache = new GenerationalCache({ capacityBytes, valueBytesMin: emptyPageBytes });
  }

  /** Returns the first members of a list; undefined where its owner is not known. */
  get(listUri: string): CachedDidPage | undefined {
    const list = parseRecordUri(listUri);
    if (list === undefined) return undefined;
    const key = Buffer.from(list.did);
    const known = this.cache.get(key, 0, key.length);
    return known?.pageByUri.get(listUri) ?? this.#fill(list.did, listUri, known);
  }

  #fill(did: string, listUri: string, known: OwnerLists | undefined): CachedDidPage | undefined {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const texts = this.#texts.clear();
    const read = writeMemberDids(texts, this.#lookup, listUri, { after: '', limit: followsPageLimit });
    const page = didPageOf(this.#lookup, Buffer.from(texts.buffer.subarray(0, texts.length)), read, null);
    const bytes = didPageBytes(page) + listUri.length;
    const others = known !== undefined && this.cache.admits(known.bytes + bytes) ? known : undefined;
    const lists = others ?? { pageByUri: new Map(), bytes: 0 };
    lists.pageByUri.set(listUri, page);
    lists.bytes += bytes;
    this.cache.set({ did, slot: state.index, owner }, lists, lists.bytes);
    return page;
  }
}
