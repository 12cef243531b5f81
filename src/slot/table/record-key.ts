import { type RecordRef, readCollection, readRkey } from '../../atproto/compact-key.ts';
import { readKey } from './slot-state.ts';

/** Reads the collection and rkey out of a key of the record table, or of another with the same layout. */
export function readRecordRefOfKey(did: string, key: Buffer): RecordRef {
  const reader = readKey(key);
  return { did, collection: readCollection(reader), rkey: readRkey(reader) };
}
