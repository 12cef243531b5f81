/** Turns a record's JSON back into the DAG-CBOR block that it was. */

import { CborWriter } from '../atproto/cbor-writer.ts';
import { type Cid, cidOfBlock, parseCid } from '../atproto/cid.ts';

export type BlockReason = 'json-malformed' | 'json-too-deep' | 'number-not-whole' | 'link-malformed' | 'cid-differs';
export type RecordBlock =
  | { readonly ok: true; readonly block: Buffer; readonly cid: Uint8Array }
  | { readonly ok: false; readonly reason: BlockReason };

/** As deep as the decoder of blocks reads. */
const depthMax = 64;
const writer = new CborWriter(64 * 1024);

class Unwritable extends Error {
  readonly reason: BlockReason;

  constructor(reason: BlockReason) {
    super(reason);
    this.reason = reason;
  }
}

/** Shorter keys come first, then by byte. */
function byCanon(one: string, other: string): number {
  const lengths = Buffer.byteLength(one) - Buffer.byteLength(other);
  return lengths !== 0 ? lengths : Buffer.compare(Buffer.from(one), Buffer.from(other));
}

function writeValue(value: unknown, depth: number): void {
  if (depth > depthMax) throw new Unwritable('json-too-deep');
  if (typeof value === 'string') return void writer.text(value);
  if (typeof value === 'boolean') return void writer.boolean(value);
  if (value === null) return void writer.null();
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new Unwritable('number-not-whole');
    return void writer.integer(value);
  }
  if (Array.isArray(value)) {
    writer.array(value.length);
    for (const item of value) writeValue(item, depth + 1);
    return;
  }
  writeObject(value as Readonly<Record<string, unknown>>, depth);
}

function writeObject(value: Readonly<Record<string, unknown>>, depth: number): void {
  const keys = Object.keys(value);
  const [only] = keys;
  const single = keys.length === 1 ? value[only!] : undefined;
  if (only === '$link' && typeof single === 'string') {
    const cid = parseCid(single);
    if (cid === undefined) throw new Unwritable('link-malformed');
    return void writer.link(cid.bytes);
  }
  if (only === '$bytes' && typeof single === 'string') return void writer.bytes(Buffer.from(single, 'base64'));
  writer.map(keys.length);
  for (const key of keys.sort(byCanon)) {
    writer.text(key);
    writeValue(value[key], depth + 1);
  }
}

/** Returns the block of a record's JSON, if that has the CID which the record had. */
export function blockOfJson(json: string, cid: string): RecordBlock {
  let block: Buffer;
  try {
    writeValue(JSON.parse(json), 0);
    block = writer.finish();
  } catch (thrown) {
    writer.finish();
    if (thrown instanceof Unwritable) return { ok: false, reason: thrown.reason };
    if (thrown instanceof SyntaxError) return { ok: false, reason: 'json-malformed' };
    throw thrown;
  }
  const found: Cid = cidOfBlock(block);
  return found.text === cid ? { ok: true, block, cid: found.bytes } : { ok: false, reason: 'cid-differs' };
}
