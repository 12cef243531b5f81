/** A thread that proves messages; the main thread only copies their bytes. */
import { parentPort } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { cidBytes } from '../atproto/cid.ts';
import { proveMessage } from '../atproto/commit-proof.ts';
import { parseSigningKey, type SigningKey } from '../atproto/signing-key.ts';
import { invariant } from '../base/invariant.ts';
import type { ProofAnswers, ProofBatch } from './proof-messages.ts';

/** Keys that were read lately: reading one takes a third of a verification. */
const keys = new LRUCache<string, { readonly key: SigningKey | undefined }>({ max: 20_000 });

function keyOf(multikey: string): SigningKey | undefined {
  const known = keys.get(multikey);
  if (known !== undefined) return known.key;
  const key = parseSigningKey(multikey);
  keys.set(multikey, { key });
  return key;
}

/** Proves a batch. */
export function proveBatch({ bytes, lengths, keys: multikeys }: ProofBatch): ProofAnswers {
  const reasons: (string | null)[] = [];
  const data = new Uint8Array(lengths.length * cidBytes);
  const prevData = new Uint8Array(lengths.length * cidBytes);
  let start = 0;
  for (const [index, length] of lengths.entries()) {
    const frame = bytes.subarray(start, start + length);
    start += length;
    const key = keyOf(multikeys[index]!);
    const proof = key === undefined ? ({ ok: false, reason: 'key-unreadable' } as const) : proveMessage(frame, key);
    reasons.push(proof.ok ? null : proof.reason);
    if (!proof.ok) continue;
    data.set(proof.value.data, index * cidBytes);
    if (proof.value.prevData !== null) prevData.set(proof.value.prevData, index * cidBytes);
  }
  return { reasons, data, prevData };
}

if (parentPort !== null) {
  const port = parentPort;
  port.on('message', (batch: ProofBatch) => {
    const answers = proveBatch(batch);
    invariant(answers.reasons.length === batch.lengths.length, 'every message of a batch is answered');
    port.postMessage(answers, [answers.data.buffer, answers.prevData.buffer]);
  });
}
