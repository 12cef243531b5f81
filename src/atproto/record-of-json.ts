/**
 * Makes a record's block from its JSON, for operators who write one without its repo.
 *
 * `$link` and `$bytes` mean what the protocol says. Numbers are whole, as in the data model.
 */
import { sizeOfBlock } from './block-size.ts';
import { CborWriter } from './cbor-writer.ts';
import { type Cid, cidOfBlock, parseCid } from './cid.ts';
import { decodeDagCbor } from './dag-cbor.ts';
import { type DagMap, isDagMap } from './dag-value.ts';
import type { Decoded } from './decoded.ts';
import { inputLimits } from './input-limits.ts';

export type RecordOfJson = { readonly cid: Cid; readonly block: Buffer; readonly value: DagMap };

/** Carries a reason out of the recursion. */
class JsonFault {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Far more than any lexicon nests; JSON itself may nest without a bound. */
const depthMax = 64;

function byBytes(a: Buffer, b: Buffer): number {
  return a.length - b.length || Buffer.compare(a, b);
}

function writeMap(writer: CborWriter, map: object, depth: number): void {
  const entries = Object.entries(map).map(([key, value]) => ({
    key,
    bytes: Buffer.from(key),
    value: value as unknown,
  }));
  entries.sort((a, b) => byBytes(a.bytes, b.bytes));
  writer.map(entries.length);
  for (const { key, value } of entries) writeValue(writer.text(key), value, depth + 1);
}

/** Writes a link or bytes. Returns false for any other map. */
function writeSpecial(writer: CborWriter, map: object): boolean {
  const [[key, text] = [], ...others] = Object.entries(map);
  if (others.length > 0 || typeof text !== 'string') return false;
  if (key === '$bytes') {
    writer.bytes(Buffer.from(text, 'base64'));
    return true;
  }
  if (key !== '$link') return false;
  const cid = parseCid(text);
  if (cid === undefined) throw new JsonFault(`"${text.slice(0, 80)}" is no CID`);
  writer.link(cid.bytes);
  return true;
}

function writeValue(writer: CborWriter, value: unknown, depth: number): void {
  if (depth > depthMax) throw new JsonFault(`it is nested deeper than ${depthMax}`);
  if (value === null) writer.null();
  else if (typeof value === 'string') writer.text(value);
  else if (typeof value === 'boolean') writer.boolean(value);
  else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new JsonFault(`${value} is no whole number`);
    writer.integer(value);
  } else if (Array.isArray(value)) {
    writer.array(value.length);
    for (const item of value) writeValue(writer, item, depth + 1);
  } else if (typeof value === 'object' && !writeSpecial(writer, value)) writeMap(writer, value, depth);
}

/** Returns the block, or why the JSON is no record. Its lexicon is not checked. */
export function recordOfJson(json: unknown): Decoded<RecordOfJson, string> {
  const writer = new CborWriter();
  try {
    writeValue(writer, json, 0);
  } catch (thrown) {
    if (thrown instanceof JsonFault) return { ok: false, reason: thrown.reason };
    throw thrown;
  }
  const block = writer.finish();
  if (block.length > inputLimits.recordBytesMax) return { ok: false, reason: 'record-too-large' };
  const { items, jsonBytes } = sizeOfBlock(block);
  if (items > inputLimits.cborItemsMax || jsonBytes > inputLimits.recordJsonBytesMax) {
    return { ok: false, reason: 'record-too-large' };
  }
  const read = decodeDagCbor(block);
  if (!read.ok) return { ok: false, reason: `record-${read.reason}` };
  if (!isDagMap(read.value)) return { ok: false, reason: 'record-not-an-object' };
  return { ok: true, value: { cid: cidOfBlock(block), block, value: read.value } };
}
