/** How the index names a record: the key of its slot, its owner there, its collection's rkey. */
import { readRkey, writeRkey } from '../atproto/compact-key.ts';
import { ByteReader, sharedWriter } from '../base/bytes.ts';

/** `key` is the number under which a slot is indexed now: an older one's rows do not count. */
export type DocKey = { readonly key: number; readonly owner: number; readonly rkey: string };

const writer = sharedWriter(640);

/** Returns the bytes of a key; the caller owns them. */
export function encodeDocKey({ key, owner, rkey }: DocKey): Buffer {
  writer.varint(key).varint(owner);
  writeRkey(writer, rkey);
  return writer.finish();
}

/** Reads a key's bytes. */
export function decodeDocKey(bytes: Uint8Array): DocKey {
  const reader = new ByteReader(bytes);
  return { key: reader.varint(), owner: reader.varint(), rkey: readRkey(reader) };
}
