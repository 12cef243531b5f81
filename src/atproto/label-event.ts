/**
 * Decodes one message of `com.atproto.label.subscribeLabels`.
 *
 * Owns: the bytes that a labeler signs: the canonical DAG-CBOR of a label without its `sig`.
 */
import { CborWriter } from './cbor-writer.ts';
import { ByteString, type DagMap, type DagValue, isDagMap } from './dag-value.ts';
import { type Label, type LabelReason, readLabel } from './label.ts';
import { isSignedSoon, type SigningKey } from './signing-key.ts';
import {
  decodeStreamMessage,
  refuseMessage,
  requiredSeq,
  type StreamDecoded,
  type StreamNotice,
} from './stream-frame.ts';

export type SignedLabel = {
  readonly label: Label;
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
};

/** Why one label of a message is dropped; the others count. */
export type LabelFault = LabelReason | 'label-unsigned';

export type LabelsEvent = {
  readonly kind: 'labels';
  readonly seq: number;
  /** The latest time of its labels, or 0 for none. */
  readonly eventMs: number;
  readonly labels: readonly SignedLabel[];
  readonly faults: readonly LabelFault[];
};
export type LabelStreamEvent = LabelsEvent | StreamNotice;
export type LabelStreamDecoded = StreamDecoded<LabelsEvent>;

const writer = new CborWriter(512);

function isSignable(value: DagValue | undefined): value is string | boolean | number | null {
  return typeof value === 'number' ? Number.isSafeInteger(value) : typeof value !== 'object' || value === null;
}

/** Shorter keys come first. */
function compareKeys(a: string, b: string): number {
  return Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Returns what the labeler signed; undefined for fields of a kind that no label has. */
function signedBytesOf(fields: DagMap): Uint8Array | undefined {
  const keys = Object.keys(fields).filter((key) => key !== 'sig' && key !== '$type');
  if (!keys.every((key) => isSignable(fields[key]))) return undefined;
  writer.map(keys.length);
  for (const key of keys.sort(compareKeys)) writer.text(key).record(fields[key]!);
  return writer.finish();
}

function decodeLabel(fields: DagValue): SignedLabel | LabelFault {
  if (!isDagMap(fields)) return 'label-malformed';
  const read = readLabel(fields);
  if (!read.ok) return read.reason;
  const signedBytes = signedBytesOf(fields);
  if (signedBytes === undefined) return 'label-malformed';
  const { sig } = fields;
  if (!(sig instanceof ByteString)) return 'label-unsigned';
  // A copy: the message is not held while its labels wait.
  return { label: read.value, signedBytes, signature: Buffer.from(sig.bytes) };
}

function decodeBody(type: string, body: DagMap): LabelsEvent | null {
  if (type !== '#labels') return null;
  const seq = requiredSeq(body);
  const { labels: given } = body;
  if (!Array.isArray(given)) return refuseMessage('field-bad');
  const labels: SignedLabel[] = [];
  const faults: LabelFault[] = [];
  for (const fields of given) {
    const decoded = decodeLabel(fields);
    if (typeof decoded === 'string') faults.push(decoded);
    else labels.push(decoded);
  }
  const eventMs = labels.reduce((latestMs, { label }) => Math.max(latestMs, Date.parse(label.cts)), 0);
  return { kind: 'labels', seq, eventMs, labels, faults };
}

/** Decodes one binary message. It never throws. */
export function decodeLabelMessage(message: Uint8Array): LabelStreamDecoded {
  return decodeStreamMessage(message, decodeBody);
}

/** Returns whether the key signed the label; checked on another thread. */
export function isLabelSignedBy(key: SigningKey, { signedBytes, signature }: SignedLabel): Promise<boolean> {
  return isSignedSoon(key, signedBytes, signature);
}
