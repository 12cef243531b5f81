/**
 * How far a slot has the log of a server: a row in the table that would hold the log, by which
 * either home knows the other's folders.
 */
import { ByteReader, sharedWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import type { Table } from '../storage/environment.ts';

export type LogPosition = {
  /** When the stream was made: another one of its name is another stream. */
  readonly created: string;
  /** Of the last message that is wholly applied; 0 where the stream is read from a time on. */
  readonly seq: number;
  /** When the server took that message; 0 before the first. Units: ms. */
  readonly timeMs: number;
  /** The append time of what was entered last. Units: ms. */
  readonly appendMs: number;
  /** The slot's own seq of its last entry up to there. */
  readonly head: number;
};

const positionVersion = 1;
/** Longer than the keys of logged chunks, and after them. */
const key = Buffer.alloc(7, 255);
const leftKey = Buffer.concat([Buffer.alloc(6, 255), Buffer.from([254])]);
const writer = sharedWriter(64);

/** Returns the position of a slot whose log is on a server, else undefined. */
export function readPosition(table: Table): LogPosition | undefined {
  const row = table.get(key);
  if (row === undefined) return undefined;
  const reader = new ByteReader(row);
  invariant(reader.u8() === positionVersion, 'a log position has a known version');
  return {
    created: reader.text(),
    seq: reader.u48(),
    timeMs: reader.u48(),
    appendMs: reader.u48(),
    head: reader.u48(),
  };
}

/** Writes the position in the current transaction. */
export function putPosition(table: Table, { created, seq, timeMs, appendMs, head }: LogPosition): void {
  table.put(key, writer.u8(positionVersion).text(created).u48(seq).u48(timeMs).u48(appendMs).u48(head).finish());
}

/** Removes the position in the current transaction: the log is the slot's again. */
export function removePosition(table: Table): void {
  table.remove(key);
}

/**
 * Returns the last message that a slot has left on the server when its log came home, all of which
 * is applied; undefined once the server has none of it.
 */
export function readLeftPosition(table: Table): number | undefined {
  const row = table.get(leftKey);
  return row === undefined ? undefined : new ByteReader(row).u48();
}

/** Writes that in the current transaction; null for nothing. */
export function putLeftPosition(table: Table, seq: number | null): void {
  if (seq === null) table.remove(leftKey);
  else table.put(leftKey, writer.u48(seq).finish());
}
