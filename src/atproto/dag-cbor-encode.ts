/** Writes canonical DAG-CBOR, for our own frames, demo repos and tests. */
import { ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { Cid } from './cid.ts';
import { ByteString, type DagMap, type DagValue } from './dag-value.ts';

function writeHead(writer: ByteWriter, major: number, argument: number): void {
  const kind = major << 5;
  if (argument < 24) writer.u8(kind | argument);
  else if (argument < 0x100) writer.u8(kind | 24).u8(argument);
  else if (argument < 0x10000) writer.u8(kind | 25).u16(argument);
  else if (argument < 2 ** 32) writer.u8(kind | 26).u32(argument);
  else
    writer
      .u8(kind | 27)
      .u32(Math.floor(argument / 2 ** 32))
      .u32(argument % 2 ** 32);
}

function writeNumber(writer: ByteWriter, value: number): void {
  if (Number.isSafeInteger(value)) {
    if (value >= 0) writeHead(writer, 0, value);
    else writeHead(writer, 1, -1 - value);
    return;
  }
  invariant(Number.isFinite(value), 'a number that is encoded is finite');
  const double = Buffer.alloc(8);
  double.writeDoubleBE(value);
  writer.u8(0xfb).bytes(double);
}

function writeText(writer: ByteWriter, value: string): void {
  const bytes = Buffer.from(value, 'utf8');
  writeHead(writer, 3, bytes.length);
  writer.bytes(bytes);
}

function writeMap(writer: ByteWriter, value: DagMap): void {
  const keys = Object.keys(value).map((key) => ({ key, bytes: Buffer.from(key, 'utf8') }));
  keys.sort((left, right) => left.bytes.length - right.bytes.length || left.bytes.compare(right.bytes));
  writeHead(writer, 5, keys.length);
  for (const { key, bytes } of keys) {
    writeHead(writer, 3, bytes.length);
    writer.bytes(bytes);
    writeDagCbor(writer, value[key]!);
  }
}

/** Appends one value. Keys are sorted; they need not be so in the value. */
export function writeDagCbor(writer: ByteWriter, value: DagValue): void {
  if (value === null) writer.u8(0xf6);
  else if (typeof value === 'boolean') writer.u8(value ? 0xf5 : 0xf4);
  else if (typeof value === 'number') writeNumber(writer, value);
  else if (typeof value === 'string') writeText(writer, value);
  else if (value instanceof Cid) {
    writer.u8(0xd8).u8(42).u8(0x58).u8(37).u8(0).bytes(value.bytes);
  } else if (value instanceof ByteString) {
    writeHead(writer, 2, value.bytes.length);
    writer.bytes(value.bytes);
  } else if (Array.isArray(value)) {
    writeHead(writer, 4, value.length);
    for (const item of value) writeDagCbor(writer, item);
  } else writeMap(writer, value);
}

/** Encodes one value as a block. */
export function encodeDagCbor(value: DagValue): Buffer {
  const writer = new ByteWriter();
  writeDagCbor(writer, value);
  return writer.finish();
}
