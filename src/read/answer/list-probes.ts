/** Which of the lists to which others subscribe an actor is on. */
import type { ByteReader } from '../../base/bytes.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { EdgeCache, ListRanges } from '../cache/edge-cache.ts';
import { hashOfKey } from '../cache/key-set.ts';
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

function* readListRanges(reader: ByteReader, turn: Turn): SlicedRead<ListRanges[]> {
  const all: ListRanges[] = [];
  for (let listsLeft = reader.count(); listsLeft > 0; listsLeft--) {
    const ranges: ListRanges = { starts: [], ends: [], hashes: [] };
    for (let left = reader.count(); left > 0; left--) {
      const start = reader.lengthDelimitedRange();
      ranges.starts.push(start);
      ranges.ends.push(reader.position);
      ranges.hashes.push(hashOfKey(reader.buffer, start, reader.position));
    }
    all.push(ranges);
    if (turn.isOver(ranges.hashes.length)) {
      reader.own();
      yield;
    }
  }
  return all;
}

/** About what reading the lists takes that an actor is on, and looking for one among them. */
const listMicros = { read: 1_000, direct: 5, looksPerMicro: 5 } as const;
/** Looks into storage that have a turn of their own: a thousand take longer than a turn. */
const ownTurnLooks = 200;

/** Writes for each actor of a ListedRequest which of the lists it is on, plus one, or 0. */
export function* writeListed(into: MessageWriter, cache: EdgeCache, reader: ByteReader, turn: Turn): SlicedRead<void> {
  const dids = readDids(reader);
  const lists = yield* readListRanges(reader, turn);
  dids.source = reader.buffer;
  const lacking = new Set<SlotState>();
  for (let left = reader.count(); left > 0; left--) {
    const [subject, index] = [reader.varint(), reader.varint()];
    const ranges = lists[index];
    if (subject >= dids.starts.length || ranges === undefined) return reader.fail('a probe names what is not listed');
    const actor = cache.get(dids.source, dids.starts[subject]!, dids.ends[subject]!);
    const before = actor?.listed;
    const looks = ranges.hashes.length;
    if (actor !== undefined && looks > ownTurnLooks && cache.looksForLists(actor)) {
      dids.source = reader.own();
      yield;
    }
    const found = actor === undefined ? -1 : cache.firstListed(actor, dids.source, ranges);
    into.varint(found + 1);
    if (found < 0 && actor !== undefined && !actor.state.isKnownComplete) lacking.add(actor.state);
    const isRead = actor?.listed !== before;
    const lookMicros =
      actor?.listed === null ? looks * listMicros.direct : Math.trunc(looks / listMicros.looksPerMicro);
    if (turn.isOver(1 + lookMicros + (isRead ? listMicros.read : 0)) && left > 1) {
      dids.source = reader.own();
      yield;
    }
  }
  reader.end();
  for (const state of lacking) requireWhole(state);
}
