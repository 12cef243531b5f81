/** Which of the lists to which others subscribe an actor is on. */
import type { ByteReader } from '../../base/bytes.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { CachedActor, EdgeCache } from '../cache/edge-cache.ts';
import { classOfKey, hashOfKey, type KeyRanges } from '../cache/key-set.ts';
import { requireWhole } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** The actors of a request: ranges of their DIDs in the reader's buffer. */
type Actors = { source: Buffer; readonly starts: Int32Array; readonly ends: Int32Array };

function readDids(reader: ByteReader): Actors {
  const count = reader.count();
  const actors = { source: reader.buffer, starts: new Int32Array(count), ends: new Int32Array(count) };
  for (let index = 0; index < count; index++) {
    actors.starts[index] = reader.lengthDelimitedRange();
    actors.ends[index] = reader.position;
  }
  return actors;
}

function* readListRanges(reader: ByteReader, turn: Turn): SlicedRead<KeyRanges[]> {
  const all: KeyRanges[] = [];
  for (let listsLeft = reader.count(); listsLeft > 0; listsLeft--) {
    const ranges = { starts: [] as number[], ends: [] as number[], hashes: [] as number[], classes: 0 };
    for (let left = reader.count(); left > 0; left--) {
      const start = reader.lengthDelimitedRange();
      ranges.starts.push(start);
      ranges.ends.push(reader.position);
      const hash = hashOfKey(reader.buffer, start, reader.position);
      ranges.hashes.push(hash);
      ranges.classes |= classOfKey(hash);
    }
    all.push(ranges);
    if (turn.isOver(ranges.hashes.length)) {
      reader.own();
      yield;
    }
  }
  return all;
}

/** About what a look for a list takes in storage, in µs, and how many in memory take one. */
const looks = { storedMicros: 5, cachedPerMicro: 5 } as const;

/** Probes being answered: the reader is at the next one. */
type Probing = {
  readonly cache: EdgeCache;
  readonly reader: ByteReader;
  readonly dids: Actors;
  readonly turn: Turn;
};

/** Returns the index of the first of some lists that an actor is on, or -1, by reading storage. */
function* firstStored(
  { cache, reader, dids, turn }: Probing,
  actor: CachedActor,
  lists: KeyRanges,
): SlicedRead<number> {
  dids.source = reader.own();
  const known = cache.listed(actor);
  const listed = known === undefined ? yield* cache.readListed(actor, turn) : known;
  if (listed !== null) return listed.firstOf(dids.source, lists);
  for (let index = 0; index < lists.hashes.length; index++) {
    if (cache.isOn(actor, dids.source, lists.starts[index]!, lists.ends[index]!)) return index;
    if (turn.isOver(looks.storedMicros)) yield;
  }
  return -1;
}

/** Answers a ListedRequest, as `openListedAnswer` reads it. */
export function* writeListed(into: MessageWriter, cache: EdgeCache, reader: ByteReader, turn: Turn): SlicedRead<void> {
  const dids = readDids(reader);
  const lists = yield* readListRanges(reader, turn);
  dids.source = reader.buffer;
  const probing = { cache, reader, dids, turn };
  const lacking = new Set<SlotState>();
  const count = reader.count();
  let lastFound = -1;
  for (let probe = 0; probe < count; probe++) {
    const subject = reader.varint();
    const ranges = lists[reader.varint()];
    if (subject >= dids.starts.length || ranges === undefined) return reader.fail('a probe names what is not listed');
    const actor = cache.get(dids.source, dids.starts[subject]!, dids.ends[subject]!);
    let found = -1;
    if (actor !== undefined && (actor.listClasses & ranges.classes) !== 0) {
      const listed = cache.listed(actor);
      found = listed ? listed.firstOf(dids.source, ranges) : yield* firstStored(probing, actor, ranges);
    }
    if (found >= 0) {
      into.varint(probe - lastFound).varint(found);
      lastFound = probe;
    } else if (actor !== undefined && !actor.state.isKnownComplete) lacking.add(actor.state);
    if (turn.isOver(1 + Math.trunc(ranges.hashes.length / looks.cachedPerMicro)) && probe + 1 < count) {
      dids.source = reader.own();
      yield;
    }
  }
  reader.end();
  into.varint(0);
  for (const state of lacking) requireWhole(state);
}
