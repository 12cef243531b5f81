/**
 * The trace that a request belongs to, by W3C Trace Context: `traceparent` of a caller, passed on
 * from a router to its nodes and printed in logs. We make no spans of our own.
 */

/** Lower-case hex: 16 bytes and 8 bytes; `isSampled` is the caller's wish. */
export type TraceContext = { readonly traceId: string; readonly parentId: string; readonly isSampled: boolean };

/** A trace's bytes between processes: its id, that of the parent, the flags. */
export const traceBytes = 25;
const idBytes = 16;
const flagsAt = 24;
const sampledFlag = 1;

const pattern = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** Reads a `traceparent` header. Returns null for none, and for one that is not valid. */
export function parseTraceparent(header: string): TraceContext | null {
  if (header === '') return null;
  const [, version, traceId, parentId, flags, rest] = pattern.exec(header) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId!) || /^0+$/.test(parentId!)) return null;
  const isSampled = (Number.parseInt(flags!, 16) & sampledFlag) === sampledFlag;
  return { traceId: traceId!, parentId: parentId!, isSampled };
}

/** Writes the bytes of a trace. */
export function writeTrace({ traceId, parentId, isSampled }: TraceContext, into: Buffer, at: number): void {
  into.write(traceId, at, idBytes, 'hex');
  into.write(parentId, at + idBytes, flagsAt - idBytes, 'hex');
  into[at + flagsAt] = isSampled ? sampledFlag : 0;
}

/** Reads the bytes that `writeTrace` wrote. */
export function readTrace(from: Buffer, at: number): TraceContext {
  return {
    traceId: from.toString('hex', at, at + idBytes),
    parentId: from.toString('hex', at + idBytes, at + flagsAt),
    isSampled: (from[at + flagsAt]! & sampledFlag) === sampledFlag,
  };
}
