/**
 * Tokens of pages of outgoing edges: the last edge's key or, in the order of record keys, where
 * both tables were left.
 *
 * The rest of such a token is `crowdMarker`, flags, the length and the rest of the edge's key, the
 * record's TID, the rest of the key in the `edgeByTime` table.
 */
import { tidBytes } from '../../atproto/tid.ts';
import { ByteReader, ByteWriter, tryDecode } from '../../base/bytes.ts';
import { timeAt, timeBytes } from '../../base/time-bytes.ts';
import { encodePageToken } from '../../proto/page-token.ts';
import type { EdgePosition } from '../../slot/table/edge-walk.ts';
import { keyOfToken, keyToken, refuseToken } from './page.ts';

/** No rkey in a key begins with this byte. */
const crowdMarker = 0xff;
const flag = { record: 1, own: 2 } as const;
const writer = new ByteWriter(256);

/** Returns the token of a page that ends at `position`, whose keys begin with `prefix`. */
export function edgeToken({ key, crowd }: EdgePosition, prefix: Buffer): string {
  if (crowd === null) return keyToken(key, prefix.length);
  const { record, own } = crowd;
  writer.clear().u8(crowdMarker);
  writer.u8((record === null ? 0 : flag.record) | (own === null ? 0 : flag.own));
  writer.lengthDelimited(key.subarray(prefix.length + timeBytes));
  if (record !== null) writer.bytes(record.subarray(record.length - tidBytes));
  if (own !== null) writer.bytes(own.subarray(prefix.length));
  return encodePageToken(timeAt(key, prefix.length), writer.finish());
}

/**
 * Returns where the page of a token begins; null for the first page. Record keys begin with
 * `recordPrefix`.
 *
 * Errors: DataPlaneError `InvalidArgument`.
 */
export function edgePositionOf(
  token: string,
  prefix: Buffer,
  recordPrefix: Buffer,
  field: string,
): EdgePosition | null {
  if (token === '') return null;
  const whole = keyOfToken(token, prefix, field);
  const restAt = prefix.length + timeBytes;
  if (whole[restAt] !== crowdMarker) return { key: whole, crowd: null };
  const position = tryDecode(() => {
    const reader = new ByteReader(whole, restAt + 1, field);
    const flags = reader.u8();
    const key = Buffer.concat([whole.subarray(0, restAt), reader.lengthDelimited()]);
    const record = (flags & flag.record) === 0 ? null : Buffer.concat([recordPrefix, reader.bytes(tidBytes)]);
    const own = (flags & flag.own) === 0 ? null : Buffer.concat([prefix, reader.bytes(reader.remaining)]);
    if (own !== null && own.length <= restAt) reader.fail('too short');
    return { key, crowd: { record, own } };
  });
  return position instanceof Error ? refuseToken(field) : position;
}
