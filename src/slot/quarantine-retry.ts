/** What an operator's retry or drop does with what is kept. */
import { ByteReader, MalformedBytes, tryDecode } from '../base/bytes.ts';
import { readEffect } from '../entry/effect-codec.ts';
import {
  type Entry,
  isSlotEffect,
  type OutsideEntry,
  type QuarantineEntry,
  routingKey,
  type SentEffect,
} from '../entry/entry.ts';
import { decodeEntry } from '../entry/entry-codec.ts';
import { isLifecycleEntry } from '../entry/lifecycle-entry.ts';
import { resyncAfterFailure } from './apply/repo-apply.ts';
import type { Quarantine } from './quarantine.ts';
import { type LongWork, readLongWork } from './table/long-work.ts';
import { getQuarantined, getQuarantinedItem, type QuarantinedEntry } from './table/quarantine-row.ts';
import type { SlotState } from './table/slot-state.ts';

/** A row of long work, as it is kept: key and value. */
export function encodeWorkRow(key: Buffer, value: Buffer): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(key.length);
  return Buffer.concat([head, key, value]);
}

function decodeWorkRow(item: Buffer): LongWork {
  const keyEnd = 2 + item.readUInt16BE(0);
  return readLongWork(item.subarray(2, keyEnd), item.subarray(keyEnd));
}

type Again =
  | { readonly type: 'entry'; readonly entry: OutsideEntry }
  | { readonly type: 'effect'; readonly source: number; readonly effect: SentEffect }
  | { readonly type: 'work'; readonly work: LongWork };

function entryKey(entry: Entry): string | null {
  if (entry.kind === 'effect') return isSlotEffect(entry.effect) ? null : routingKey(entry.effect);
  return 'did' in entry ? entry.did : null;
}

/** Returns the key whose slot something kept belongs to; null if it belongs to none. */
export function keptKey(state: SlotState, row: QuarantinedEntry): string | null {
  const item = getQuarantinedItem(state, row);
  const key = tryDecode(() => {
    if (item === undefined) return null;
    if (row.part > 0) {
      const work = decodeWorkRow(item);
      return 'did' in work ? work.did : null;
    }
    if (row.origin === null) return entryKey(decodeEntry(item));
    return entryKey({ kind: 'effect', effect: readEffect(new ByteReader(item, 0, 'an effect')) });
  });
  return key instanceof MalformedBytes ? null : key;
}

/**
 * Removes what the entry names. A repo of which input was skipped is asked for once nothing is kept
 * of it any more.
 *
 * Returns: what is to be applied once more; null for a drop, an unknown id, or an effect that a
 * later one of its record has superseded.
 */
export function takeFromQuarantine(state: SlotState, quarantine: Quarantine, entry: QuarantineEntry): Again | null {
  const kept = getQuarantined(state, entry);
  const item = getQuarantinedItem(state, entry);
  if (kept === undefined || item === undefined) return null;
  const released = quarantine.remove(entry);
  if (released !== null && (released.skippedCount > 0 || kept.kind === 'commit')) {
    resyncAfterFailure(state, released.did, false);
  }
  if (entry.action === 'drop' || kept.isSuperseded) return null;
  if (kept.part > 0) return { type: 'work', work: decodeWorkRow(item) };
  if (kept.origin !== null) {
    return { type: 'effect', source: kept.origin.slot, effect: readEffect(new ByteReader(item, 0, 'an effect')) };
  }
  const again = decodeEntry(item);
  if (again.kind === 'effect') return { type: 'effect', source: state.index, effect: again.effect };
  const isOutside = again.kind !== 'delivered' && again.kind !== 'continue' && again.kind !== 'quarantine';
  return isOutside && !isLifecycleEntry(again) ? { type: 'entry', entry: again } : null;
}
